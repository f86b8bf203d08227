"""The facts of one turn: several effects that are judged together, one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sparkops.core.json import Json
from sparkops.domains.effects.state import CallKind
from sparkops.domains.policies.history import LABELS, NEVER, TOOLS
from sparkops.engine.facts import SENT, SENT_OF_TURN
from sparkops.runtime.effects import Effect


class Turn:
    """What was known, and read, before a turn; each effect also sees those of the turn that were sent before it.

    An effect that has not been sent yet sees all that have been, whatever their place in the turn, and those before it
    that go out now; one that is judged again after it was sent sees those that had been sent by then.
    """

    def __init__(
        self,
        known: Mapping[str, Json],
        read: Mapping[str, Any] | None = None,
        effects: Sequence[tuple[int, Effect]] = (),
    ) -> None:
        read = dict(read or {})
        self._sent: dict[int, int] = {each["seq"]: each["seconds"] for each in read.pop(SENT_OF_TURN, ())}
        self._goes: list[int] = []
        self._effects = dict(effects)
        self._known = with_read(known, read)
        sent = self._known.get(SENT)
        self.sent_before = sent if isinstance(sent, int) else None
        """How much the run had sent besides this turn, if that was read because it counts."""

    def facts(self, seq: int) -> dict[str, Json]:
        """Return what is known when this effect, the next of the turn, is judged."""
        facts = dict(self._known)
        before = self._before(seq)
        calls, tools = facts.get(SENT), facts.get(TOOLS)
        if isinstance(calls, int):
            facts[SENT] = calls + len(before)
        if isinstance(tools, dict):
            facts[TOOLS] = used = _used(tools, before)
            facts["tool.calls"] = used.get(self._effects[seq].name, _UNUSED)["count"]
        return facts

    def goes_out(self, seq: int) -> None:
        """Note that this effect is sent now; what waits for a person or was denied has not been called."""
        if seq not in self._sent:
            self._goes.append(seq)

    def _before(self, seq: int) -> list[tuple[Effect, int]]:
        """Return what was sent before this effect, each with the seconds since then."""
        sent = list(self._sent)
        if seq in self._sent:
            sent = sent[: sent.index(seq)]
        else:
            sent += self._goes
        return [(self._effects[each], self._sent.get(each, 0)) for each in sent]


def with_read(known: Mapping[str, Json], read: Mapping[str, Json]) -> dict[str, Json]:
    """Return both; what the run has seen is also what this step has, which is not on record yet."""
    facts = {**known, **read}
    return {**facts, LABELS: _union(facts[LABELS], facts["labels"])} if LABELS in read else facts


_UNUSED: Final[Mapping[str, int]] = {"count": 0, "last_seconds": NEVER}


def _used(tools: Mapping[str, Any], before: Sequence[tuple[Effect, int]]) -> dict[str, Mapping[str, int]]:
    used = dict(tools)
    for effect, seconds in before:
        if effect.kind is CallKind.TOOL:
            known = used.get(effect.name, _UNUSED)
            used[effect.name] = {
                "count": known["count"] + 1,
                "last_seconds": min(known["last_seconds"], seconds),
            }
    return used


def _union(one: Json, other: Json) -> list[Json]:
    assert isinstance(one, list), "labels are a list"
    assert isinstance(other, list), "labels are a list"
    return sorted({*one, *other})
