"""A budget that two runs share and that lets calls wait; it is raised while they are about to, and its period turns."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

OVERDRAWN = "INV3 more was spent and held than the limit"
SUMS = "INV3 what is held is not the sum of the reservations"
TERMS = "INV3 a window has other terms than its definition"

MUTANTS: dict[tuple[str, ...], str] = {
    ("looks first and holds later",): OVERDRAWN,
    ("settles in the period of today",): SUMS,
    ("a raise forgets the open windows",): TERMS,
    ("a window is made without its definition",): TERMS,
    ("nobody sweeps", "a raise wakes nobody"): NEVER_ENDS,
    ("nobody sweeps", "the wait looks no more"): NEVER_ENDS,
    ("the sweep looks at what fitted once",): "a call is woken for nothing",
}
"""Guards that are left out, and what breaks. Of two ways to notice a raise one is enough: the sweep, or both others."""
ENOUGH: tuple[tuple[str, ...], ...] = (("a raise wakes nobody",), ("the wait looks no more",))
LIMIT, RAISED, BOUND = 3, 5, 2
Status = Literal["none", "allowed", "blocked", "waits", "held", "settled"]


class Window(NamedTuple):
    """One period: what it allows (None: nothing was counted on it yet), and what is spent and held."""

    allows: int | None = None
    spent: int = 0
    held: int = 0


class State(NamedTuple):
    limit: int = LIMIT
    """What the definition allows."""
    period: int = 0
    windows: tuple[Window, ...] = (Window(), Window())
    calls: tuple[Status, ...] = ("none", "none")
    where: tuple[int, ...] = (0, 0)
    """The window in which each call was last judged."""
    read: tuple[int | None, ...] = (None, None)
    """The limit that a call has read for a window which it is about to make, where the definition is not held."""
    for_nothing: bool = False


class SharedBudget:
    """Two calls of two runs of which one fits, a raise, and one turn of the period."""

    def __init__(self, *without: str) -> None:
        self.without = without

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return all(call == "settled" for call in state.calls)

    def broken(self, state: State) -> Iterator[str]:
        for place, window in enumerate(state.windows):
            if window.spent + window.held > RAISED or (
                state.limit == LIMIT and window.spent + window.held > (window.allows or 0)
            ):
                yield OVERDRAWN
            here = [call for call, where in zip(state.calls, state.where, strict=True) if where == place]
            if window.held != BOUND * here.count("held"):
                yield SUMS
        if state.windows[state.period].allows not in (None, state.limit):
            yield TERMS
        if state.for_nothing:
            yield "a call is woken for nothing"

    def transitions(self, state: State) -> Iterator[tuple[str, State]]:
        if state.limit == LIMIT:
            yield "the limit is raised", self._raised(state)
        if state.period == 0:
            yield "the period turns", state._replace(period=1)
        for number, status in enumerate(state.calls):
            match status:
                case "none":
                    yield from self._prepare(state, number)
                case "allowed":
                    yield "hold", _hold(state, number)
                case "blocked":
                    yield "wait", self._wait(state, number)
                case "waits":
                    yield from self._wake(state, number)
                case "held":
                    yield from self._settle(state, number)

    def _prepare(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        window = state.windows[state.period]
        if window.allows is None and "a window is made without its definition" in self.without:
            known = state.read[number]
            if known is None:
                yield "read the definition", state._replace(read=put(state.read, number, state.limit))
            else:
                yield "make the window", _made(state, known)
            return
        if window.allows is None:
            state = _made(state, state.limit)
        judged = state._replace(where=put(state.where, number, state.period))
        if not _fits(judged, number):
            yield "pause", _call(judged, number, "blocked")
        elif "looks first and holds later" in self.without:
            yield "look", _call(judged, number, "allowed")
        else:
            yield "prepare", _hold(judged, number)

    def _wait(self, state: State, number: int) -> State:
        there = _room(state, number) and "the wait looks no more" not in self.without
        return _call(state, number, "none" if there else "waits")

    def _wake(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        if state.period > state.where[number] and "nobody sweeps" not in self.without:
            yield "the period wakes", _call(state, number, "none")
        elif "the sweep looks at what fitted once" in self.without:
            yield "sweep", _call(state, number, "none")._replace(for_nothing=not _room(state, number))
        elif "nobody sweeps" not in self.without and _room(state, number):
            yield "sweep", _call(state, number, "none")

    def _settle(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        place = state.period if "settles in the period of today" in self.without else state.where[number]
        window = state.windows[place]
        for cost in range(BOUND + 1):
            after = window._replace(held=window.held - BOUND, spent=window.spent + cost)
            yield f"settle {cost}", _call(state, number, "settled")._replace(windows=put(state.windows, place, after))

    def _raised(self, state: State) -> State:
        after = state._replace(limit=RAISED)
        if "a raise forgets the open windows" not in self.without:
            window = after.windows[after.period]
            if window.allows is not None:
                after = after._replace(windows=put(after.windows, after.period, window._replace(allows=RAISED)))
        if "a raise wakes nobody" not in self.without:
            calls: tuple[Status, ...] = tuple("none" if call == "waits" else call for call in after.calls)
            after = after._replace(calls=calls)
        return after


def _made(state: State, limit: int) -> State:
    window = state.windows[state.period]
    made = window._replace(allows=limit)
    return state._replace(windows=put(state.windows, state.period, made), read=(None, None))


def _fits(state: State, number: int) -> bool:
    window = state.windows[state.where[number]]
    return window.spent + window.held + BOUND <= (window.allows or 0)


def _room(state: State, number: int) -> bool:
    """Say whether what a call waits for is there: its period is over, or it fits by now."""
    return state.period > state.where[number] or _fits(state, number)


def _hold(state: State, number: int) -> State:
    place = state.where[number]
    window = state.windows[place]
    held = window._replace(held=window.held + BOUND)
    return _call(state, number, "held")._replace(windows=put(state.windows, place, held))


def _call(state: State, number: int, status: Status) -> State:
    return state._replace(calls=put(state.calls, number, status))
