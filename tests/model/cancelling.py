"""The model of cancelling a run while its one running step prepares calls, at the grain of row locks.

The request is acknowledged when its transaction has committed. From then on nothing may be prepared (INV16), and the
run must end: with its last step, or by the sweep if whoever ended that step died before advancing the run.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

INV16 = "INV16 a call was prepared after the cancellation was acknowledged"
MUTANTS = {
    "prepare does not look at the request": INV16,
    "prepare looks without locking the step": INV16,
    "cancel marks only steps that do not run": INV16,
    "the last step does not end the run, nor does the sweep": "INV2 the run can never end",
    "the reaper makes a step ready that was asked to stop": "INV8 a step started in a run that is being cancelled",
    "no sweep for runs without an open step": "INV2 the run can never end",
}


class State(NamedTuple):
    run: Literal["running", "cancelling", "cancelled", "succeeded"] = "running"
    step: Literal["ready", "running", "succeeded", "cancelled"] = "running"
    requested: bool = False
    """The mark on the step by which cancelling asks it to stop."""
    lock: Literal["free", "worker", "canceller"] = "free"
    worker: Literal["working", "looked", "prepared", "told to stop", "gone"] = "working"
    canceller: Literal["thinking", "locked", "acknowledged", "too late"] = "thinking"
    calls: int = 0
    late_call: bool = False
    late_start: bool = False
    deaths: int = 1


OPEN = ("ready", "running")
Moves = Iterator[tuple[str, State]]


class Cancelling:
    """The model: one worker that prepares up to two calls and completes, one person who cancels, the reaper."""

    def __init__(self, without: str = "") -> None:
        self.without = without

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return state.run in ("cancelled", "succeeded")

    def broken(self, state: State) -> Iterator[str]:
        if state.late_call:
            yield INV16
        if state.late_start:
            yield "INV8 a step started in a run that is being cancelled"
        if state.run in ("cancelled", "succeeded") and state.step in OPEN:
            yield "INV6 a run ended with an open step"

    def transitions(self, state: State) -> Moves:
        yield from self._worker(state)
        yield from self._canceller(state)
        yield from self._others(state)

    def _worker(self, state: State) -> Moves:
        match state.worker:
            case "working" if state.lock == "free" and state.calls < 2:
                yield from self._look(state)
            case "looked":
                late = state.late_call or state.canceller == "acknowledged"
                lock = "free" if state.lock == "worker" else state.lock
                yield (
                    "prepare commits",
                    state._replace(worker="prepared", lock=lock, calls=state.calls + 1, late_call=late),
                )
            case "prepared":
                yield "send and record", state._replace(worker="working")
            case "told to stop" if state.lock == "free":
                yield "stop", self._end(state._replace(worker="gone", step="cancelled"))
        if state.worker == "working" and state.lock == "free":
            yield "complete", self._end(state._replace(worker="gone", step="succeeded"))

    def _look(self, state: State) -> Moves:
        lock: Literal["free", "worker"] = "worker"
        if self.without == "prepare looks without locking the step":
            lock = "free"
        if state.requested and self.without != "prepare does not look at the request":
            yield "prepare is refused", state._replace(worker="told to stop")
        else:
            yield "prepare looks", state._replace(worker="looked", lock=lock)

    def _canceller(self, state: State) -> Moves:
        if state.canceller == "thinking" and state.lock == "free":
            if state.run != "running":
                yield "cancel comes too late", state._replace(canceller="too late")
            else:
                yield "cancel locks", state._replace(canceller="locked", lock="canceller")
        elif state.canceller == "locked":
            asked = state._replace(canceller="acknowledged", lock="free", run="cancelling")
            if state.step == "ready":
                yield "cancel commits", self._end(asked._replace(step="cancelled"))
            elif state.step == "running":
                marks = self.without != "cancel marks only steps that do not run"
                yield "cancel commits", asked._replace(requested=marks)
            else:
                yield "cancel commits", self._end(asked)

    def _end(self, state: State) -> State:
        """What a transaction that ends a step does about its run."""
        if state.step in OPEN or self.without == "the last step does not end the run, nor does the sweep":
            return state
        if state.run == "cancelling":
            return state._replace(run="cancelled")
        return state._replace(run="succeeded") if state.step == "succeeded" else state

    def _others(self, state: State) -> Moves:
        if state.deaths and state.worker != "gone":
            lock = "free" if state.lock == "worker" else state.lock
            yield "worker dies", state._replace(worker="gone", lock=lock, deaths=state.deaths - 1)
        if state.worker == "gone" and state.step == "running" and state.lock == "free":
            stops = state.requested and self.without != "the reaper makes a step ready that was asked to stop"
            # The reaper ends the step and advances the run in another transaction, before which it may die.
            yield "reap", state._replace(step="cancelled" if stops else "ready", requested=False)
        if state.step == "ready" and state.lock == "free":
            late = state.canceller == "acknowledged"
            yield "claim", state._replace(step="running", worker="working", late_start=state.late_start or late)
        if self.without != "no sweep for runs without an open step":
            yield "sweep", self._end(state)
