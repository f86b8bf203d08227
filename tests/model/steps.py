"""The model of claiming, doing and ending steps: two workers, a step `a`, and a step `b` that needs it.

`a` may be repeated. `b` makes one call that must not be: it is prepared, sent, and its outcome recorded with the
step's end. Workers die, lose their lease while they still run, and have their doorbell messages lost; with
`async_claim` the database may lose claims that were not flushed. A mutant is the same model with guards left out.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

Key = Literal["a", "b"]

RETRIES = ("reaper retries unsafe calls", "release retries unsafe calls")
NO_LOOK = "prepare does not look for an earlier intent"
MUTANTS: dict[tuple[str, ...], str] = {
    ("completion is not fenced",): "INV7 a superseded attempt changed something",
    ("heartbeat is not fenced",): "INV7 a superseded attempt changed something",
    ("release does not look who holds the step",): "INV7 a superseded attempt changed something",
    ("no intent is written before a call",): "INV10 an unsafe call was sent twice",
    (RETRIES[0], NO_LOOK): "INV10 an unsafe call was sent twice",
    (RETRIES[1], NO_LOOK): "INV10 an unsafe call was sent twice",
    ("claim ignores the status",): "INV9 two hold the same token",
    ("claim ignores the needs",): "INV8 a step started before what it needs had ended",
    ("work goes on after trust has ended",): "C2 a call left although the lease had run out",
    ("doorbells only, no poll",): "INV2 the run can never end",
    ("no reaper",): "INV2 the run can never end",
    ("advance in a transaction of its own, by doorbell only",): "INV2 the run can never end",
}
ENOUGH: list[tuple[str, ...]] = [RETRIES, (NO_LOOK,)]
"""Two guards stand behind each other: the one that gives a step back, and the next attempt. Either is enough."""
ASYNC_MUTANTS: dict[tuple[str, ...], str] = {("token is the attempt number",): "INV9 two hold the same token"}


class Step(NamedTuple):
    status: Literal["pending", "ready", "running", "succeeded", "uncertain"]
    attempt: int = 0
    token: int = 0
    holder: int | None = None
    """The worker session that claimed it."""
    leased: bool = False
    """The lease has not run out."""
    recorded: int = 0


class Worker(NamedTuple):
    phase: Literal["idle", "claimed", "prepared", "sent", "dead"] = "idle"
    step: Key = "a"
    attempt: int = 0
    token: int = 0
    trusted: bool = False
    """Its own clock says that the lease still holds, with a margin."""


class State(NamedTuple):
    a: Step = Step("ready")
    b: Step = Step("pending")
    call: Literal["none", "prepared", "done", "unknown"] = "none"
    sent: int = 0
    bell: bool = True
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    next_token: int = 1
    advance_due: bool = False
    # What has gone wrong and can be seen only while it happens.
    stale_write: bool = False
    late_send: bool = False
    # How much trouble is still to come.
    deaths: int = 2
    lapses: int = 2
    losses: int = 2
    database_crashes: int = 1

    def step(self, key: Key) -> Step:
        return self.a if key == "a" else self.b

    def with_step(self, key: Key, step: Step) -> "State":
        return self._replace(a=step) if key == "a" else self._replace(b=step)

    def with_worker(self, number: int, worker: Worker) -> "State":
        first, second = self.workers
        return self._replace(workers=(worker, second) if number == 0 else (first, worker))


KEYS: tuple[Key, Key] = ("a", "b")
Moves = Iterator[tuple[str, State]]


class Steps:
    """The model. Every yield is one transaction or one thing that happens to a process."""

    def __init__(self, *without: str, async_claim: bool = False) -> None:
        self.without, self.async_claim = without, async_claim

    def initial(self) -> State:
        return State(lapses=1, losses=1) if self.async_claim else State()  # else there were too many states to wait for

    def ended(self, state: State) -> bool:
        return state.b.status in ("succeeded", "uncertain") and not state.advance_due

    def broken(self, state: State) -> Iterator[str]:
        if state.a.recorded > 1 or state.b.recorded > 1:
            yield "INV1 a result was recorded twice"
        if state.stale_write:
            yield "INV7 a superseded attempt changed something"
        if state.b.status != "pending" and state.a.status != "succeeded":
            yield "INV8 a step started before what it needs had ended"
        if self._shared_token(state):
            yield "INV9 two hold the same token"
        if state.sent > 1:
            yield "INV10 an unsafe call was sent twice"
        if state.late_send:
            yield "C2 a call left although the lease had run out"

    def _shared_token(self, state: State) -> bool:
        one, two = state.workers
        return all(self._holds(state, worker) for worker in (one, two)) and one[1:4] == two[1:4]

    def _holds(self, state: State, worker: Worker) -> bool:
        """The assertion that opens every transaction of a worker."""
        if worker.phase in ("idle", "dead"):
            return False
        step = state.step(worker.step)
        return (step.status, step.attempt, step.token) == ("running", worker.attempt, worker.token)

    def transitions(self, state: State) -> Moves:
        for number in (0, 1):
            yield from self._worker(state, number)
        yield from self._reap(state)
        yield from self._trouble(state)

    def _worker(self, state: State, number: int) -> Moves:
        worker = state.workers[number]
        if worker.phase == "dead":
            yield from self._release(state, number)
            yield "restart", state.with_worker(number, Worker())
        elif worker.phase == "idle":
            yield from self._claim(state, number)
            if state.advance_due and state.bell:
                yield "advance", advance(state)._replace(advance_due=False)
        else:
            yield from self._heartbeat(state, number)
            yield from self._work(state, number)

    def _claim(self, state: State, number: int) -> Moves:
        if not state.bell and "doorbells only, no poll" in self.without:
            return
        for key in KEYS:
            step = state.step(key)
            if step.status == "ready" or (step.status == "pending" and "claim ignores the needs" in self.without):
                attempt = step.attempt + 1
                token = attempt if "token is the attempt number" in self.without else state.next_token
                held = Step("running", attempt, token, number, True, step.recorded)
                claimed = state.with_step(key, held)._replace(next_token=state.next_token + 1, bell=False)
                yield f"claim {key}", claimed.with_worker(number, Worker("claimed", key, attempt, token, True))
            elif step.status == "running" and "claim ignores the status" in self.without:
                yield f"claim {key}", state.with_worker(number, Worker("claimed", key, step.attempt, step.token, True))

    def _heartbeat(self, state: State, number: int) -> Moves:
        worker = state.workers[number]
        if self._holds(state, worker):
            if not (worker.trusted and state.step(worker.step).leased):
                renewed = state.step(worker.step)._replace(leased=True)
                yield (
                    "heartbeat",
                    state.with_step(worker.step, renewed).with_worker(number, worker._replace(trusted=True)),
                )
        elif "heartbeat is not fenced" in self.without and state.step(worker.step).status == "running":
            renewed = state.step(worker.step)._replace(leased=True)
            yield "heartbeat", state.with_step(worker.step, renewed)._replace(stale_write=True)
        else:
            yield "heartbeat says the step is lost", state.with_worker(number, Worker())

    def _work(self, state: State, number: int) -> Moves:
        worker = state.workers[number]
        if worker.step == "a":
            yield from self._complete(state, number)
        elif worker.phase == "claimed" and "no intent is written before a call" not in self.without:
            yield from self._prepare(state, number)
        elif worker.phase in ("claimed", "prepared"):
            yield from self._send(state, number)
        else:
            yield from self._complete(state, number)

    def _prepare(self, state: State, number: int) -> Moves:
        worker = state.workers[number]
        if not self._holds(state, worker):
            yield "prepare is fenced", state.with_worker(number, Worker())
        elif state.call == "none" or NO_LOOK in self.without:
            yield "prepare", state._replace(call="prepared").with_worker(number, worker._replace(phase="prepared"))
        else:  # an earlier attempt may have sent it: nobody can know
            parked = state.with_step("b", state.b._replace(status="uncertain", leased=False))
            yield "park", parked._replace(call="unknown").with_worker(number, Worker())

    def _send(self, state: State, number: int) -> Moves:
        worker = state.workers[number]
        if worker.trusted or "work goes on after trust has ended" in self.without:
            late = state.late_send or not (self._holds(state, worker) and state.b.leased)
            yield (
                "send",
                state._replace(sent=state.sent + 1, late_send=late).with_worker(number, worker._replace(phase="sent")),
            )

    def _complete(self, state: State, number: int) -> Moves:
        worker = state.workers[number]
        step = state.step(worker.step)
        holds = self._holds(state, worker)
        if not holds and "completion is not fenced" not in self.without:
            yield "complete is fenced", state.with_worker(number, Worker())
            return
        ended = step._replace(status="succeeded", leased=False, holder=None, recorded=step.recorded + 1)
        after = state.with_step(worker.step, ended).with_worker(number, Worker())
        after = after._replace(stale_write=state.stale_write or not holds)
        after = after._replace(call="done") if worker.step == "b" else after
        if "advance in a transaction of its own, by doorbell only" in self.without:
            yield f"complete {worker.step}", after._replace(advance_due=True, bell=True)
        else:
            yield f"complete {worker.step}", advance(after)

    def _reap(self, state: State) -> Moves:
        if "no reaper" in self.without:
            return
        for key in KEYS:
            step = state.step(key)
            if step.status == "running" and not step.leased:
                yield f"reap {key}", self._give_back(state, key, retries=RETRIES[0] in self.without)

    def _release(self, state: State, number: int) -> Moves:
        """The parent saw its child die and gives back at once what the child held."""
        worker = state.workers[number]
        step = state.step(worker.step)
        careless = "release does not look who holds the step" in self.without
        if worker.attempt and step.status == "running" and (step.holder == number or careless):
            stale = (step.attempt, step.token) != (worker.attempt, worker.token)
            back = self._give_back(state, worker.step, retries=RETRIES[1] in self.without)
            forgotten = back.with_worker(number, Worker("dead"))
            yield f"release {worker.step}", forgotten._replace(stale_write=state.stale_write or stale)

    def _give_back(self, state: State, key: Key, *, retries: bool) -> State:
        step = state.step(key)
        if key == "b" and state.call == "prepared" and not retries:
            uncertain = step._replace(status="uncertain", leased=False, holder=None)
            return state.with_step(key, uncertain)._replace(call="unknown")
        ready = step._replace(status="ready", leased=False, holder=None)
        return state.with_step(key, ready)._replace(bell=True)

    def _trouble(self, state: State) -> Moves:
        for number, worker in enumerate(state.workers):
            if state.deaths and worker.phase not in ("idle", "dead"):
                dead = worker._replace(phase="dead", trusted=False)
                yield "kill", state._replace(deaths=state.deaths - 1).with_worker(number, dead)
            if state.lapses and worker.trusted:
                doubting = worker._replace(trusted=False)
                yield "trust ends", state._replace(lapses=state.lapses - 1).with_worker(number, doubting)
        yield from self._leases_run_out(state)
        if state.losses and state.bell:
            yield "doorbell is lost", state._replace(losses=state.losses - 1, bell=False)
        if self.async_claim and state.database_crashes:
            yield from self._claims_are_lost(state)

    def _leases_run_out(self, state: State) -> Moves:
        """A lease runs out only after its holder, measuring from before it asked, has stopped trusting it."""
        for key in KEYS:
            step = state.step(key)
            trusted = any(
                self._holds(state, worker) and worker.step == key and worker.trusted for worker in state.workers
            )
            if step.status == "running" and step.leased and not trusted:
                yield f"lease of {key} runs out", state.with_step(key, step._replace(leased=False))

    def _claims_are_lost(self, state: State) -> Moves:
        for key in KEYS:
            step = state.step(key)
            flushed = key == "b" and state.call != "none"  # a later commit that waited took the claim with it
            if step.status == "running" and not flushed:
                back = Step("ready", step.attempt - 1, 0, None, False, step.recorded)
                yield f"claim of {key} is lost", state.with_step(key, back)._replace(database_crashes=0, bell=True)


def advance(state: State) -> State:
    """What follows from the statuses, in the transaction that changed them."""
    if state.a.status == "succeeded" and state.b.status == "pending":
        return state.with_step("b", state.b._replace(status="ready"))._replace(bell=True)
    return state
