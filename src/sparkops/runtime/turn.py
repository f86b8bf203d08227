"""The facts of one turn: several effects that are judged together, one after the other."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from sparkops.core.json import Json
from sparkops.domains.effects.state import CallKind
from sparkops.domains.policies.format import RuleEffect
from sparkops.domains.policies.history import LABELS, TOOLS
from sparkops.engine.facts import SENT
from sparkops.runtime.effects import Effect


class Turn:
    """What was known, and read, before a turn; each effect also sees those before it that were allowed."""

    def __init__(self, known: Mapping[str, Json], read: Mapping[str, Json] | None = None) -> None:
        self._known = with_read(known, read or {})
        sent = self._known.get(SENT)
        self.sent_before = sent if isinstance(sent, int) else None
        """How much the run had sent, if that was read because it counts."""
        self._allowed = 0
        self._tools: Counter[str] = Counter()

    def facts(self, effect: Effect) -> dict[str, Json]:
        """Return what is known when this effect, the next of the turn, is judged."""
        facts = dict(self._known)
        calls, tools = facts.get(SENT), facts.get(TOOLS)
        if isinstance(calls, int):
            facts[SENT] = calls + self._allowed
        if isinstance(tools, dict):
            facts[TOOLS] = used = self._used(tools)
            facts["tool.calls"] = used.get(effect.name, _UNUSED)["count"]
        return facts

    def count(self, effect: Effect, outcome: str) -> None:
        """Note what was decided on this effect; what waits for a person or was denied has not been called."""
        if outcome != RuleEffect.ALLOW:
            return
        self._allowed += 1
        if effect.kind is CallKind.TOOL:
            self._tools[effect.name] += 1

    def _used(self, tools: Mapping[str, Any]) -> dict[str, dict[str, int]]:
        now = {
            name: {"count": tools.get(name, _UNUSED)["count"] + many, "last_seconds": 0}
            for name, many in self._tools.items()
        }
        return {**tools, **now}


def with_read(known: Mapping[str, Json], read: Mapping[str, Json]) -> dict[str, Json]:
    """Return both; what the run has seen is also what this step has, which is not on record yet."""
    facts = {**known, **read}
    return {**facts, LABELS: _union(facts[LABELS], facts["labels"])} if LABELS in read else facts


_UNUSED: Final[Mapping[str, int]] = {"count": 0}


def _union(one: Json, other: Json) -> list[Json]:
    assert isinstance(one, list), "labels are a list"
    assert isinstance(other, list), "labels are a list"
    return sorted({*one, *other})
