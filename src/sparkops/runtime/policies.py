"""The rules of each project, compiled and kept until PREPARE says that they have changed."""

import asyncio
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sparkops.core.db import Database
from sparkops.core.json import Json, digest
from sparkops.domains.effects.state import CallKind
from sparkops.domains.policies.document import Policy, read_policy
from sparkops.domains.policies.evaluate import Decision, Demands, Finding, PolicySet, RuleRef, Source
from sparkops.domains.policies.facts import FACTS, Subject
from sparkops.domains.policies.format import RuleEffect
from sparkops.domains.policies.history import TOOLS
from sparkops.engine.context import Connection
from sparkops.engine.facts import READ
from sparkops.runtime.effects import Effect

_RULES = """
SELECT engine.policy_stamp(p.id) AS version, p.default_effect,
       EXISTS (SELECT 1 FROM budget_definitions d
                WHERE (d.project_id = p.id OR d.project_id IS NULL) AND d.archived_at IS NULL
                  AND d.limit_calls IS NOT NULL) AS counts_calls,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('id', y.id, 'version', y.active_version, 'document', v.document)
                                  ORDER BY y.project_id IS NOT NULL, y.name), '[]')
          FROM policies y JOIN policy_versions v ON v.policy_id = y.id AND v.version = y.active_version
         WHERE y.project_id = p.id OR y.project_id IS NULL) AS policies
  FROM projects p WHERE p.id = $1
"""
_SUBJECTS: Final = {CallKind.LLM: Subject.LLM_CALL, CallKind.TOOL: Subject.TOOL_CALL}
_TOOL_CALLS: Final = "tool.calls"
_READ: Final = READ | {_TOOL_CALLS}
_UNKEPT: Final = frozenset({"args", "input", "output"})
"""Facts that are kept with what they belong to, not with the decision, whose digest covers them."""
_MAX_COMPILED = 1_000
"""How many texts of policies one process keeps compiled."""
_MAX_SETS = 200
"""How many sets of versions that hold together. What compiles their conditions together is kept with them."""
_MANY_RULES = 20
"""What takes longer than a few milliseconds to compile is compiled beside the event loop."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds in one project, under one stamp."""

    version: int
    policies: PolicySet
    counts_calls: bool = False
    """A budget limits calls, so that each is written down before it is made, also if it costs nothing."""

    def judges(self, subject: Subject) -> bool:
        """Say whether anything on this subject has to be judged; if not, all of it is allowed."""
        return self.policies.judges(subject)

    def unread(self, effect: Effect, facts: Mapping[str, Json]) -> frozenset[str]:
        """Return the facts that a rule about this effect asks for and that have to be read first."""
        return self.to_read(_SUBJECTS[effect.kind], _facts(effect, facts))

    def to_read(self, subject: Subject, known: Mapping[str, Json]) -> frozenset[str]:
        """Return the facts that a decision needs and that have to be read first; `known` has the names of things."""
        wanted = self.policies.asks(subject, known) & _READ
        return wanted - {_TOOL_CALLS} | {TOOLS} if _TOOL_CALLS in wanted else wanted

    def decide(self, effect: Effect, facts: Mapping[str, Json]) -> dict[str, Any]:
        """Judge one effect; the answer has what `engine.decide` takes. Arguments are kept with the call, not here."""
        subject, known = _SUBJECTS[effect.kind], _facts(effect, facts)
        late = effect.late_facts
        if late:
            asked = self.policies.asks(subject, known)
            known.update((name, find()) for name, find in late.items() if name in asked)
        return self.judge(subject, effect.name, known)

    def judge(self, subject: Subject, name: str | None, known: Mapping[str, Json]) -> dict[str, Any]:
        """Judge one thing by these facts; the answer has what `engine.decide` takes, and `demands` of consent."""
        begun = time.perf_counter_ns()
        decision = self.policies.decide(subject, known)
        facts = {fact: value for fact, value in known.items() if fact in FACTS}
        return {
            "subject": subject,
            "name": name,
            "outcome": decision.outcome,
            **_of_rule(decision.rule),
            "severity": decision.severity,
            "reason": _reason(decision, subject),
            "facts": {fact: value for fact, value in facts.items() if fact not in _UNKEPT},
            "facts_digest": digest(facts),
            "monitored": [_finding(each) for each in decision.monitored],
            "duration_us": (time.perf_counter_ns() - begun) // 1_000,
            **_demands(decision),
        }


