"""The model of ends that are recorded together: a worker that holds step 1 runs 2 and 3 ahead, in memory.

They are pure and local, so nothing has left. One transaction then records the end of 1 and the starts and ends of 2
and 3, with the calls they made: under the run's lock, with the shared lock of the kill switch, and only if everything
is still as if each of them had been claimed, prepared and completed just now. Otherwise 1 ends alone.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.checker import NEVER_ENDS, put

TWICE = "INV1 a result was recorded twice"
STALE = "INV7 a superseded attempt changed something"
INV16 = "INV16 a call was recorded after the cancellation was acknowledged"
REVIVED = "INV6 a step that had ended changed"
HELD = "HELD a step was started after the pause was acknowledged"
HALTED = "HALT a call was recorded after the stop was acknowledged"
POLICY = "INV4 a call was recorded that the rules of that moment do not allow"
EARLY = "INV8 a step started before what it needs had ended"

RUN, MARK, STATUS = (
    "the state of the run is not looked at",
    "the mark on step 1 is not looked at",
    "the statuses of the successors are not compared",
)
FENCED = "the successors are recorded although step 1 was fenced"
HOLD = "held steps are not looked at"
MUTANTS: dict[tuple[str, ...], str] = {
    ("the token of step 1 is not compared",): STALE,
    (FENCED,): STALE,
    (FENCED, STATUS): TWICE,
    (RUN, MARK, STATUS): REVIVED,
    (MARK, STATUS): REVIVED,
    (RUN, HOLD): HELD,
    ("halts are not looked at",): HALTED,
    ("halts are looked at without the lock of the kill switch",): HALTED,
    ("the version of the rules is not compared",): POLICY,
    ("what else the successors need is not looked at",): EARLY,
}
QUIET_MUTANTS: dict[tuple[str, ...], str] = {("what is refused is not left to others",): NEVER_ENDS}
"""What a cancellation would hide."""
ENOUGH: list[tuple[str, ...]] = [(RUN,), (MARK,), (STATUS,), (RUN, MARK), (RUN, STATUS), (HOLD,)]
"""Whatever cancels marks what runs and ends what waits; whatever pauses changes the run and marks its steps. So these
guards stand behind each other."""
MUST_HAPPEN = {"record the chain", "record step 1 alone", "fenced", "cancel the run", "cancel the frame", "pause"} | {
    "acknowledge the stop",
    "the rules change",
    "resume",
    "release",
}

STEPS = (0, 1, 2)
OVER = ("succeeded", "cancelled")


class Worker(NamedTuple):
    phase: Literal["idle", "claimed", "ran ahead", "locked"] = "idle"
    step: int = 0
    attempt: int = 0
    rules: int = 0
    """The version of the rules under which it ran ahead."""
    stopped: bool = False
    """It found a halt."""


class State(NamedTuple):
    steps: tuple[str, ...] = ("ready", "pending", "pending")
    attempts: tuple[int, ...] = (0, 0, 0)
    recorded: tuple[int, ...] = (0, 0, 0)
    run: Literal["running", "paused", "cancelling", "ended"] = "running"
    asked: frozenset[int] = frozenset()
    """The steps that were asked to stop while they ran."""
    held: bool = False
    """The mark on all steps."""
    other: Literal["open", "ended"] = "open"
    """Another step, which step 3 needs as well; or, where it has ended at once, does not."""
    rules: int = 1
    stop: Literal["", "asked", "stopped", "released"] = ""
    workers: tuple[Worker, ...] = (Worker(), Worker())
    run_lock: int | None = None
    wrong: str = ""
    troubles: int = 1
    pauses: int = 1

    def worker(self, number: int, worker: Worker) -> "State":
        return self._replace(workers=put(self.workers, number, worker))


Moves = Iterator[tuple[str, State]]


class Chaining:
    """The model. `other`: step 3 needs a step besides, which may still be open. `cancels`: somebody may cancel."""

    def __init__(self, *without: str, other: bool = False, cancels: bool = True) -> None:
        self.without, self.other, self.cancels = without, other, cancels

    def initial(self) -> State:
        return State(other="open" if self.other else "ended")

    def ended(self, state: State) -> bool:
        return state.run in ("ended", "paused") or state.stop == "stopped"

    def broken(self, state: State) -> Iterator[str]:
        if max(state.recorded) > 1:
            yield TWICE
        if state.wrong:
            yield state.wrong

    def transitions(self, state: State) -> Moves:
        for number, worker in enumerate(state.workers):
            if worker.phase != "idle":
                yield from self._work(state, number, worker)
            elif Worker() not in state.workers[:number] and not state.held and state.stop != "stopped":
                for step in STEPS:
                    if state.steps[step] == "ready":
                        yield "claim", self._claim(state, number, step)
        if state.run_lock is None:
            yield from self._people(state)
        yield from self._others(state)

    def _claim(self, state: State, number: int, step: int) -> State:
        attempt = state.attempts[step] + 1
        held = state._replace(steps=put(state.steps, step, "running"), attempts=put(state.attempts, step, attempt))
        return held.worker(number, Worker("claimed", step, attempt))

    def _work(self, state: State, number: int, worker: Worker) -> Moves:
        match worker.phase:
            case "claimed" if worker.step == 0:
                yield "run ahead", state.worker(number, worker._replace(phase="ran ahead", rules=state.rules))
            case "claimed" if state.run_lock is None:  # alone: prepared and completed, as in the other models
                yield "complete", self._complete(state, number, worker)
            case "ran ahead" if state.run_lock is None:
                lockless = "halts are looked at without the lock of the kill switch" in self.without
                if lockless or state.stop != "asked":
                    looked = worker._replace(phase="locked", stopped=state.stop == "stopped")
                    yield "lock and look", state._replace(run_lock=number).worker(number, looked)
            case "locked":
                yield self._record(state._replace(run_lock=None), number, worker)

    def _holds(self, state: State, worker: Worker) -> bool:
        return state.steps[worker.step] == "running" and state.attempts[worker.step] == worker.attempt

    def _complete(self, state: State, number: int, worker: Worker) -> State:
        after = state.worker(number, Worker())
        if not self._holds(state, worker):
            return after
        if worker.step in state.asked:
            return _advance(after._replace(steps=put(state.steps, worker.step, "cancelled")))
        return _advance(_succeed(after, worker.step))

    def _record(self, state: State, number: int, worker: Worker) -> tuple[str, State]:
        after = state.worker(number, Worker())
        holds = self._holds(state, worker)
        if not holds and "the token of step 1 is not compared" in self.without and state.steps[0] not in OVER:
            return "record the chain", self._chain(after, fenced=True)
        as_before = STATUS in self.without or state.steps[1:] == ("pending", "pending")
        if not holds and FENCED in self.without and as_before:
            return "record the chain", self._chain(after, fenced=True)
        if not holds:
            return "fenced", after
        if self._as_claimed(state, worker):
            if state.rules != worker.rules:
                after = after._replace(wrong=POLICY)
            return "record the chain", self._chain(after, fenced=False)
        alone = self._complete(state, number, worker)
        if "what is refused is not left to others" in self.without:
            alone = alone._replace(steps=(alone.steps[0], *state.steps[1:]))
        return "record step 1 alone", alone

    def _as_claimed(self, state: State, worker: Worker) -> bool:
        """Everything is as if the successors were claimed, prepared and completed in this moment."""
        guards = {
            RUN: state.run == "running",
            MARK: 0 not in state.asked,
            STATUS: state.steps[1:] == ("pending", "pending"),
            HOLD: not state.held,
            "halts are not looked at": not worker.stopped,
            "the version of the rules is not compared": state.rules == worker.rules,
            "what else the successors need is not looked at": state.other == "ended",
        }
        return all(kept or guard in self.without for guard, kept in guards.items())

    def _chain(self, state: State, *, fenced: bool) -> State:
        wrong = state.wrong
        if fenced and state.steps[0] not in OVER:
            wrong = wrong or STALE
        elif state.steps[1] in OVER and not fenced:
            wrong = wrong or REVIVED
        elif state.run == "cancelling":
            wrong = wrong or INV16
        elif state.held:
            wrong = wrong or HELD
        elif state.stop == "stopped":
            wrong = wrong or HALTED
        elif state.other == "open":
            wrong = wrong or EARLY
        for step in STEPS if not fenced or state.steps[0] not in OVER else STEPS[1:]:
            state = _succeed(state, step)
        return _advance(state._replace(wrong=wrong))

    # Whoever else changes something: each in a transaction under the run's lock, or that of the kill switch.

    def _people(self, state: State) -> Moves:
        running, paused = state.run == "running", state.run == "paused"
        if self.cancels and (running or paused):
            yield "cancel the run", _advance(self._cancel(state)._replace(run="cancelling"))
        if self.cancels and running and not state.asked:
            yield "cancel the frame", _advance(self._cancel(state))
        if running and state.pauses:
            yield "pause", state._replace(run="paused", held=True, pauses=0)
        if paused:
            yield "resume", _advance(state._replace(run="running", held=False))

    def _cancel(self, state: State) -> State:
        steps = tuple("cancelled" if status in ("pending", "ready") else status for status in state.steps)
        asked = state.asked | {step for step in STEPS if steps[step] == "running"}
        return state._replace(steps=steps, asked=asked)

    def _others(self, state: State) -> Moves:
        recording = any(worker.phase == "locked" for worker in state.workers)
        unlocked = "halts are looked at without the lock of the kill switch" in self.without
        if not state.stop and (unlocked or not recording):
            yield "ask for a stop", state._replace(stop="asked")
        elif state.stop == "asked" and (unlocked or not recording):
            yield "acknowledge the stop", state._replace(stop="stopped")
        elif state.stop == "stopped":
            yield "release", state._replace(stop="released")
        if state.rules == 1 and not recording:
            yield "the rules change", state._replace(rules=2)
        if state.other == "open" and state.run_lock is None:
            yield "the other step ends", _advance(state._replace(other="ended"))
        for step in STEPS:
            held = any(self._holds(state, worker) and worker.step == step for worker in state.workers)
            if state.steps[step] == "running" and state.run_lock is None and (state.troubles or not held):
                status = "cancelled" if step in state.asked else "ready"
                given_back = state._replace(steps=put(state.steps, step, status), troubles=state.troubles - held)
                yield "reap", _advance(given_back)


def _succeed(state: State, step: int) -> State:
    recorded = put(state.recorded, step, state.recorded[step] + 1)
    return state._replace(steps=put(state.steps, step, "succeeded"), recorded=recorded)


def _advance(state: State) -> State:
    for step in STEPS[1:]:
        needs = state.steps[step - 1] == "succeeded" and (step == 1 or state.other == "ended")
        if state.steps[step] == "pending" and needs and state.run in ("running", "paused"):
            state = state._replace(steps=put(state.steps, step, "ready"))
    if set(state.steps) <= set(OVER) and state.run != "paused":
        state = state._replace(run="ended")
    return state
