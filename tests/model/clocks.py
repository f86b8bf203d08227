"""The model of a run's clock: one run that may work for some ticks, two scopes that can be halted, and a pause of it.

The clock is a moment at which the time is over. Halts are not written to it: they keep when they began and ended, and
whoever looks at the clock adds the time that the halts took together since `since`, writes it, and counts from there.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.checker import put

LOST = "CLOCK the time of a halt or pause counted against the run"
TWICE = "CLOCK the run was given more time than it was held"
CUT = "CLOCK a run was ended for its time while a halt was in force"
MUTANTS: dict[str, str] = {
    "releasing gives nothing back": LOST,
    "the whole halt is given back": TWICE,
    "halts that overlap are added up": TWICE,
    "what was given is not remembered": TWICE,
    "a pause gives back what halts give": TWICE,
    "a pause forgets the halts before it": LOST,
    "whoever looks does not look for halts in force": CUT,
}
MUST_HAPPEN = {"tick", "halt 0", "halt 1", "release 0", "release 1", "pause", "resume", "give", "end"}

TICKS = 7
ALLOWED = 2
Ticks = frozenset[int]


class State(NamedTuple):
    now: int = 0
    begun: int | None = None
    worked: int = 0
    """What really went by while nothing held the run."""
    due: int = 0
    since: int = 0
    """From when on halts have not been given back."""
    halts: tuple[Ticks, ...] = (frozenset(), frozenset())
    """The ticks in which each was in force."""
    in_force: tuple[bool, ...] = (False, False)
    paused: int | None = None
    cut: bool = False
    ended: bool = False


Moves = Iterator[tuple[str, State]]


class Clocks:
    """The model. Each scope is halted once, and the run paused as often as anybody likes."""

    def __init__(self, without: str = "") -> None:
        self.without = without

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return state.ended or state.now == TICKS

    def broken(self, state: State) -> Iterator[str]:
        if state.cut:
            yield CUT
        if state.begun is None or state.paused is not None or (state.ended and not state.cut):
            return
        left = self._due(state) - state.now
        if left < ALLOWED - state.worked:
            yield LOST
        if left > ALLOWED - state.worked:
            yield TWICE

    def transitions(self, state: State) -> Moves:
        if state.ended or state.now == TICKS:
            return
        yield "tick", self._tick(state)
        if state.begun is None:
            yield "begin", state._replace(begun=state.now, since=state.now, due=state.now + ALLOWED)
        for scope, in_force in enumerate(state.in_force):
            if in_force:
                yield f"release {scope}", state._replace(in_force=put(state.in_force, scope, False))
            elif not state.halts[scope]:
                yield f"halt {scope}", state._replace(in_force=put(state.in_force, scope, True))
        yield from self._pause(state)
        yield from self._look(state)

    def _tick(self, state: State) -> State:
        halts = tuple(
            ticks | {state.now} if on else ticks for ticks, on in zip(state.halts, state.in_force, strict=True)
        )
        works = state.begun is not None and state.paused is None and not any(state.in_force)
        return state._replace(now=state.now + 1, halts=halts, worked=state.worked + works)

    def _pause(self, state: State) -> Moves:
        if state.begun is not None and state.paused is None:
            yield "pause", state._replace(paused=state.now)
        if state.paused is not None:
            until = state.now if self.without == "a pause gives back what halts give" else state.paused
            before = 0 if "forgets" in self.without else self._stood(state, until)
            due = state.due + before + state.now - state.paused
            yield "resume", state._replace(paused=None, due=due, since=state.now)

    def _look(self, state: State) -> Moves:
        """The sweep finds a clock whose moment has come."""
        if state.begun is None or state.paused is not None or state.due > state.now:
            return
        if any(state.in_force) and self.without != "whoever looks does not look for halts in force":
            return
        if self._due(state) <= state.now:
            yield "end", state._replace(ended=True, cut=any(state.in_force))
        elif self._due(state) > state.due:
            since = state.since if self.without == "what was given is not remembered" else state.now
            yield "give", state._replace(due=self._due(state), since=since)

    def _due(self, state: State) -> int:
        return state.due + self._stood(state, state.now)

    def _stood(self, state: State, until: int) -> int:
        if self.without == "releasing gives nothing back":
            return 0
        since = 0 if self.without == "the whole halt is given back" else state.since
        each = [{tick for tick in ticks if since <= tick < until} for ticks in state.halts]
        if self.without == "halts that overlap are added up":
            return sum(map(len, each))
        return len(set[int]().union(*each))
