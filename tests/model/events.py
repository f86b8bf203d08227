"""The model of waiting for an event: two steps that wait for it, one event that fits and one that does not.

Whoever wrote an event looks for waiting steps afterwards, and may die before. A step that is just about to wait is not
yet to be found, and an event that is just being written is not yet to be seen: both hold the lock of the event's name
meanwhile, senders alone, steps shared. So events of one name also become visible in the order of their times, and a
step looks for what came after the last one that it has seen.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

UNLOCKED = "events are written without the lock of their name"
SIDE_BY_SIDE = "events of one name are written side by side"
MUTANTS: dict[tuple[str, ...], str] = {
    (UNLOCKED,): NEVER_ENDS,
    ("steps wait without the lock of the name",): NEVER_ENDS,
    ("parking does not look for events",): NEVER_ENDS,
    (SIDE_BY_SIDE,): NEVER_ENDS,
    ("an event is marked as matched before it wakes",): NEVER_ENDS,
    ("no sweep for events that are not matched",): NEVER_ENDS,
    ("an event wakes one step only",): NEVER_ENDS,
}
MUST_HAPPEN = {"an unseen event is there", "wait", "wake", "mark", "die before marking"}
FITS = 0
"""The event that both steps wait for."""


class Waiter(NamedTuple):
    step: Literal["ready", "running", "waiting", "succeeded"] = "ready"
    phase: Literal["idle", "claimed", "read", "parking"] = "idle"
    seen: tuple[int, ...] = ()
    unseen: bool = False


class Event(NamedTuple):
    phase: Literal["", "written", "visible"] = ""
    """Written: not yet committed."""
    made: int = 0
    """Its place in the order of making."""
    found: tuple[int, ...] | None = None
    """The steps that are still to be woken for it; None: nobody has looked."""
    matched: bool = False


class State(NamedTuple):
    waiters: tuple[Waiter, ...] = (Waiter(), Waiter())
    events: tuple[Event, ...] = (Event(), Event())
    deaths: int = 1

    def waiter(self, number: int, waiter: Waiter) -> "State":
        return self._replace(waiters=put(self.waiters, number, waiter))

    def event(self, number: int, event: Event) -> "State":
        return self._replace(events=put(self.events, number, event))


Moves = Iterator[tuple[str, State]]


class Events:
    """The model. `looks_again`: the sweep looks for events from the side of the waiting steps, too. `by_ids`: a step
    remembers which events it has seen, not the last of them."""

    def __init__(self, *without: str, looks_again: bool = False, by_ids: bool = False) -> None:
        self.without, self.looks_again, self.by_ids = without, looks_again, by_ids

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return all(waiter.step == "succeeded" for waiter in state.waiters)

    def broken(self, state: State) -> Iterator[str]:
        if any(waiter.step == "succeeded" for waiter in state.waiters) and state.events[FITS].phase != "visible":
            yield "a step went on without its event"

    def transitions(self, state: State) -> Moves:
        for number, waiter in enumerate(state.waiters):
            yield from self._waiter(state, number, waiter)
        for number, event in enumerate(state.events):
            if event.phase != "visible":
                yield from self._send(state, number, event)
            elif not event.matched:
                yield from self._match(state, number, event)

    def _waiter(self, state: State, number: int, waiter: Waiter) -> Moves:
        visible = tuple(place for place, event in enumerate(state.events) if event.phase == "visible")
        match waiter.phase:
            case "idle" if waiter.step == "ready":
                yield "claim", state.waiter(number, Waiter("running", "claimed"))
            case "idle" if waiter.step == "waiting" and self.looks_again and FITS in visible:
                yield "sweep wakes", state.waiter(number, Waiter())
            case "claimed" if FITS in visible:
                yield "go on", state.waiter(number, Waiter("succeeded"))
            case "claimed":
                yield "read", state.waiter(number, waiter._replace(phase="read", seen=visible))
            case "read" if self._may_lock(state):
                unseen = self._unseen(state, waiter, visible)
                yield "look", state.waiter(number, waiter._replace(phase="parking", unseen=unseen))
            case "parking" if waiter.unseen:
                yield "an unseen event is there", state.waiter(number, Waiter())
            case "parking":
                yield "wait", state.waiter(number, Waiter("waiting"))

    def _may_lock(self, state: State) -> bool:
        if {UNLOCKED, "steps wait without the lock of the name"} & set(self.without):
            return True
        return all(event.phase != "written" for event in state.events)

    def _unseen(self, state: State, waiter: Waiter, visible: tuple[int, ...]) -> bool:
        if "parking does not look for events" in self.without:
            return False
        if self.by_ids:
            return not set(visible) <= set(waiter.seen)
        last = max((state.events[place].made for place in waiter.seen), default=0)
        return any(state.events[place].made > last for place in visible)

    def _send(self, state: State, number: int, event: Event) -> Moves:
        other = state.events[1 - number]
        if event.phase == "written":
            overtakes = other.phase == "written" and other.made < event.made
            name = f"event {number} overtakes" if overtakes else "event is visible"
            yield name, state.event(number, event._replace(phase="visible"))
        elif UNLOCKED in self.without or self._may_write(state, other):
            yield "write event", state.event(number, Event("written", made=other.made + 1))

    def _may_write(self, state: State, other: Event) -> bool:
        alone = other.phase != "written" or SIDE_BY_SIDE in self.without
        return alone and all(waiter.phase != "parking" for waiter in state.waiters)

    def _match(self, state: State, number: int, event: Event) -> Moves:
        """What the sender does after its commit, and the sweep again where the sender died."""
        early = "an event is marked as matched before it wakes" in self.without
        if event.found is None:
            fits = [place for place, waiter in enumerate(state.waiters) if waiter.step == "waiting" and number == FITS]
            found = tuple(fits[:1] if "an event wakes one step only" in self.without else fits)
            yield "find", state.event(number, event._replace(found=found))
        elif event.found:
            place, *rest = event.found
            waiter = state.waiters[place]
            # Waking locks the step, and leaves alone what has been woken by somebody else.
            woken = Waiter() if waiter.step == "waiting" else waiter
            yield "wake", state.waiter(place, woken).event(number, event._replace(found=tuple(rest)))
        else:
            yield "mark", state.event(number, event._replace(matched=True))
        if state.deaths and event.found is not None:
            forgotten = early or "no sweep for events that are not matched" in self.without
            dead = event._replace(found=None, matched=forgotten)
            yield "die before marking", state.event(number, dead)._replace(deaths=state.deaths - 1)
