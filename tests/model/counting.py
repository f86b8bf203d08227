"""The model of runs that a budget of runs makes wait: three runs, room for one, and for two once the limit is raised.

A run is looked at without locks first: it is accepted to begin, and counted with that, or to wait. Whoever admits looks
without locks, too, and then counts as it lets the run begin, under the lock of the budget. A person may pause what
waits, and resume it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.checker import NEVER_ENDS, put

TOO_MANY = "INV3 more runs began than the budget allowed"
TWICE = "INV3 a run is not counted once"
WOKEN = "LIMIT a run that had ended was admitted"

MUTANTS: dict[str, str] = {
    "admitting does not count": TWICE,
    "admitting counts what it has looked at, without a lock": TOO_MANY,
    "accepting counts what it has looked at, without a lock": TOO_MANY,
    "what waits is counted when it is accepted, too": TWICE,
    "a resumed run goes on, though it was not counted": TWICE,
    "admitting does not look whether the run is still queued": WOKEN,
}
QUIET_MUTANTS: dict[str, str] = {
    "only who raises the limit admits, no sweep": NEVER_ENDS,
    "what was judged to have room fails where it has none": NEVER_ENDS,
}
"""What a cancellation would hide."""
MUST_HAPPEN = {"begin", "wait", "judge again", "choose", "admit", "no room any more", "raise", "die", "cancel"} | {
    "pause",
    "resume",
    "it is not queued any more",
}


class State(NamedTuple):
    runs: tuple[str, ...] = ("",) * 3
    """Each judged (to have room), waits, paused, begun, cancelled, or lost: accepted by nobody."""
    counted: tuple[int, ...] = (0,) * 3
    chosen: tuple[int | None, int | None] = (None, None)
    """The run that each of two admitters has looked at."""
    limit: int = 1
    due: bool = False
    """Who raised the limit has still to admit."""
    pauses: int = 1
    woken: bool = False


Moves = Iterator[tuple[str, State]]


class Counting:
    """The model: accepts, admissions, a raise, a pause and a cancellation, in any order and side by side."""

    def __init__(self, without: str = "", *, cancels: bool = True) -> None:
        self.without, self.cancels = without, cancels

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        room = sum(state.counted) < state.limit
        waits = any(run in ("waits", "paused") for run in state.runs)
        return state.limit == 2 and not {"", "judged", "lost"} & {*state.runs} and not (room and waits)

    def broken(self, state: State) -> Iterator[str]:
        if sum(state.counted) > state.limit:
            yield TOO_MANY
        for run, counted in zip(state.runs, state.counted, strict=True):
            if counted != (run == "begun") and run != "cancelled":
                yield TWICE
        if state.woken:
            yield WOKEN

    def transitions(self, state: State) -> Moves:
        room = sum(state.counted) < state.limit
        for run in range(len(state.runs)):
            yield from self._life(state, run, room=room)
        yield from self._admit(state, room=room)
        if state.limit == 1:
            yield "raise", state._replace(limit=2, due=True)
        if state.due:
            yield "die", state._replace(due=False)

    def _life(self, state: State, run: int, *, room: bool) -> Moves:
        status = state.runs[run]
        if status == "" and all(state.runs[:run]):  # in their order, to have fewer states
            yield ("look", _run(state, run, "judged")) if room else ("wait", self._waits(state, run))
        elif status == "judged":
            yield self._accepted(state, run, room=room)
        elif status == "waits" and self.cancels:
            yield "cancel", _run(state, run, "cancelled")
        if status == "waits" and state.pauses:
            yield "pause", _run(state, run, "paused")._replace(pauses=state.pauses - 1)
        if status == "paused":
            again = "begun" if self.without.startswith("a resumed run goes on") else "waits"
            yield "resume", _run(state, run, again)

    def _admit(self, state: State, *, room: bool) -> Moves:
        for number, chosen in enumerate(state.chosen):
            if chosen is not None:
                yield self._admitted(_chosen(state, number, None), chosen, room=room)
            elif room and (state.due or not self.without.startswith("only who raises")):
                for run, status in enumerate(state.runs):
                    if status == "waits" and run not in state.chosen:
                        yield "choose", _chosen(state, number, run)

    def _waits(self, state: State, run: int) -> State:
        waits = _run(state, run, "waits")
        return _count(waits, run) if self.without.startswith("what waits is counted") else waits

    def _accepted(self, state: State, run: int, *, room: bool) -> tuple[str, State]:
        if room or self.without.startswith("accepting counts"):
            return "begin", _count(_run(state, run, "begun"), run)
        failed = self.without.startswith("what was judged to have room fails")
        return "judge again", _run(state, run, "lost" if failed else "")

    def _admitted(self, state: State, run: int, *, room: bool) -> tuple[str, State]:
        """One transaction, under the lock of the run and then of the budget."""
        if state.runs[run] != "waits":
            if not self.without.startswith("admitting does not look"):
                return "it is not queued any more", state
            state = state._replace(woken=state.runs[run] == "cancelled")
        if not room and not self.without.startswith("admitting counts"):
            return "no room any more", state
        begun = _run(state, run, "begun")
        return "admit", begun if self.without == "admitting does not count" else _count(begun, run)


def _chosen(state: State, number: int, run: int | None) -> State:
    first, second = state.chosen
    return state._replace(chosen=(run, second) if number == 0 else (first, run))


def _run(state: State, run: int, status: str) -> State:
    return state._replace(runs=put(state.runs, run, status))


def _count(state: State, run: int) -> State:
    return state._replace(counted=put(state.counted, run, state.counted[run] + 1))
