"""The model of a step that has to ask: one call that a person must allow, and the answer that may come at any moment.

Asking (the approval's row) and waiting (the step gives up its worker) are two transactions, as an agent's turn may ask
for several things first. The person may answer between them: whoever waits must look once more, under the step's lock.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

MUTANTS = {
    "waiting does not look whether the answer is there": "INV2 the run can never end",
    "the answer does not wake the step": "INV2 the run can never end",
    "expiry does not wake the step": "INV2 the run can never end",
    "a step that is asked again asks anew": "INV17 one question was put twice",
    "the answer wakes a step whatever its status": "INV6 a change that is not listed",
    "prepare does not look at the answer": "INV4 a call left without leave",
    "an approval is not used up": "INV17 one approval allowed two calls",
}


class State(NamedTuple):
    step: Literal["ready", "running", "waiting", "succeeded"] = "ready"
    worker: Literal["idle", "claimed", "asked", "prepared", "sent", "refused"] = "idle"
    call: Literal["none", "asking", "prepared", "done", "denied"] = "none"
    approval: Literal["none", "pending", "approved", "rejected", "expired", "consumed"] = "none"
    asked: int = 0
    sent: int = 0
    second: Literal["none", "prepared"] = "none"
    """Another call of the step, of which nobody was asked, but which an approval that is not used up would let out."""
    unlisted: bool = False
    deaths: int = 2


Moves = Iterator[tuple[str, State]]


class Waiting:
    """The model: one worker at a time, which may die; one person; the sweep that lets questions expire."""

    def __init__(self, without: str = "") -> None:
        self.without = without

    def initial(self) -> State:
        return State()

    def ended(self, state: State) -> bool:
        return state.step == "succeeded" or (state.step == "waiting" and state.approval == "pending")

    def broken(self, state: State) -> Iterator[str]:
        if state.sent and state.approval not in ("approved", "consumed"):
            yield "INV4 a call left without leave"
        if state.unlisted:
            yield "INV6 a change that is not listed"
        if state.asked > 1:
            yield "INV17 one question was put twice"
        if state.second == "prepared":
            yield "INV17 one approval allowed two calls"

    def transitions(self, state: State) -> Moves:
        yield from self._worker(state)
        yield from self._person(state)
        if state.deaths and state.worker != "idle":
            back = state._replace(worker="idle", deaths=state.deaths - 1)
            yield "worker dies, reaped", back._replace(step="ready") if state.step == "running" else back

    def _worker(self, state: State) -> Moves:
        match state.worker:
            case "idle" if state.step == "ready":
                yield "claim", state._replace(step="running", worker="claimed")
            case "claimed":
                yield from self._prepare(state)
            case "asked" if state.step == "running":
                yield from self._wait(state)
            case "asked":  # fenced: the step is not this worker's any more
                yield "wait is fenced", state._replace(worker="idle")
            case "prepared":
                yield "send", state._replace(worker="sent", sent=state.sent + 1)
                if state.approval == "approved":
                    yield "prepare another", state._replace(second="prepared")
            case "sent" | "refused":
                call: Literal["done", "denied"] = "done" if state.worker == "sent" else "denied"
                yield "complete", state._replace(worker="idle", step="succeeded", call=call)

    def _prepare(self, state: State) -> Moves:
        careless = self.without == "prepare does not look at the answer"
        if state.call == "none" or (
            self.without == "a step that is asked again asks anew" and state.approval == "pending"
        ):
            yield "ask", state._replace(call="asking", approval="pending", asked=state.asked + 1, worker="asked")
        elif state.approval == "approved" or (state.call == "asking" and careless):
            used = state.approval if self.without == "an approval is not used up" or careless else "consumed"
            yield "prepare", state._replace(call="prepared", approval=used, worker="prepared")
        elif state.call == "prepared":  # may be repeated: goes on under the same call id
            yield "prepare again", state._replace(worker="prepared")
        elif state.approval == "pending":
            yield "still asking", state._replace(worker="asked")
        else:
            yield "refused", state._replace(worker="refused")

    def _wait(self, state: State) -> Moves:
        answered = state.approval != "pending"
        if answered and self.without != "waiting does not look whether the answer is there":
            yield "the answer is there", state._replace(step="ready", worker="idle")
        else:
            yield "wait", state._replace(step="waiting", worker="idle")

    def _person(self, state: State) -> Moves:
        if state.approval != "pending":
            return
        for name, approval, deaf in (
            ("approve", "approved", "the answer does not wake the step"),
            ("reject", "rejected", "the answer does not wake the step"),
            ("expire", "expired", "expiry does not wake the step"),
        ):
            answered = state._replace(approval=approval)  # type: ignore[arg-type]  # one of the three above
            yield name, answered if self.without == deaf else self._wake(answered)

    def _wake(self, state: State) -> State:
        if state.step == "waiting":
            return state._replace(step="ready")
        if state.step == "running" and self.without == "the answer wakes a step whatever its status":
            return state._replace(step="ready", unlisted=True)
        return state
