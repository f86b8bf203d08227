"""The model of consent by several people: who counts, for which request, and under which rules it is used.

Two people may answer, each of whom looks at the page some time before they do; the third has asked. One may change
the request once; the rules may come to demand one person where they demanded nobody, or two instead of one; another
may come to ask, or to take the place of the first; a worker judges what it is about to send and then has it written
down, and the change may come between the two. What was sent may be lost with its worker once, and goes out again if
it may.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import put

NEVER_AGREED = "INV17 what was sent is not what they agreed to"
NEVER_ASKED = "INV17 nobody was asked what a rule asks"
TOO_FEW = "INV17 fewer agreed than the rules demand"
OVER_A_NO = "INV17 it was sent although somebody said no"
UNJUDGED = "INV4 what was sent was not judged"
MUTANTS = {
    "a yes counts for what is asked about now": NEVER_AGREED,
    "a yes to what was asked before counts": TOO_FEW,
    "one person counts twice": TOO_FEW,
    "who asked counts": TOO_FEW,
    "consent for other demands counts": TOO_FEW,
    "what was lost goes out as it did before": TOO_FEW,
    "a yes to one rule counts for another": NEVER_ASKED,
    "a no does not end it": OVER_A_NO,
    "a change is not looked for": UNJUDGED,
}
PEOPLE = (0, 1, 2)
ASKER = 2
Request = Literal[0, 1]
"""As it was proposed, and as an approver changed it."""


class State(NamedTuple):
    status: Literal["pending", "approved", "rejected", "sent"] = "approved"
    """`approved`: as many agreed as were asked for."""
    asks_about: Request = 0
    seen: tuple[Request | None, ...] = (None, None, None)
    """What each had before their eyes when they last looked."""
    agreed: tuple[Request | None, ...] = (None, None, None)
    """What the yes of each was written down for."""
    saw: tuple[Request | None, ...] = (None, None, None)
    """What each had seen when they said yes."""
    yeses: int = 0
    """How often somebody said yes to what is asked about now."""
    said_no: bool = False
    quorum: int = 0
    """Of the question; 0: nobody was asked."""
    demanded: int = 0
    """By the rules of today."""
    put: frozenset[str] = frozenset()
    """The rules whose question it is."""
    asks: frozenset[str] = frozenset()
    """Those that ask today."""
    lost: bool = False
    """It was sent before, and its worker died; what let it out then is not asked for twice."""
    judged: Request | None = None
    """What the worker has judged and is about to have written down."""


Moves = Iterator[tuple[str, State]]


class Consent:
    """One question after the other about one call."""

    def __init__(self, without: str = "") -> None:
        self.without = without

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return True

    def broken(self, state: State) -> Iterator[str]:
        if state.status != "sent":
            return
        counted = [person for person in PEOPLE if person != ASKER and state.agreed[person] == state.asks_about]
        if any(state.saw[person] != state.asks_about for person in counted):
            yield NEVER_AGREED
        if len(counted) < state.demanded:
            yield TOO_FEW
        if not state.asks <= state.put:
            yield NEVER_ASKED
        if state.said_no:
            yield OVER_A_NO
        if state.judged != state.asks_about:
            yield UNJUDGED

    def transitions(self, state: State) -> Moves:
        if state.demanded < 2 and state.status in ("pending", "approved"):
            asks = state.asks or frozenset("a")
            yield f"the rules demand {state.demanded + 1}", state._replace(demanded=state.demanded + 1, asks=asks)
        if state.asks == {"a"} and state.status in ("pending", "approved"):
            yield "another asks", state._replace(asks=frozenset("ab"))
            yield "another takes its place", state._replace(asks=frozenset("b"))
        if state.asks == {"a", "b"} and state.status in ("pending", "approved"):
            yield "one asks no more", state._replace(asks=frozenset("a"))
        if state.status == "sent" and not state.lost:
            yield "its worker is lost", state._replace(status="approved", judged=None, lost=True)
        if state.status == "pending":
            for person in PEOPLE:
                yield f"{person} looks", state._replace(seen=put(state.seen, person, state.asks_about))
                yield from self._answer(state, person)
        yield from self._worker(state)

    def _answer(self, state: State, person: int) -> Moves:
        seen = state.seen[person]
        if seen is None or (person == ASKER and self.without != "who asked counts"):
            return
        if self.without == "a no does not end it":
            yield f"{person} says no", state._replace(said_no=True)
        else:
            yield f"{person} says no", state._replace(said_no=True, status="rejected")
        again = state.agreed[person] == state.asks_about
        if again and self.without != "one person counts twice":
            return
        if seen == state.asks_about or self.without == "a yes counts for what is asked about now":
            yield f"{person} agrees", self._settle(self._yes(state, person, seen))
        if seen == state.asks_about == 0:
            changed = state._replace(asks_about=1, yeses=0)
            if self.without == "a yes to what was asked before counts":
                changed = state._replace(asks_about=1)
            yield f"{person} changes it", self._settle(self._yes(changed, person, 1))

    def _yes(self, state: State, person: int, seen: Request) -> State:
        return state._replace(
            agreed=put(state.agreed, person, state.asks_about),
            saw=put(state.saw, person, seen),
            yeses=state.yeses + 1,
        )

    def _settle(self, state: State) -> State:
        return state._replace(status="approved") if state.yeses >= state.quorum else state

    def _worker(self, state: State) -> Moves:
        """It may judge at any time, as it goes on for other reasons too; what it judged may be another request then."""
        if state.status in ("pending", "approved"):
            yield "judge", state._replace(judged=state.asks_about)
        if state.status != "approved" or state.judged is None:
            return
        if state.judged != state.asks_about and self.without != "a change is not looked for":
            yield "judge again", state._replace(judged=state.asks_about)
        elif self._something_else(state):
            yield (
                "ask anew",
                State(
                    status="pending",
                    asks_about=state.asks_about,
                    seen=state.seen,
                    quorum=state.demanded,
                    demanded=state.demanded,
                    put=state.asks,
                    asks=state.asks,
                    lost=state.lost,
                ),
            )
        else:
            yield "send", state._replace(status="sent")

    def _something_else(self, state: State) -> bool:
        """Say whether it is noticed that the rules put another question by now."""
        if state.lost and self.without == "what was lost goes out as it did before":
            return False
        other = state.demanded != state.quorum and self.without != "consent for other demands counts"
        new = not state.asks <= state.put and self.without != "a yes to one rule counts for another"
        return other or new
