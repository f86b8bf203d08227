"""Looks at every state that a small model can reach, nearest first, so that a counterexample is a shortest one."""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)
T = TypeVar("T")

MAX_STATES = 500_000


class Model(Protocol[S]):
    """A system of states and named transitions, with what must hold in every state."""

    def initial(self) -> S: ...

    def transitions(self, state: S) -> Iterable[tuple[str, S]]:
        """Yield every next state with the name of what leads there."""
        ...

    def broken(self, state: S) -> Iterator[str]:
        """Yield the invariants that do not hold."""
        ...

    def ended(self, state: S) -> bool:
        """True where the system may rest: an end, or a wait for a person."""
        ...


@dataclass
class Report(Generic[S]):
    """How many states there are, and for each broken invariant the shortest way to break it.

    `seen` names all transitions that were taken: a promise kept because its danger never came is worth nothing.
    """

    states: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)


NEVER_ENDS = "INV2 the run can never end"


def put(values: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    """Return the tuple with another value at this place."""
    return (*values[:place], value, *values[place + 1 :])


def explore(model: Model[S], *, until: str | None = None) -> Report[S]:
    """Return what was found among all reachable states; with `until` stop at the first breach of that invariant.

    An invariant is named by its whole text. Where every state kept its invariants, each must also have a way to an
    end: if one has none, the run can get stuck for ever.
    """
    search = _Search(model)
    for state in search.walk():
        for name in model.broken(state):
            search.report.broken.setdefault(name, search.path(state))
        if until in search.report.broken:
            return search.report
    stuck = search.stuck()
    if stuck is not None:
        search.report.broken[NEVER_ENDS] = search.path(stuck)
    return search.report


class _Search(Generic[S]):
    def __init__(self, model: Model[S]) -> None:
        self.model = model
        self.report: Report[S] = Report()
        self.came_from: dict[S, tuple[S, str] | None] = {model.initial(): None}
        self.before: dict[S, list[S]] = {}

    def walk(self) -> Iterator[S]:
        queue = deque(self.came_from)
        while queue:
            state = queue.popleft()
            self.report.states += 1
            assert self.report.states <= MAX_STATES, "the model has grown beyond what a test can look at"
            yield state
            for name, after in self.model.transitions(state):
                self.before.setdefault(after, []).append(state)
                self.report.seen.add(name)
                if after not in self.came_from:
                    self.came_from[after] = (state, name)
                    queue.append(after)

    def path(self, state: S) -> list[str]:
        names: list[str] = []
        step = self.came_from[state]
        while step is not None:
            names.append(step[1])
            step = self.came_from[step[0]]
        return names[::-1]

    def stuck(self) -> S | None:
        """Return a state from which no end can be reached, the nearest one; None if there is none."""
        good = {state for state in self.came_from if self.model.ended(state)}
        queue = deque(good)
        while queue:
            for state in self.before.get(queue.popleft(), ()):
                if state not in good:
                    good.add(state)
                    queue.append(state)
        return next((state for state in self.came_from if state not in good), None)
