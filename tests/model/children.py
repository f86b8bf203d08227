"""The model of a step that runs another workflow: its child run, the wake-up when that ends, and the cancellation.

The child is accepted under the lease of the step. A step whose child failed may be attempted again, with another child
in its place; one whose attempt failed while its child goes on keeps it. Whoever ends a child wakes the step in a
transaction of its own, which may be lost. Cancelling asks the parent first and then its children, each in a
transaction of its own, and is answered after the last; whoever cancels may die between any two.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

TWO = "RUN a step has two children that go on"
LATE_CHILD = "INV16 a child was accepted after the cancellation was acknowledged"
LATE_CALL = "INV16 a child prepared a call after the cancellation was acknowledged"
NO_LOOK = "parking does not look whether the child has ended"
NO_SWEEP = "no sweep for steps whose child has ended"

MUTANTS: dict[tuple[str, ...], str] = {
    ("no key on the child of a step",): TWO,
    ("a retry forgets its child although it goes on",): TWO,
    ("accepting does not look whether the step was asked to stop",): LATE_CHILD,
    ("accepting does not assert the lease",): LATE_CHILD,
    ("a request is answered before the children are asked to stop",): LATE_CALL,
    ("children are looked up before the parent is locked",): LATE_CALL,
    ("a repeated request is answered without a look at the children",): LATE_CALL,
    ("no sweep for children whose parent has ended",): NEVER_ENDS,
}
QUIET_MUTANTS: dict[tuple[str, ...], str] = {
    (NO_SWEEP,): NEVER_ENDS,
    (NO_SWEEP, NO_LOOK): NEVER_ENDS,
}
"""What a cancellation would hide."""
LATE_MUTANTS: dict[tuple[str, ...], str] = {
    ("no sweep for children whose parent has ended",): NEVER_ENDS,
    ("the sweep looks for children of cancelled runs only",): NEVER_ENDS,
}
ENOUGH: list[tuple[str, ...]] = [(NO_LOOK,)]
"""The sweep finds a step that waits for what has ended, though later."""
MUST_HAPPEN = {"accept", "the child has ended", "wait", "wake", "sweep wakes", "accept again", "reap", "fenced"} | {
    "accept is refused",
    "cancel the child",
    "sweep cancels the child",
    "acknowledge",
    "the canceller dies",
    "child fails",
    "retry",
    "the attempt fails",
}
OVER = ("succeeded", "failed", "cancelled")


class Worker(NamedTuple):
    phase: Literal["idle", "claimed", "accepted", "parking"] = "idle"
    attempt: int = 0
    ended: bool = False


class State(NamedTuple):
    step: Literal["ready", "running", "waiting", "succeeded", "failed", "cancelled"] = "ready"
    attempt: int = 0
    asked: bool = False
    """The step was asked to stop."""
    lock: str = ""
    children: tuple[str, ...] = ()
    """Each open, endless (it waits for something that will not come), ended, failed or cancelled."""
    current: int | None = None
    """Which of them counts: the step has no other child to wait for."""
    retries: int = 1
    wake_due: bool = False
    workers: tuple[Worker, ...] = (Worker(), Worker())
    canceller: Literal["thinking", "looked up", "locked", "asked", "acknowledged"] = "thinking"
    looked_up: int | None = None
    """How many children there were when it looked for them too early."""
    late_child: bool = False
    late_call: bool = False
    troubles: int = 1
    requests: int = 0

    def worker(self, number: int, worker: Worker) -> "State":
        return self._replace(workers=put(self.workers, number, worker))


Moves = Iterator[tuple[str, State]]


class Children:
    """The model. `late`: the deadline of the parent step may pass. `requests`: how often somebody cancels."""

    def __init__(self, *without: str, late: bool = False, requests: int = 2) -> None:
        self.without, self.late, self.requests = without, late, requests

    def initial(self) -> State:
        return State(requests=self.requests)

    def ended(self, state: State) -> bool:
        going_on = {"open", "endless"} & set(state.children)
        waits = state.step == "waiting" and "endless" in state.children
        return waits or (state.step in OVER and not going_on)

    def broken(self, state: State) -> Iterator[str]:
        if len([child for child in state.children if child in ("open", "endless")]) > 1:
            yield TWO
        if state.late_child:
            yield LATE_CHILD
        if state.late_call:
            yield LATE_CALL

    def transitions(self, state: State) -> Moves:
        for number, worker in enumerate(state.workers):
            if worker.phase == "idle":
                if state.step == "ready" and not state.lock and Worker() not in state.workers[:number]:
                    held = state._replace(step="running", attempt=state.attempt + 1)
                    yield "claim", held.worker(number, Worker("claimed", held.attempt))
            else:
                yield from self._work(state, number, worker)
                if state.troubles:
                    lock = "" if state.lock == f"w{number}" else state.lock
                    dead = state._replace(troubles=state.troubles - 1, lock=lock)
                    yield "worker dies", dead.worker(number, Worker())
        yield from self._child(state)
        yield from self._canceller(state)
        yield from self._others(state)

    def _work(self, state: State, number: int, worker: Worker) -> Moves:
        if worker.phase == "parking":
            name, status = ("the child has ended", "ready") if worker.ended else ("wait", "waiting")
            parked = state._replace(step=status, lock="")  # type: ignore[arg-type]  # one of the two above
            yield name, parked.worker(number, Worker())
            return
        if state.lock:
            return
        holds = state.step == "running" and state.attempt == worker.attempt
        careless = worker.phase == "claimed" and "accepting does not assert the lease" in self.without
        ended = self._child_ended(state)
        if not holds and not careless:
            yield "fenced", state.worker(number, Worker())
        elif holds and worker.phase == "claimed" and ended:
            yield self._collect(state, number)
        elif worker.phase == "claimed":
            yield from self._accept(state, number, worker)
            if holds and state.current is not None and state.retries and not state.asked:
                forgets = "a retry forgets its child although it goes on" in self.without
                again = state._replace(current=None if forgets else state.current)
                yield "the attempt fails", _retry(again).worker(number, Worker())
        elif state.asked:
            yield "stop", state._replace(step="cancelled").worker(number, Worker())
        else:
            looked = ended and NO_LOOK not in self.without
            yield (
                "look",
                state._replace(lock=f"w{number}").worker(number, worker._replace(phase="parking", ended=looked)),
            )

    def _child_ended(self, state: State) -> bool:
        return state.current is not None and state.children[state.current] not in ("open", "endless")

    def _collect(self, state: State, number: int) -> tuple[str, State]:
        assert state.current is not None
        if state.asked:
            return "collect", state._replace(step="cancelled").worker(number, Worker())
        if state.children[state.current] != "failed":
            return "collect", state._replace(step="succeeded").worker(number, Worker())
        if state.retries:
            return "retry", _retry(state._replace(current=None)).worker(number, Worker())
        return "collect a failure", state._replace(step="failed").worker(number, Worker())

    def _accept(self, state: State, number: int, worker: Worker) -> Moves:
        accepted = worker._replace(phase="accepted")
        if state.asked and "accepting does not look whether the step was asked to stop" not in self.without:
            yield "accept is refused", state._replace(step="cancelled").worker(number, Worker())
        elif state.current is not None and "no key on the child of a step" not in self.without:
            yield "accept again", state.worker(number, accepted)
        else:
            late = state.late_child or state.canceller == "acknowledged"
            for name, child in (("accept", "open"), ("accept an endless child", "endless")):
                there = (*state.children, child)
                grown = state._replace(children=there, current=len(state.children), late_child=late)
                yield name, grown.worker(number, accepted)

    def _child(self, state: State) -> Moves:
        for place, child in enumerate(state.children):
            if child == "open":
                yield "child ends", state._replace(children=put(state.children, place, "ended"), wake_due=True)
                yield "child fails", state._replace(children=put(state.children, place, "failed"), wake_due=True)
            if child in ("open", "endless") and state.canceller == "acknowledged":
                yield "child prepares a call", state._replace(late_call=True)
        if state.wake_due and not state.lock:
            yield "wake", _wake(state)._replace(wake_due=False)
            yield "the wake-up is lost", state._replace(wake_due=False)

    def _canceller(self, state: State) -> Moves:
        locked = state._replace(canceller="locked", lock="canceller")
        match state.canceller:
            case "thinking" if state.requests and not state.lock:
                asking = state._replace(requests=state.requests - 1)
                if state.asked or state.step == "cancelled":
                    yield "ask again", self._ask_again(asking)
                elif state.step not in OVER:
                    if "children are looked up before the parent is locked" in self.without:
                        yield "look up", asking._replace(canceller="looked up", looked_up=len(state.children))
                    else:
                        yield "lock the parent", locked._replace(requests=state.requests - 1)
            case "looked up" if not state.lock and state.step not in OVER:
                yield "lock the parent", locked
            case "looked up" if not state.lock:
                yield "cancel comes too late", state._replace(canceller="thinking")
            case "locked":
                yield "cancel the parent", self._answer_early(_ask(state))
            case "asked":
                yield from self._cancel_children(state)

    def _cancel_children(self, state: State) -> Moves:
        going_on = [place for place, child in enumerate(state.children) if child in ("open", "endless")]
        if going_on and (state.looked_up is None or going_on[0] < state.looked_up):
            yield "cancel the child", _cancel_child(state, going_on[0])
        else:
            yield "acknowledge", state._replace(canceller="acknowledged")
        yield "the canceller dies", state._replace(canceller="thinking")

    def _ask_again(self, state: State) -> State:
        blind = "a repeated request is answered without a look at the children" in self.without
        return state._replace(canceller="acknowledged" if blind else "asked", looked_up=None)

    def _answer_early(self, state: State) -> State:
        early = "a request is answered before the children are asked to stop" in self.without
        return state._replace(canceller="acknowledged") if early else state

    def _others(self, state: State) -> Moves:
        held = any(worker.phase != "idle" and worker.attempt == state.attempt for worker in state.workers)
        if state.step == "running" and not state.lock and (state.troubles or not held):
            status: Literal["cancelled", "ready"] = "cancelled" if state.asked else "ready"
            yield "reap", state._replace(step=status, troubles=state.troubles - held)
        if self._child_ended(state) and not state.lock and NO_SWEEP not in self.without and state.step == "waiting":
            yield "sweep wakes", _wake(state)
        if self.late and state.step == "waiting" and not state.lock:
            yield "deadline", state._replace(step="failed")
        sweeps = state.step in OVER and "no sweep for children whose parent has ended" not in self.without
        if "the sweep looks for children of cancelled runs only" in self.without:
            sweeps = state.step == "cancelled"
        for place, child in enumerate(state.children):
            if sweeps and child in ("open", "endless"):
                yield "sweep cancels the child", _cancel_child(state, place)


def _ask(state: State) -> State:
    asked = state._replace(canceller="asked", lock="")
    if state.step == "running":
        return asked._replace(asked=True)
    return asked if state.step in OVER else asked._replace(step="cancelled")


def _retry(state: State) -> State:
    return state._replace(step="ready", retries=state.retries - 1)


def _wake(state: State) -> State:
    return state._replace(step="ready") if state.step == "waiting" else state


def _cancel_child(state: State, place: int) -> State:
    return state._replace(children=put(state.children, place, "cancelled"), wake_due=True)
