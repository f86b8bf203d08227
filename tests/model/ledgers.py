"""Three small models: schedules fire once, budgets hold, an approval allows exactly what was shown."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

SCHEDULE_MUTANTS: dict[tuple[str, ...], str] = {
    ("no lock on the schedule", "no key on the firing"): "INV5 a due instant fired twice",
    ("the next instant is counted from now",): "INV5 a due instant was passed over",
    ("no lock on the schedule", "the next instant is counted from now"): "INV5 a due instant was passed over",
}
INSTANTS = 3


class Firing(NamedTuple):
    next_due: int = 0
    fired: tuple[int, ...] = (0,) * INSTANTS
    read: tuple[int | None, int | None] = (None, None)
    """What each scheduler has read and not yet written, where nothing is locked."""
    clock: int = 0
    clock_steps_back: int = 1


class Schedules:
    """Two schedulers, three due instants, and a clock that may be set back."""

    def __init__(self, *without: str) -> None:
        self.without = without

    def initial(self) -> Firing:
        return Firing()

    def ended(self, state: Firing) -> bool:
        return state.next_due >= INSTANTS and state.read == (None, None)

    def broken(self, state: Firing) -> Iterator[str]:
        if max(state.fired) > 1:
            yield "INV5 a due instant fired twice"
        if state.read == (None, None) and 0 in state.fired[: state.next_due]:
            yield "INV5 a due instant was passed over"

    def transitions(self, state: Firing) -> Iterator[tuple[str, Firing]]:
        if state.clock < INSTANTS:
            yield "time passes", state._replace(clock=state.clock + 1)
        if state.clock and state.clock_steps_back:
            yield "clock is set back", state._replace(clock=state.clock - 1, clock_steps_back=0)
        for number in (0, 1):
            yield from self._scheduler(state, number)

    def _scheduler(self, state: Firing, number: int) -> Iterator[tuple[str, Firing]]:
        due = state.read[number]
        if due is not None:
            yield "write", self._fire(_read(state, number, None), due)
        elif state.next_due < min(state.clock, INSTANTS):
            if "no lock on the schedule" in self.without:
                yield "read", _read(state, number, state.next_due)
            else:
                yield "fire", self._fire(state, state.next_due)

    def _fire(self, state: Firing, due: int) -> Firing:
        again = state.fired[due] and "no key on the firing" not in self.without
        fired = tuple(count + (place == due and not again) for place, count in enumerate(state.fired))
        following = max(state.next_due, due + 1)
        if "the next instant is counted from now" in self.without:
            following = max(state.next_due, state.clock)
        return state._replace(fired=fired, next_due=following)


def _read(state: Firing, number: int, due: int | None) -> Firing:
    first, second = state.read
    return state._replace(read=(due, second) if number == 0 else (first, due))


BUDGET_MUTANTS = {
    "looks first and reserves later": "INV3 more was spent and held than the limit",
    "the sweep releases without looking": "INV3 what is held is not the sum of the reservations",
    "settling leaves the hold": "INV3 what is held is not the sum of the reservations",
}
LIMIT, BOUND = 3, 2
Reservation = Literal["none", "allowed", "held", "settled", "released", "refused"]


class Money(NamedTuple):
    spent: int = 0
    held: int = 0
    calls: tuple[Reservation, Reservation] = ("none", "none")
    sweeps: int = 2


class Budget:
    """Two calls of which one fits, and a sweep that gives back what a dead worker held."""

    def __init__(self, without: str = "") -> None:
        self.without = without

    def initial(self) -> Money:
        return Money()

    def ended(self, state: Money) -> bool:
        return not {"none", "allowed", "held"} & set(state.calls)

    def broken(self, state: Money) -> Iterator[str]:
        if state.spent + state.held > LIMIT:
            yield "INV3 more was spent and held than the limit"
        if state.held != BOUND * state.calls.count("held"):
            yield "INV3 what is held is not the sum of the reservations"

    def transitions(self, state: Money) -> Iterator[tuple[str, Money]]:
        for number in (0, 1):
            yield from self._call(state, number)

    def _call(self, state: Money, number: int) -> Iterator[tuple[str, Money]]:
        now = state.calls[number]
        fits = state.spent + state.held + BOUND <= LIMIT
        if now == "allowed" or (now == "none" and fits and self.without != "looks first and reserves later"):
            yield "reserve", _call(state, number, "held")._replace(held=state.held + BOUND)
        elif now == "none":
            yield "look", _call(state, number, "allowed" if fits else "refused")
        elif now == "held":
            left = state.held if self.without == "settling leaves the hold" else state.held - BOUND
            for cost in range(BOUND + 1):
                yield f"settle {cost}", _call(state, number, "settled")._replace(spent=state.spent + cost, held=left)
        released_before = now in ("settled", "released") and self.without == "the sweep releases without looking"
        if state.sweeps and (now == "held" or released_before):
            after = _call(state, number, "released")
            yield "sweep releases", after._replace(held=state.held - BOUND, sweeps=state.sweeps - 1)


def _call(state: Money, number: int, status: Reservation) -> Money:
    first, second = state.calls
    return state._replace(calls=(status, second) if number == 0 else (first, status))


APPROVAL_MUTANTS = {
    "the answer is not bound to the request": "INV17 what was done is not what was approved",
    "the answer is not bound to the tool": "INV17 what was done is not what was approved",
    "the answer is not used up": "INV17 one approval was used twice",
}
Shown = tuple[int, int]
"""Versions of the request and of the tool's definition."""


class Answer(NamedTuple):
    current: Shown = (1, 1)
    asked: Shown | None = None
    approved: Shown | None = None
    consumed: bool = False
    done: tuple[Shown, ...] = ()


class Approval:
    """A request that may change, and a tool that may be redefined, between question, answer and deed."""

    def __init__(self, without: str = "") -> None:
        self.without = without

    def initial(self) -> Answer:
        return Answer()

    def ended(self, state: Answer) -> bool:
        return True

    def broken(self, state: Answer) -> Iterator[str]:
        if any(deed != state.approved for deed in state.done):
            yield "INV17 what was done is not what was approved"
        if len(state.done) > 1:
            yield "INV17 one approval was used twice"

    def transitions(self, state: Answer) -> Iterator[tuple[str, Answer]]:
        request, definition = state.current
        if request == 1:
            yield "the request changes", state._replace(current=(2, definition))
        if definition == 1:
            yield "the tool changes", state._replace(current=(request, 2))
        if state.asked is None:
            yield "ask", state._replace(asked=state.current)
        elif state.approved is None:
            yield "approve", state._replace(approved=state.asked)
        elif self._allowed(state, state.approved) and len(state.done) < 2:
            yield "do", state._replace(consumed=True, done=(*state.done, state.current))

    def _allowed(self, state: Answer, approved: Shown) -> bool:
        same_request = approved[0] == state.current[0] or self.without == "the answer is not bound to the request"
        same_tool = approved[1] == state.current[1] or self.without == "the answer is not bound to the tool"
        return same_request and same_tool and (not state.consumed or self.without == "the answer is not used up")
