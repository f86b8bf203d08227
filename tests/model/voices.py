"""The model of voices in one question: who may answer it after people have given theirs to others.

Two people are named, each as the approver of one rule; two others are not. One of the first and the others have a role.
Whoever has a voice gives it to any of them or to the role, again and again. However they do it, as many can agree as
have to, and somebody can for each rule: the question never expires because nobody is left who could answer it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.checker import put

TOO_FEW = "INV17 fewer could agree than the rules demand"
NOBODY = "INV17 nobody could agree for one of the rules"
MUTANTS = {
    "as many are not looked for": TOO_FEW,
    "what was given does not go on": NOBODY,
}
PEOPLE = (0, 1, 2, 3)
NAMED = frozenset({0, 1})
ROLE = 4
"""Not a person: all of `WITH_ROLE`."""
WITH_ROLE = frozenset({1, 2, 3})


class Gift(NamedTuple):
    to: int
    voices: frozenset[int]


class State(NamedTuple):
    given: tuple[Gift | None, ...] = (None,) * len(PEOPLE)
    """What each has given away."""


class Voices:
    """One question, that `quorum` people have to agree to."""

    def __init__(self, quorum: int, without: str = "") -> None:
        self.quorum = quorum
        self.without = without

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return True

    def broken(self, state: State) -> Iterator[str]:
        if _left(state) < self.quorum:
            yield TOO_FEW
        if frozenset[int]().union(*(_heard(state, person) for person in PEOPLE)) != NAMED:
            yield NOBODY

    def transitions(self, state: State) -> Iterator[tuple[str, State]]:
        for person in PEOPLE:
            heard = _heard(state, person)
            for to in (*PEOPLE, ROLE):
                if heard and to != person:
                    yield from self._give(state, person, to, heard)

    def _give(self, state: State, person: int, to: int, heard: frozenset[int]) -> Iterator[tuple[str, State]]:
        if self.without == "what was given does not go on":
            heard = frozenset({_voice(person, heard)})
        back = state.given if to == ROLE else put(state.given, to, None)
        after = State(put(back, person, Gift(to, heard)))
        if not any(_heard(after, other) for other in PEOPLE if other != person and _is_meant(to, other)):
            yield f"{person} finds nobody", state
        elif _left(after) < self.quorum and self.without != "as many are not looked for":
            yield f"{person} is refused", state
        else:
            yield f"{person} gives to {'the role' if to == ROLE else to}", after


def _is_meant(to: int, person: int) -> bool:
    return to == person or (to == ROLE and person in WITH_ROLE)


def _heard(state: State, person: int) -> frozenset[int]:
    """The voices that a person has; none, if they gave theirs away."""
    if state.given[person] is not None:
        return frozenset()
    gifts = (gift.voices for gift in state.given if gift is not None and _is_meant(gift.to, person))
    return (NAMED & {person}).union(*gifts)


def _voice(person: int, heard: frozenset[int]) -> int:
    """The one that counts: their own, or else the first."""
    return person if person in heard else min(heard)


def _left(state: State) -> int:
    """How many people could agree, of whom those with one voice are one."""
    return len({_voice(person, heard) for person in PEOPLE if (heard := _heard(state, person))})
