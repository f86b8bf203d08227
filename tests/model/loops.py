"""The model of a loop step of two passes: each attempt looks at the last pass and either waits, expands or ends."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

MAX = 2

TWO_OPEN = "LOOP two passes were open at once"
TOO_MANY = "LOOP there were more passes than the loop allows"
NO_LEASE = "expanding does not assert the lease"
MUTANTS: dict[tuple[str, ...], str] = {
    ("an attempt does not look whether the last pass is open",): TWO_OPEN,
    ("a pass has the number of the attempt",): TWO_OPEN,
    (NO_LEASE, "a pass is numbered as it is inserted"): TWO_OPEN,
    ("a pass and its steps are inserted one after the other",): NEVER_ENDS,
    ("parking does not look at the last pass",): NEVER_ENDS,
    ("the end of a pass does not wake the loop",): NEVER_ENDS,
}
ENOUGH: list[tuple[str, ...]] = [(NO_LEASE,), ("a pass is numbered as it is inserted",)]
"""A late worker is refused by its lease; or, by the key of frames, inserts what is there already."""
MUST_HAPPEN = {"expand", "the pass has ended", "wait", "wake", "reap", "fenced"}


class Worker(NamedTuple):
    phase: Literal["idle", "claimed", "expanded", "parking"] = "idle"
    attempt: int = 0
    plan: Literal["expand", "park", "end"] = "park"
    number: int = 0
    ended: bool = False


class State(NamedTuple):
    step: Literal["ready", "running", "waiting", "succeeded"] = "ready"
    attempt: int = 0
    passes: tuple[str, ...] = ()
    """Each open or ended; `bare`: its steps are not there yet."""
    lock: str = ""
    workers: tuple[Worker, ...] = (Worker(), Worker())
    troubles: int = 2

    def worker(self, number: int, worker: Worker) -> "State":
        return self._replace(workers=put(self.workers, number, worker))


Moves = Iterator[tuple[str, State]]


class Loops:
    """The model: workers that die or lose their lease, and whoever ends the passes."""

    def __init__(self, *without: str) -> None:
        self.without = without

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return state.step == "succeeded" and "open" not in state.passes

    def broken(self, state: State) -> Iterator[str]:
        if state.passes.count("open") > 1:
            yield TWO_OPEN
        if len(state.passes) > MAX or (state.step == "succeeded" and "open" in state.passes):
            yield TOO_MANY

    def transitions(self, state: State) -> Moves:
        for number, worker in enumerate(state.workers):
            if worker.phase == "idle":
                if state.step == "ready" and Worker() not in state.workers[:number]:
                    yield "claim", self._claim(state, number)
            else:
                yield from self._work(state, number, worker)
                if state.troubles:
                    lock = "" if state.lock == f"w{number}" else state.lock
                    dead = state._replace(troubles=state.troubles - 1, lock=lock)
                    yield "worker dies", dead.worker(number, Worker())
        yield from self._others(state)

    def _claim(self, state: State, number: int) -> State:
        attempt = state.attempt + 1
        following = len(state.passes) + 1
        looks = "an attempt does not look whether the last pass is open" not in self.without
        plan: Literal["expand", "park", "end"] = "expand"
        if "a pass has the number of the attempt" in self.without:
            following = min(attempt, MAX)
        elif state.passes and state.passes[-1] != "ended" and looks:
            plan = "park"
        if plan == "expand" and len(state.passes) >= MAX and state.passes[-1] == "ended":
            plan = "end"
        held = state._replace(step="running", attempt=attempt)
        return held.worker(number, Worker("claimed", attempt, plan, following))

    def _work(self, state: State, number: int, worker: Worker) -> Moves:
        if worker.phase == "parking":
            name, status = ("the pass has ended", "ready") if worker.ended else ("wait", "waiting")
            parked = state._replace(step=status, lock="")  # type: ignore[arg-type]  # one of the two above
            yield name, parked.worker(number, Worker())
        elif not state.lock:
            holds = state.step == "running" and state.attempt == worker.attempt
            expands = worker.phase == "claimed" and worker.plan == "expand"
            if not holds and not (expands and NO_LEASE in self.without):
                yield "fenced", state.worker(number, Worker())
            elif expands:
                yield "expand", self._expand(state, worker).worker(number, worker._replace(phase="expanded"))
            elif worker.plan == "end":
                yield "end", state._replace(step="succeeded").worker(number, Worker())
            else:
                yield from self._finish_expanding(state, number, worker)

    def _finish_expanding(self, state: State, number: int, worker: Worker) -> Moves:
        if worker.phase == "expanded" and state.passes[-1] == "bare":
            yield "insert steps", state._replace(passes=(*state.passes[:-1], "open"))
        else:
            looks = "parking does not look at the last pass" not in self.without
            ended = looks and state.passes[-1] == "ended"
            yield (
                "look",
                state._replace(lock=f"w{number}").worker(number, worker._replace(phase="parking", ended=ended)),
            )

    def _expand(self, state: State, worker: Worker) -> State:
        number = worker.number
        if "a pass is numbered as it is inserted" in self.without:
            number = len(state.passes) + 1
        if number <= len(state.passes):  # the key of frames: it is there already
            return state
        bare = "a pass and its steps are inserted one after the other" in self.without
        return state._replace(passes=(*state.passes, "bare" if bare else "open"))

    def _others(self, state: State) -> Moves:
        held = any(worker.phase != "idle" and worker.attempt == state.attempt for worker in state.workers)
        if state.step == "running" and not state.lock and (state.troubles or not held):
            yield "reap", state._replace(step="ready", troubles=state.troubles - held)
        for place, one in enumerate(state.passes):
            if one == "open" and not state.lock:
                ended = state._replace(passes=put(state.passes, place, "ended"))
                wakes = state.step == "waiting" and "the end of a pass does not wake the loop" not in self.without
                yield ("wake", ended._replace(step="ready")) if wakes else ("end a pass", ended)
