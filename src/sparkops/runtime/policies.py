"""The rules of each project, compiled and kept until PREPARE says that they have changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sparkops.core.db import Database
from sparkops.core.json import Json
from sparkops.domains.effects.state import CallKind
from sparkops.domains.policies.evaluate import FACTS, CompiledPolicy, Subject, compile_policy
from sparkops.runtime.effects import Effect

_POLICY = "SELECT version, rules FROM policies WHERE project_id = $1"
_SPENT = "SELECT spent_micros FROM budgets WHERE scope = 'run' AND scope_id = $1"
_SUBJECTS: Final = {CallKind.LLM: Subject.LLM_CALL, CallKind.TOOL: Subject.TOOL_CALL}


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of one project's policy. A project without a policy has version 0 and no rules."""

    version: int
    policy: CompiledPolicy
    asks_cost: bool
    """Some rule mentions what the run has spent, which must then be read before each decision."""

    def decide(self, effect: Effect, facts: Mapping[str, Json]) -> dict[str, Any]:
        """Judge one effect; the answer has the columns of a decision. Arguments are kept with the call, not here."""
        known: dict[str, Json] = {**facts, **effect.facts, "call.bound_micros": effect.bound_micros}
        verdict = self.policy.decide(_SUBJECTS[effect.kind], known)
        kept = {name: known[name] for name in FACTS if name in known and name != "args"}
        return {"outcome": verdict.outcome, "rule": verdict.rule, "reason": verdict.reason, "facts": kept}


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
            asks_cost = any("run.cost_micros" in (rule.get("when") or "") for rule in listed)
            rules = self._rules[project_id] = Rules(version, compile_policy(listed), asks_cost)
        return rules

    def forget(self, project_id: UUID) -> None:
        """Read the rules of this project again when they are next asked for."""
        self._rules.pop(project_id, None)

    async def spent(self, run_id: UUID) -> int:
        """Return what a run has spent so far, in micros."""
        spent: int | None = await self._pool.fetchval(_SPENT, run_id)
        return spent or 0
