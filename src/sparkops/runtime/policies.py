"""The rules of each project, compiled and kept until PREPARE says that they have changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sparkops.core.db import Database
from sparkops.core.json import Json
from sparkops.domains.effects.state import CallKind
from sparkops.domains.policies.document import policy_of_rules
from sparkops.domains.policies.evaluate import Decision, PolicySet, Source
from sparkops.domains.policies.facts import FACTS, Subject
from sparkops.runtime.effects import Effect

_POLICY = "SELECT version, rules FROM policies WHERE project_id = $1"
_SPENT = "SELECT spent_micros FROM budgets WHERE scope = 'run' AND scope_id = $1"
_SUBJECTS: Final = {CallKind.LLM: Subject.LLM_CALL, CallKind.TOOL: Subject.TOOL_CALL}
COST: Final = "run.cost_micros"
"""The fact that is read from the database before a decision, if a rule asks for it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of one project's policy. A project without a policy has version 0 and no rules."""

    version: int
    policies: PolicySet

    def asks_cost(self, effect: Effect, facts: Mapping[str, Json]) -> bool:
        """Say whether a rule about this effect mentions what the run has spent."""
        return COST in self.policies.asks(_SUBJECTS[effect.kind], _facts(effect, facts))

    def decide(self, effect: Effect, facts: Mapping[str, Json]) -> dict[str, Any]:
        """Judge one effect; the answer has the columns of a decision. Arguments are kept with the call, not here."""
        known = _facts(effect, facts)
        decision = self.policies.decide(_SUBJECTS[effect.kind], known)
        rule = None if decision.rule is None else decision.rule.rule
        kept = {name: value for name, value in known.items() if name in FACTS and name != "args"}
        judged = {"outcome": decision.outcome, "rule": rule, "reason": decision.reason, "facts": kept}
        return judged | _patience(decision)


class PolicyCache:
    """The policies of this process's projects."""

    def __init__(self, database: Database) -> None:
        self._pool = database.pool
        self._rules: dict[UUID, Rules] = {}

    async def get(self, project_id: UUID) -> Rules:
        """Return the rules as this process knows them; PREPARE refuses if they are not the current ones."""
        rules = self._rules.get(project_id)
        if rules is None:
            row = await self._pool.fetchrow(_POLICY, project_id)
            version, listed = (row["version"], row["rules"]) if row else (0, [])
            policies = PolicySet([Source(str(project_id), version, policy_of_rules(listed))])
            rules = self._rules[project_id] = Rules(version, policies)
        return rules

    def forget(self, project_id: UUID) -> None:
        """Read the rules of this project again when they are next asked for."""
        self._rules.pop(project_id, None)

    async def spent(self, run_id: UUID) -> int:
        """Return what a run has spent so far, in micros."""
        spent: int | None = await self._pool.fetchval(_SPENT, run_id)
        return spent or 0


def _patience(decision: Decision) -> dict[str, Any]:
    """Return how long a question to people may stand open, where a rule says so."""
    expires = None if decision.demands is None else decision.demands.expires
    return {} if expires is None else {"approval_seconds": expires.total_seconds()}


def _facts(effect: Effect, facts: Mapping[str, Json]) -> dict[str, Json]:
    known: dict[str, Json] = {**facts, **effect.facts, "call.bound_micros": effect.bound_micros}
    return known
