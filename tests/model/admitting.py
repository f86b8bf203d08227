"""The model of admission: five runs, two that share a key of which one may go on at a time, and two in all.

The last run is a child of the first, which waits for it: it goes on in its parent's place.

Accepting and admitting count under one lock. Admitting is a transaction of its own, after the end of a run or by the
sweep: whoever ends a run holds that run, and must not wait for another while it does.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.checker import NEVER_ENDS, put

TOO_MANY = "LIMIT more runs went on than may"
WOKEN = "LIMIT a run that had ended was admitted"
KEYS = ("a", "b", "b", "c", "d")
IN_ALL, OF_A_KEY = 2, 1
PARENT, CHILD = 0, 4

MUTANTS: dict[str, str] = {
    "accepting takes no lock": TOO_MANY,
    "accepting counts before it locks": TOO_MANY,
    "admitting takes no lock": TOO_MANY,
    "admitting does not look at the key": TOO_MANY,
    "a resumed run goes on, though it was queued when it was paused": TOO_MANY,
    "admitting does not look whether the run is still queued": WOKEN,
    "admitting in the transaction that ends another run": NEVER_ENDS,
}
QUIET_MUTANTS: dict[str, str] = {
    "only who ends a run admits, no sweep": NEVER_ENDS,
    "admitting looks only at the first of the queue": NEVER_ENDS,
    "a run that was paused in the queue takes a place": NEVER_ENDS,
    "a child waits for a place while its parent holds one": NEVER_ENDS,
}
"""What a cancellation would hide."""
MUST_HAPPEN = {"queue", "start", "admit", "end", "cancel", "pause", "resume", "die before admitting", "stay"} | {
    "it is not queued any more"
}


class State(NamedTuple):
    runs: tuple[str, ...] = ("",) * len(KEYS)
    """Each queued, paused (from the queue), left (paused for good), running, staying (for ever), or ended."""
    lock: str = ""
    decided: tuple[str, ...] = ("",) * len(KEYS)
    """What accepting has decided about each and not yet committed."""
    chosen: tuple[int | None, int | None] = (None, None)
    """The run that each of two admitters has chosen and not yet started."""
    due: bool = False
    """Who ended a run has still to admit another."""
    ending: int | None = None
    """The run whose lock is held by who ends it, where that takes longer."""
    woken: bool = False
    cancels: int = 0
    pauses: int = 1


Moves = Iterator[tuple[str, State]]


class Admitting:
    """The model: accepts, ends, cancellations and sweeps, in any order and side by side."""

    def __init__(self, without: str = "", *, cancels: int = 1) -> None:
        self.without, self.cancels = without, cancels

    def initial(self) -> State:
        return State(cancels=self.cancels)

    def ended(self, state: State) -> bool:
        at_rest = not any(state.decided) and state.chosen == (None, None) and state.ending is None
        queued = [run for run, status in enumerate(state.runs) if status == "queued"]
        left = [run for run, status in enumerate(state.runs) if status == "" and run != CHILD]
        waits = state.runs[PARENT] in ("running", "staying") and state.runs[CHILD] in ("", "queued")
        return at_rest and not left and not waits and not any(_room(state.runs, run) for run in queued)

    def broken(self, state: State) -> Iterator[str]:
        going_on = [run for run, status in enumerate(state.runs) if status in ("running", "staying")]
        keys = [KEYS[run] for run in going_on]
        if len([run for run in going_on if run != CHILD]) > IN_ALL or len(set(keys)) < len(keys):
            yield TOO_MANY
        if state.woken:
            yield WOKEN

    def transitions(self, state: State) -> Moves:
        for run, status in enumerate(state.runs):
            if status == "":
                if run != CHILD or state.runs[PARENT] in ("running", "staying"):
                    yield from self._accept(state, run)
            elif state.ending != run:
                yield from self._life(state, run, status)
        for number, chosen in enumerate(state.chosen):
            if chosen is not None:
                yield from self._start(state, number, chosen)
            elif number == 0 or state.chosen[0] is not None:
                yield from self._choose(state, number)
        if state.due:
            yield "die before admitting", state._replace(due=False)
        if state.ending is not None and not state.lock:
            yield "end and admit", self._end_and_admit(state, state.ending)

    def _fits(self, state: State, run: int) -> bool:
        runs = state.runs
        if self.without == "a run that was paused in the queue takes a place":
            runs = tuple("running" if status in ("paused", "left") else status for status in runs)
        if self.without == "admitting does not look at the key":
            return _in_all(runs) < IN_ALL
        if run == CHILD and self.without.startswith("a child waits for a place") and _in_all(runs) >= IN_ALL:
            return False
        return _room(runs, run)

    def _accept(self, state: State, run: int) -> Moves:
        me = f"accept {run}"
        early = self.without == "accepting counts before it locks"
        free = self.without == "accepting takes no lock"
        if state.decided[run]:
            if state.lock == me or free or (early and not state.lock):
                committed = state._replace(
                    runs=put(state.runs, run, state.decided[run]), decided=put(state.decided, run, ""), lock=""
                )
                yield "start" if state.decided[run] == "running" else "queue", committed
            return
        turn = run == CHILD or all(state.runs[:run]) or any(state.decided)  # in their order, to have fewer states
        if turn and (free or early or not state.lock):
            decided = "running" if self._fits(state, run) else "queued"
            lock = state.lock if free or early else me
            yield "count", state._replace(decided=put(state.decided, run, decided), lock=lock)

    def _life(self, state: State, run: int, status: str) -> Moves:
        longer = self.without == "admitting in the transaction that ends another run"
        ends = status == "running" and (run != PARENT or state.runs[CHILD] == "ended")
        if status == "running" and run != CHILD:
            yield "stay", _run(state, run, "staying")
        if ends or (status == "queued" and state.cancels):
            name = "end" if status == "running" else "cancel"
            ended = state._replace(cancels=state.cancels - (status == "queued"))
            if not longer:
                yield name, _run(ended, run, "ended")._replace(due=True)
            elif state.ending is None:
                yield name, ended._replace(ending=run)
        if status == "queued" and state.pauses:
            yield "pause", _run(state, run, "paused")._replace(pauses=state.pauses - 1)
        if status == "paused":
            again = "running" if self.without.startswith("a resumed run goes on") else "queued"
            yield "resume", _run(state, run, again)
            yield "leave paused", _run(state, run, "left")

    def _choose(self, state: State, number: int) -> Moves:
        lockless = self.without == "admitting takes no lock"
        if (state.lock and not lockless) or (not state.due and self.without.startswith("only who ends a run")):
            return
        queued = [run for run, status in enumerate(state.runs) if status == "queued"]
        if self.without == "admitting looks only at the first of the queue":
            queued = queued[:1]
        fitting = [run for run in queued if self._fits(state, run) and run not in state.chosen]
        if fitting:
            lock = state.lock if lockless else f"admit {number}"
            yield "choose", state._replace(chosen=_chosen(state, number, fitting[0]), lock=lock, due=False)

    def _start(self, state: State, number: int, run: int) -> Moves:
        if state.ending == run:
            return  # its lock is waited for
        lock = "" if state.lock == f"admit {number}" else state.lock
        done = state._replace(chosen=_chosen(state, number, None), lock=lock)
        if state.runs[run] == "queued":
            yield "admit", _run(done, run, "running")
        elif self.without == "admitting does not look whether the run is still queued":
            yield "admit", _run(done, run, "running")._replace(woken=state.runs[run] == "ended")
        else:
            yield "it is not queued any more", done

    def _end_and_admit(self, state: State, run: int) -> State:
        ended = _run(state, run, "ended")._replace(ending=None)
        queued = [other for other, status in enumerate(ended.runs) if status == "queued" and self._fits(ended, other)]
        return _run(ended, queued[0], "running") if queued else ended


def _in_all(runs: tuple[str, ...]) -> int:
    return sum(status in ("running", "staying") for run, status in enumerate(runs) if run != CHILD)


def _room(runs: tuple[str, ...], run: int) -> bool:
    of_key = [key for key, status in zip(KEYS, runs, strict=True) if status in ("running", "staying")].count(KEYS[run])
    return of_key < OF_A_KEY and (run == CHILD or _in_all(runs) < IN_ALL)


def _run(state: State, run: int, status: str) -> State:
    return state._replace(runs=put(state.runs, run, status))


def _chosen(state: State, number: int, run: int | None) -> tuple[int | None, int | None]:
    first, second = state.chosen
    return (run, second) if number == 0 else (first, run)
