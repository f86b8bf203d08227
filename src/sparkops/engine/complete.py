"""T_COMPLETE and T_FAIL: record how an attempt ended, advance the run, and take the next step, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sparkops.core.failpoints import failpoint
from sparkops.core.json import Part
from sparkops.core.payloads import Desk
from sparkops.domains.runs.state import AttemptOutcome, StepStatus
from sparkops.engine.admission import admit_after
from sparkops.engine.advance import advance_locked, go_on, lock_run
from sparkops.engine.advancing import Advanced
from sparkops.engine.claim import Claim, read_claim
from sparkops.engine.context import Engine, Ring, Worker, call
from sparkops.engine.errors import Fenced, JudgedAnew
from sparkops.engine.wake import wake_parents

_STALE = "SELECT engine.stale(ARRAY[$1::uuid], ARRAY[$2::jsonb]) <> '{}'"


@dataclass(frozen=True, slots=True)
class Ahead:
    """A step that was run, in memory, before it was claimed: the only one that needs the one before it.

    Nothing of it has left the process. `noted` and `labels` as in `Ended`; `seconds` have passed since the end of the
    one before.
    """

    path: str
    output: Any
    noted: Sequence[Mapping[str, Any]]
    seconds: float
    labels: frozenset[str] | None = None

    def to_json(self) -> dict[str, Any]:
        item = {"path": self.path, "output": self.output, "calls": list(self.noted), "seconds": self.seconds}
        return item if self.labels is None else {**item, "labels": sorted(self.labels)}


@dataclass(frozen=True, slots=True)
class Ended:
    """How one attempt ended. `ready` as a status means: try again after `retry_in`.

    `results` are outcomes of prepared calls that are recorded along with it. `noted` are whole calls of tools that
    touch nothing outside the process, judged under `policy_version`. `text` is the output serialised, if it was.
    `ahead`: what was run after it already, in order; it is recorded along with the end where that is still possible,
    and else left to be claimed. `labels`: those of the output; None: those that the step's row has.
    """

    claim: Claim
    status: StepStatus
    output: Any = None
    error: Mapping[str, Any] | None = None
    retry_in: timedelta | None = None
    results: Sequence[Mapping[str, Any]] = ()
    noted: Sequence[Mapping[str, Any]] = ()
    policy_version: int | None = None
    text: Part | None = None
    ahead: Sequence[Ahead] = ()
    labels: frozenset[str] | None = None

    @property
    def written(self) -> Any:
        """The output for a document: not serialised again if it was."""
        return self.output if self.text is None else self.text

    @property
    def mechanical(self) -> bool:
        """The database can apply this end without evaluating anything."""
        return self.status is StepStatus.SUCCEEDED and self.claim.hands_over

    def to_json(self) -> dict[str, Any]:
        succeeded = self.status is StepStatus.SUCCEEDED
        return {
            **self.claim.lease.to_json(),
            "run_id": str(self.claim.run_id),
            "status": self.status,
            "output": self.written,
            "error": self.error,
            "outcome": AttemptOutcome.SUCCEEDED if succeeded else AttemptOutcome.FAILED,
            "retry_seconds": self.retry_in.total_seconds() if self.retry_in is not None else None,
            **self.calls(),
        }

    def calls(self) -> dict[str, Any]:
        """Return what the end says beside its output, as the database functions take it: calls, and labels."""
        noted = {"policy_version": self.policy_version, "calls": list(self.noted)} if self.noted else {}
        results = {"results": list(self.results)} if self.results else {}
        labels = {} if self.labels is None else {"labels": sorted(self.labels)}
        return noted | results | labels | (self._ran_ahead() if self.ahead else {})

    def _ran_ahead(self) -> dict[str, Any]:
        seconds = sum(each.seconds for each in self.ahead)
        return {"ahead": [each.to_json() for each in self.ahead], "ahead_seconds": seconds}


@dataclass(frozen=True, slots=True)
class Completion:
    """Which ends were recorded, and the steps that this worker has next.

    An end that is in neither set was fenced. A `stale` one noted calls that were judged under rules which have changed
    since: nothing of it was written, and the attempt must be made again.
    """

    closed: frozenset[UUID]
    claims: Sequence[Claim]
    stale: frozenset[UUID] = frozenset()


async def complete(engine: Engine, worker: Worker, ended: Sequence[Ended], *, claim: int) -> Completion:
    """Record the ends that the database can apply alone, of many runs in one transaction.

    `claim` is how many of the steps that become ready this worker can take at once.
    """
    failpoint("before_complete")
    answer = await call(
        engine.database.pool,
        "complete",
        [end.claim.lease.step_id for end in ended],
        [end.claim.lease.attempt for end in ended],
        [end.claim.lease.token for end in ended],
        [end.claim.run_id for end in ended],
        [{"output": end.written} for end in ended],  # a bare list would be read as a further dimension of the array
        [end.calls() for end in ended],
        worker.session_id,
        engine.lease,
        claim,
    )
    failpoint("after_complete")
    engine.bell.log_grew(answer["rings"])
    if answer["ready"] > 0:
        engine.bell.work("run")
    await wake_parents(engine, answer["parents"])
    left = [await go_on(engine, UUID(run_id), Advanced(unfinished=True)) for run_id in answer["left"]]
    await admit_after(engine, [*answer["freed"], *filter(None, left)])
    return Completion(
        frozenset(map(UUID, answer["closed"])),
        [read_claim(data) for data in answer["claims"]],
        frozenset(map(UUID, answer["stale"])),
    )


async def end_attempt(engine: Engine, worker: Worker, ended: Ended, *, claim: int) -> Completion:
    """Record one end whose consequences need an expression or follow from a failure.

    Raises:
        Fenced: another attempt has the step; nothing was written.
        JudgedAnew: the rules have changed; nothing was written.
        Unavailable: a large value is needed and the object storage does not answer; nothing was written.
    """
    failpoint("before_complete")
    desk = engine.payloads.desk()
    done = await desk.decide(lambda: _end(engine, worker, ended, desk, claim))
    failpoint("after_complete")
    engine.bell.log_grew(done.rings)
    if len(done.advanced.ready) > len(done.claims):
        engine.bell.work("run")
    await wake_parents(engine, done.advanced.parents)
    freed = await go_on(engine, ended.claim.run_id, done.advanced)
    if freed or (done.advanced.ended and done.limited):
        await admit_after(engine, [ended.claim.project_id])
    return Completion(frozenset({ended.claim.lease.step_id}), [read_claim(data) for data in done.claims])


@dataclass(frozen=True, slots=True)
class _Done:
    """What the transaction of one end has changed. `limited`: somebody may wait for this run to end."""

    advanced: Advanced
    claims: Sequence[Mapping[str, Any]]
    rings: Sequence[Ring]
    limited: bool


async def _end(engine: Engine, worker: Worker, ended: Ended, desk: Desk, claim: int) -> _Done:
    async with engine.database.pool.acquire() as connection, connection.transaction():
        run = await lock_run(connection, ended.claim.run_id)
        if ended.noted and await connection.fetchval(_STALE, ended.claim.lease.step_id, ended.calls()):
            raise JudgedAnew("The rules have changed since the step's call was judged.")
        closed = await call(connection, "close_steps", [ended.to_json()])
        if not closed["closed"]:
            raise Fenced(f"Step {ended.claim.key} was taken over.", where="complete")
        retrying = closed["closed"][0]["status"] == StepStatus.READY
        focus = ended.claim.path
        advanced = Advanced() if retrying else await advance_locked(engine, connection, run, desk, focus=focus)
        taken = (
            await call(connection, "take", advanced.ready, claim, worker.session_id, engine.lease)
            if advanced.ready and claim
            else {"claims": [], "events": []}
        )
        rings = await call(connection, "emit", [*closed["events"], *advanced.events, *taken["events"]])
        failpoint("mid_complete")
    return _Done(advanced, taken["claims"], rings, run["limited"])
