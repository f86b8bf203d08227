"""The model of telling somebody else: one entry of the outbox, two relays, a receiver that may fail or kill."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

UNSENT = "INV14 an event is marked as delivered that nobody received"
TWO_IDS = "INV14 one event came under two ids"
CHANGED = "INV14 the fate of an entry changed"
EARLY = "INV14 an entry was given up before its tries were used"
MAX_TRIES = 2

MUTANTS: dict[str, str] = {
    "the entry is written after the event": NEVER_ENDS,
    "it is marked before it is sent": UNSENT,
    "marking is not fenced": CHANGED,
    "a lease never runs out": NEVER_ENDS,
    "each try has an id of its own": TWO_IDS,
    "a failure is final": EARLY,
    "nobody gives up what was lost in its last try": NEVER_ENDS,
}
POISON_MUTANTS: dict[str, str] = {
    "a try is counted when it ends": NEVER_ENDS,
    "nobody gives up what was lost in its last try": NEVER_ENDS,
}
"""What shows itself with a receiver that kills whoever delivers."""
MUST_HAPPEN = {"deliver", "the receiver fails", "mark as delivered", "try again", "give up", "fenced", "relay dies"} | {
    "the lease runs out",
    "sweep gives up",
}


class Relay(NamedTuple):
    phase: Literal["idle", "claimed", "delivered", "failed", "marked"] = "idle"
    token: int = 0


class State(NamedTuple):
    event: bool = False
    owed: bool = False
    """Who committed the event has still to write its entry."""
    entry: Literal["", "pending", "delivered", "dead"] = ""
    tries: int = 0
    token: int = 0
    leased: bool = False
    relays: tuple[Relay, ...] = (Relay(), Relay())
    received: frozenset[int] = frozenset()
    """The ids under which the receiver got it."""
    changed: bool = False
    lapses: int = 1
    """How often a lease runs out although its holder lives."""


Moves = Iterator[tuple[str, State]]
OVER = ("delivered", "dead")


class Outbox:
    """The model. `poison`: the receiver kills every relay that delivers to it."""

    def __init__(self, without: str = "", *, poison: bool = False) -> None:
        self.without, self.poison = without, poison

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return state.entry in OVER

    def broken(self, state: State) -> Iterator[str]:
        if state.entry == "delivered" and not state.received:
            yield UNSENT
        if len(state.received) > 1:
            yield TWO_IDS
        if state.changed:
            yield CHANGED
        if state.entry == "dead" and state.tries < MAX_TRIES:
            yield EARLY

    def transitions(self, state: State) -> Moves:
        if not state.event:
            late = self.without == "the entry is written after the event"
            yield "commit the event", state._replace(event=True, entry="" if late else "pending", owed=late)
        elif state.owed:
            yield "write the entry", state._replace(entry="pending", owed=False)
            yield "die before the entry", state._replace(owed=False)
        for number, relay in enumerate(state.relays):
            if relay.phase != "idle":
                yield from self._relay(state, number, relay)
            elif Relay() not in state.relays[:number]:
                yield from self._claim(state, number)
        yield from self._lapse(state)

    def _claim(self, state: State, number: int) -> Moves:
        if state.entry == "pending" and not state.leased and state.tries < MAX_TRIES:
            tries = state.tries + (self.without != "a try is counted when it ends")
            token = state.token + 1
            held = state._replace(tries=tries, token=min(token, MAX_TRIES + 1), leased=True)  # else it grows for ever
            yield "claim", _relay(held, number, Relay("claimed", held.token))

    def _relay(self, state: State, number: int, relay: Relay) -> Moves:
        match relay.phase:
            case "claimed" if self.without == "it is marked before it is sent":
                marked = state._replace(entry="delivered", leased=False)
                yield "mark as delivered", _relay(marked, number, relay._replace(phase="marked"))
            case "claimed" | "marked":
                own = relay.token if self.without == "each try has an id of its own" else 1
                reached = state._replace(received=state.received | {own})
                done = Relay() if relay.phase == "marked" else relay._replace(phase="delivered")
                if self.poison:
                    yield "the receiver kills", _relay(state, number, Relay())
                else:
                    yield "deliver", _relay(reached, number, done)
                    yield "the receiver fails", _relay(state, number, relay._replace(phase="failed"))
            case "delivered" | "failed":
                yield self._mark(state, number, relay)
        yield "relay dies", _relay(state, number, Relay())

    def _mark(self, state: State, number: int, relay: Relay) -> tuple[str, State]:
        holds = state.entry == "pending" and state.token == relay.token
        after = _relay(state, number, Relay())
        if not holds and self.without != "marking is not fenced":
            return "fenced", after
        after = after._replace(leased=False, changed=state.changed or state.entry in OVER)
        if relay.phase == "delivered":
            return "mark as delivered", after._replace(entry="delivered")
        tries = state.tries + (self.without == "a try is counted when it ends")
        if tries >= MAX_TRIES or self.without == "a failure is final":
            return "give up", after._replace(entry="dead", tries=tries)
        return "try again", after._replace(entry="pending", tries=tries)

    def _lapse(self, state: State) -> Moves:
        held = any(relay.phase != "idle" and relay.token == state.token for relay in state.relays)
        lapses = self.without != "a lease never runs out" and (not held or state.lapses > 0)
        if state.entry == "pending" and state.leased and lapses:
            yield "the lease runs out", state._replace(leased=False, lapses=state.lapses - held)
        used_up = not state.leased and state.tries >= MAX_TRIES
        if state.entry == "pending" and used_up and self.without != "nobody gives up what was lost in its last try":
            yield "sweep gives up", state._replace(entry="dead")


def _relay(state: State, number: int, relay: Relay) -> State:
    return state._replace(relays=put(state.relays, number, relay))