class PolicyCache:
    """The rules of this process's projects."""

    def __init__(self, database: Database) -> None:
        self._pool = database.pool
        self._rules: dict[UUID, Rules] = {}
        self._compiled: dict[tuple[str, int], Policy] = {}
        self._sets: dict[tuple[Hashable, ...], PolicySet] = {}

    async def get(self, project_id: UUID, stamp: int = 0, on: Connection | None = None) -> Rules:
        """Return the rules as this process knows them; PREPARE refuses if they are not the current ones.

        `stamp`: rules that are older than this are read again, on the connection `on` where one is given.
        """
        rules = self._rules.get(project_id)
        if rules is None or rules.version < stamp:
            row = await (on or self._pool).fetchrow(_RULES, project_id)
            version, effect, listed, counts = (
                (row["version"], row["default_effect"], row["policies"], row["counts_calls"])
                if row
                else (0, RuleEffect.ALLOW, [], False)
            )
            sources = [await self._source(each) for each in listed]
            rules = self._rules[project_id] = Rules(version, self._set(sources, RuleEffect(effect)), counts)
        return rules

    def _set(self, sources: Sequence[Source], default: RuleEffect) -> PolicySet:
        """Return these versions together: one set for all projects in which they hold, and for as long as they do."""
        key = (default, *[(source.policy_id, source.version) for source in sources])
        found = self._sets.get(key)
        if found is None:
            if len(self._sets) >= _MAX_SETS:
                self._sets.clear()
            found = self._sets[key] = PolicySet(sources, default)
        return found

    async def _source(self, stored: Mapping[str, Any]) -> Source:
        key = stored["id"], stored["version"]
        policy = self._compiled.get(key)
        if policy is None:
            document = stored["document"]
            many = len(document["rules"]) > _MANY_RULES
            policy = await asyncio.to_thread(read_policy, document) if many else read_policy(document)
            if len(self._compiled) >= _MAX_COMPILED:
                self._compiled.clear()
            self._compiled[key] = policy
        return Source(*key, policy)

    def forget(self, project_id: UUID) -> None:
        """Read the rules of this project again when they are next asked for."""
        self._rules.pop(project_id, None)


def _reason(decision: Decision, subject: Subject) -> str | None:
    if decision.rule is None and decision.outcome is RuleEffect.DENY:
        return f"No rule allows it, and the project denies what no rule allows ({subject})."
    return decision.reason


def _of_rule(rule: RuleRef | None) -> dict[str, Any]:
    if rule is None:
        return {"policy_id": None, "rule_version": None, "rule": None}
    return {"policy_id": rule.policy_id, "rule_version": rule.version, "rule": rule.rule}


def _finding(found: Finding) -> dict[str, Any]:
    return {
        **found.rule._asdict(),
        "effect": found.effect,
        "reason": found.reason,
        "severity": found.severity,
    }


def _demands(decision: Decision) -> dict[str, Any]:
    """Return what consent takes, and how long the question may stand open where a rule says so."""
    demands = decision.demands
    if demands is None:
        return {}
    patience = {} if demands.expires is None else {"approval_seconds": demands.expires.total_seconds()}
    return {"demands": _demanded(demands), **patience}


def _demanded(demands: Demands) -> dict[str, Any]:
    after = demands.escalate_after
    approvers: Sequence[Sequence[str]] = demands.approvers
    return {
        "approvers": [_lower(group) for group in approvers],
        "quorum": demands.quorum,
        "escalate_after_seconds": None if after is None else after.total_seconds(),
        "escalate_to": _lower(demands.escalate_to),
        "may_edit": demands.may_edit,
        "rules": [rule._asdict() for rule in demands.rules],
    }


def _lower(people: Sequence[str]) -> list[str]:
    """Return roles and e-mail addresses as the accounts have them."""
    return [each.lower() for each in people]


def _facts(effect: Effect, facts: Mapping[str, Json]) -> dict[str, Json]:
    known: dict[str, Json] = {**facts, **effect.facts, "call.bound_micros": effect.bound_micros}
    return known
