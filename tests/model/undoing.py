"""The model of compensation: two steps with an undo, a third that needs both and fails, and a person who cancels.

A run that would end failed or cancelled while effects stand that can be taken back goes on as COMPENSATING. The rows
of the undos are inserted in the transaction that decides so, the last to finish first, each waiting for the one before
it to have ended, however that was.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

NOT_RUN = "UNDO an undo that was due did not run"
NOT_DUE = "UNDO an undo ran of a step that had not succeeded"
ORDER = "UNDO the undos ran in another order than the reverse of finishing"
TWICE = "UNDO a result of an undo was recorded twice"
STANDS = "UNDO an effect that can be taken back stands after the run was cancelled"
WRONG_END = "UNDO the run did not end as it should"

MUTANTS: dict[str, str] = {
    "the database ends the run without looking for undos": NOT_RUN,
    "the undos are inserted after the run is compensating": NOT_RUN,
    "cancelling stops the undos": NOT_RUN,
    "an undo waits for the success of the one before": NOT_RUN,
    "an undo for every step that has one": NOT_DUE,
    "the undos are not chained": ORDER,
    "the undos are in the order of finishing": ORDER,
    "the order of finishing is told by a clock": ORDER,
    "the end of an undo is not fenced": TWICE,
    "the undos are inserted again after each": TWICE,
    "what was asked to stop is cancelled although it has succeeded": STANDS,
    "no sweep for compensating runs": NEVER_ENDS,
    "the run does not remember how it ends": WRONG_END,
    "cancelling changes how a compensating run ends": WRONG_END,
}
MUST_HAPPEN = {
    "cancel",
    "cancel comes while compensating",
    "compensate",
    "undo fails",
    "undo succeeds",
    "reap",
    "give up",
} | {
    "the run ends failed",
    "the run ends cancelled",
    "the clock is set back",
}

PLACES = (0, 1, 2)
UNDONE = (0, 1)
"""The steps that have an undo."""


class Undo(NamedTuple):
    of: int
    after: int | None
    """The undo that has to have ended before, by its place in the list."""
    status: Literal["pending", "ready", "running", "succeeded", "failed", "skipped", "cancelled"] = "pending"
    attempt: int = 0
    recorded: int = 0


class State(NamedTuple):
    steps: tuple[str, ...] = ("running", "running", "pending")
    effects: frozenset[int] = frozenset()
    """The steps that have done what they do."""
    finished: tuple[int, ...] = ()
    """The steps that succeeded, in the order of their transactions."""
    clock: tuple[int, ...] = ()
    """What the clock said of each."""
    set_back: bool = False
    run: str = "running"
    ends_as: str = ""
    due: tuple[int, ...] = ()
    """Whose undo was due when the run ceased to go on, the first first."""
    undos: tuple[Undo, ...] = ()
    ran: tuple[int, ...] = ()
    """Whose undo has begun, in that order."""
    zombies: tuple[tuple[int, int], ...] = ()
    """Workers, by undo and attempt, that do not know that they have lost it."""
    should_end: str = ""
    deaths: int = 1
    cancels: int = 2


Moves = Iterator[tuple[str, State]]
OVER = ("succeeded", "failed", "skipped", "cancelled")
ENDED = ("succeeded", "failed", "cancelled")


class Undoing:
    """The model: workers that end steps and undos or die, the sweep that advances, a person who cancels twice."""

    def __init__(self, without: str = "") -> None:
        self.without = without

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return state.run in ENDED

    def broken(self, state: State) -> Iterator[str]:
        if state.run in ENDED and set(state.due) - set(state.ran):
            yield NOT_RUN
        if state.run == "cancelled" and state.effects & set(UNDONE) - set(state.due):
            yield STANDS
        if set(state.ran) - set(state.due):
            yield NOT_DUE
        elif list(state.ran) != [place for place in state.due if place in state.ran]:
            yield ORDER
        if any(undo.recorded > 1 for undo in state.undos) or len(set(state.ran)) < len(state.ran):
            yield TWICE
        if state.run in ENDED and state.run != (state.should_end or "succeeded"):
            yield WRONG_END

    def transitions(self, state: State) -> Moves:
        yield from self._steps(state)
        yield from self._undos(state)
        yield from self._advance(state)
        if state.cancels and state.run not in ENDED:
            yield self._cancel(state._replace(cancels=state.cancels - 1))

    def _steps(self, state: State) -> Moves:
        for place in PLACES:
            if state.steps[place] == "running" and state.run in ("running", "cancelling"):
                asked = state.run == "cancelling"
                done = state._replace(effects=state.effects | {place})
                forgets = asked and "what was asked to stop is cancelled" in self.without
                yield "succeed", self._end_step(done, place, "cancelled" if forgets else "succeeded")
                yield "do not succeed", self._end_step(state, place, "cancelled" if asked else "failed")
        if state.finished and not state.set_back:
            yield "the clock is set back", state._replace(set_back=True)

    def _end_step(self, state: State, place: int, status: str) -> State:
        steps = put(state.steps, place, status)
        if status == "succeeded":
            now = 10 * (not state.set_back) + len(state.finished)
            state = state._replace(finished=(*state.finished, place), clock=(*state.clock, now))
        if steps[2] == "pending" and {"failed", "cancelled"} & set(steps[:2]):
            steps = put(steps, 2, "skipped")
        elif state.run == "running" and steps[2] == "pending" and steps[:2] == ("succeeded", "succeeded"):
            steps = put(steps, 2, "running")
        return state._replace(steps=steps)

    def _cancel(self, state: State) -> tuple[str, State]:
        if state.run == "compensating":
            if "cancelling stops the undos" in self.without:
                undos = tuple(
                    undo._replace(status="cancelled") if undo.status in ("pending", "ready") else undo
                    for undo in state.undos
                )
                state = state._replace(undos=undos)
            if "changes how a compensating run ends" in self.without:
                state = state._replace(ends_as="cancelled")
            return "cancel comes while compensating", state
        steps = tuple("cancelled" if status == "pending" else status for status in state.steps)
        should = state.should_end or "cancelled"
        return "cancel", state._replace(run="cancelling", steps=steps, should_end=should)

    # What is decided when nothing is open any more: by whoever ended the last step, or by the sweep after its death.

    def _advance(self, state: State) -> Moves:
        if state.run in ("running", "cancelling") and set(state.steps) <= set(OVER):
            yield self._close(state)
        elif state.run == "compensating" and self.without != "no sweep for compensating runs":
            yield from self._go_on(state)

    def _go_on(self, state: State) -> Moves:
        if not state.undos and "inserted after the run is compensating" in self.without:
            yield "insert the undos", self._insert(state)
        if all(undo.status in OVER for undo in state.undos):
            yield f"the run ends {self._ends_as(state)}", state._replace(run=self._ends_as(state))
        for place, undo in enumerate(state.undos):
            if undo.status == "pending":
                yield from self._start(state, place, undo)

    def _ends_as(self, state: State) -> str:
        forgets = "does not remember how it ends" in self.without
        return "failed" if forgets else state.ends_as

    def _close(self, state: State) -> tuple[str, State]:
        as_asked = "cancelled" if state.run == "cancelling" else "failed" if "failed" in state.steps else "succeeded"
        due = tuple(place for place in reversed(state.finished) if place in UNDONE)
        state = state._replace(should_end=as_asked)
        if as_asked == "succeeded" or not due:
            return f"the run ends {as_asked}", state._replace(run=as_asked)
        state = state._replace(due=due)
        if "the database ends the run" in self.without:
            return f"the run ends {as_asked}", state._replace(run=as_asked)
        compensating = state._replace(run="compensating", ends_as=as_asked)
        later = "inserted after the run is compensating" in self.without
        return "compensate", compensating if later else self._insert(compensating)

    def _insert(self, state: State) -> State:
        order = state.due
        if "an undo for every step" in self.without:
            order = (*state.due, *(place for place in UNDONE if place not in state.due))
        elif "in the order of finishing" in self.without:
            order = order[::-1]
        elif "told by a clock" in self.without:
            told = dict(zip(state.finished, state.clock, strict=True))
            order = tuple(sorted(order, key=lambda place: -told[place]))
        chained = "not chained" not in self.without
        undos = tuple(
            Undo(of, n - 1, "pending") if n and chained else Undo(of, None, "ready") for n, of in enumerate(order)
        )
        return state._replace(undos=(*state.undos, *undos))

    def _start(self, state: State, place: int, undo: Undo) -> Moves:
        assert undo.after is not None
        before = state.undos[undo.after]
        if before.status in ("succeeded", "failed"):
            if before.status == "failed" and "waits for the success of the one before" in self.without:
                yield "skip an undo", _undo(state, place, undo._replace(status="skipped"))
            else:
                yield "an undo is ready", _undo(state, place, undo._replace(status="ready"))
        elif before.status in ("skipped", "cancelled"):
            yield "skip an undo", _undo(state, place, undo._replace(status="skipped"))

    # Workers.

    def _undos(self, state: State) -> Moves:
        for place, undo in enumerate(state.undos):
            if undo.status == "ready":
                ran = state.ran if undo.attempt else (*state.ran, undo.of)
                claimed = undo._replace(status="running", attempt=undo.attempt + 1)
                yield "claim an undo", _undo(state, place, claimed)._replace(ran=ran)
            elif undo.status == "running":
                yield "undo succeeds", self._end_undo(state, place, "succeeded")
                yield "undo fails", self._end_undo(state, place, "failed")
                if state.deaths:  # by the reaper, which dies before it advances the run
                    dead = state._replace(deaths=state.deaths - 1)
                    yield "give up", _undo(dead, place, undo._replace(status="failed", recorded=undo.recorded + 1))
                if state.deaths:
                    lost = _undo(state, place, undo._replace(status="ready"))._replace(deaths=state.deaths - 1)
                    yield "reap", lost._replace(zombies=(*state.zombies, (place, undo.attempt)))
        for place, _ in state.zombies:
            if "the end of an undo is not fenced" in self.without:
                late = self._end_undo(state, place, "succeeded")
                yield "a late worker ends an undo", late._replace(zombies=())
            else:
                yield "fenced", state._replace(zombies=())

    def _end_undo(self, state: State, place: int, status: Literal["succeeded", "failed"]) -> State:
        undo = state.undos[place]
        after = _undo(state, place, undo._replace(status=status, recorded=undo.recorded + 1))
        if "inserted again after each" in self.without and len(state.undos) < 4:
            return self._insert(after)
        if (
            self.without == "no sweep for compensating runs"
        ):  # then who ends an undo goes on by itself, but only who ends
            return next((further for _, further in self._go_on(after)), after)
        return after


def _undo(state: State, place: int, undo: Undo) -> State:
    return state._replace(undos=put(state.undos, place, undo))
