"""The model of resolving an uncertain step: two people who say what became of a call, one who cancels, one worker.

The step does one thing that must not be repeated. Each attempt that may repeat it does so under a call of its own,
and only after a person has said of the call before that it did not happen. What they say is about the call that they
saw: meanwhile the step may have gone on and become uncertain anew.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

SENT_TWICE = "INV10 a call was sent again of which nobody had said that it did not happen"
LATE = "INV16 a call was prepared after the cancellation was acknowledged"
LATE_START = "INV8 a step was made ready in a run that is being cancelled"
UNLISTED = "INV6 a change that is not listed"

MUTANTS: dict[str, str] = {
    "resolving does not look at the status": UNLISTED,
    "resolving looks before it locks": UNLISTED,
    "resolving does not name the call": SENT_TWICE,
    "the reaper makes an uncertain step ready": SENT_TWICE,
    "a step that did not happen is ready, whatever its run does": LATE_START,
    "a worker prepares whatever it was asked": LATE,
}
QUIET_MUTANTS: dict[str, str] = {"resolving does not look at the run, nor does the sweep": NEVER_ENDS}
"""What a cancellation would hide."""
MUST_HAPPEN = {
    "it happened",
    "it did not happen",
    "the answer is too late",
    "it is about another call",
    "send",
    "cancel",
} | {
    "let go",
    "prepare is refused",
    "worker dies, reaped",
}


class Person(NamedTuple):
    phase: Literal["idle", "saw", "looked", "done"] = "idle"
    call: int = 0


class State(NamedTuple):
    step: Literal["ready", "running", "uncertain", "succeeded", "cancelled"] = "uncertain"
    run: Literal["attention", "running", "cancelling", "succeeded", "cancelled"] = "attention"
    asked: bool = False
    call: int = 1
    """The calls that there have been. The first was sent, and its answer was lost."""
    sent: int = 1
    denied: frozenset[int] = frozenset()
    """The calls of which a person, who saw them, said that they did not happen."""
    worker: Literal["idle", "claimed", "prepared", "sent"] = "idle"
    people: tuple[Person, ...] = (Person(), Person())
    cancelled: bool = False
    late: bool = False
    late_start: bool = False
    unlisted: bool = False
    deaths: int = 2


Moves = Iterator[tuple[str, State]]


class Resolving:
    """The model. Every resolution takes the lock of the run, so each is one step here; a mutant's is two."""

    def __init__(self, without: str = "", *, cancels: bool = True) -> None:
        self.without, self.cancels = without, cancels

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        waits = state.step == "uncertain" and state.run in ("attention", "cancelling")
        return state.run in ("succeeded", "cancelled") or waits

    def broken(self, state: State) -> Iterator[str]:
        if any(call not in state.denied for call in range(1, state.sent)):
            yield SENT_TWICE
        if state.late:
            yield LATE
        if state.late_start:
            yield LATE_START
        if state.unlisted:
            yield UNLISTED

    def transitions(self, state: State) -> Moves:
        for number, person in enumerate(state.people):
            yield from self._person(state, number, person)
        yield from self._worker(state)
        if self.cancels and state.run not in ("succeeded", "cancelled"):
            yield self._cancel(state)
        if "nor does the sweep" not in self.without:
            yield "sweep", self._advance(state)

    def _person(self, state: State, number: int, person: Person) -> Moves:
        match person.phase:
            case "idle" if state.step == "uncertain":
                yield "see", _person(state, number, Person("saw", state.call))
            case "saw" if self.without == "resolving looks before it locks" and state.step == "uncertain":
                yield "look", _person(state, number, person._replace(phase="looked"))
            case "saw" | "looked":
                after = _person(state, number, Person("done"))
                if state.step != "uncertain" and not self._careless(person):
                    yield "the answer is too late", after
                elif state.call != person.call and self.without != "resolving does not name the call":
                    yield "it is about another call", after
                else:
                    unlisted = state.unlisted or state.step != "uncertain"
                    yield from self._resolve(after._replace(unlisted=unlisted), person)

    def _careless(self, person: Person) -> bool:
        return self.without == "resolving does not look at the status" or person.phase == "looked"

    def _resolve(self, state: State, person: Person) -> Moves:
        yield "it happened", self._resolved(state._replace(step="succeeded"))
        denied = state._replace(denied=state.denied | {person.call})
        if state.run != "cancelling":
            yield "it did not happen", self._resolved(denied._replace(step="ready"))
        elif self.without == "a step that did not happen is ready, whatever its run does":
            yield "it did not happen", self._resolved(denied._replace(step="ready", late_start=True))
        else:
            yield "it did not happen", self._resolved(denied._replace(step="cancelled"))

    def _resolved(self, state: State) -> State:
        """In the same transaction the run goes on, or ends."""
        return state if "nor does the sweep" in self.without else self._advance(state)

    def _advance(self, state: State) -> State:
        if state.run == "attention" and state.step != "uncertain":
            state = state._replace(run="running")
        return _end(state)

    def _cancel(self, state: State) -> tuple[str, State]:
        """Repeating it lets go of what has become uncertain meanwhile."""
        name = "cancel" if state.run != "cancelling" else "let go"
        asked = state._replace(run="cancelling", cancelled=True, asked=state.asked or state.step == "running")
        return name, _end(asked if state.step == "running" else asked._replace(step="cancelled"))

    def _worker(self, state: State) -> Moves:
        match state.worker:
            case "idle" if state.step == "ready" and state.run in ("running", "attention"):
                yield "claim", state._replace(step="running", worker="claimed")
            case "claimed" if state.asked and self.without != "a worker prepares whatever it was asked":
                yield "prepare is refused", _end(state._replace(step="cancelled", worker="idle"))
            case "claimed":
                late = state.late or state.cancelled
                yield "prepare", state._replace(call=state.call + 1, worker="prepared", late=late)
            case "prepared":
                yield "send", state._replace(sent=state.sent + 1, worker="sent")
            case "sent":
                yield "complete", _end(state._replace(step="succeeded", worker="idle"))
        if state.worker != "idle" and state.deaths:
            lost = state._replace(worker="idle", deaths=state.deaths - 1)
            if state.worker == "claimed":
                back = lost._replace(step="cancelled" if state.asked else "ready")
            else:
                careless = self.without == "the reaper makes an uncertain step ready"
                back = lost._replace(step="ready" if careless else "uncertain")
                back = back._replace(run="attention" if back.step == "uncertain" and not state.asked else back.run)
            yield "worker dies, reaped", _end(back)


def _end(state: State) -> State:
    if state.run == "cancelling" and state.step in ("succeeded", "cancelled"):
        return state._replace(run="cancelled")
    return state._replace(run="succeeded") if (state.run, state.step) == ("running", "succeeded") else state


def _person(state: State, number: int, person: Person) -> State:
    return state._replace(people=put(state.people, number, person))
