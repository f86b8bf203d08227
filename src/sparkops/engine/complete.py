"""T_COMPLETE and T_FAIL: record how an attempt ended, advance the run, and take the next step, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sparkops.core.failpoints import failpoint
from sparkops.domains.runs.state import AttemptOutcome, StepStatus
from sparkops.engine.advance import advance_locked, lock_run
from sparkops.engine.claim import Claim, read_claim
from sparkops.engine.context import Engine, Worker, call
from sparkops.engine.errors import Fenced


@dataclass(frozen=True, slots=True)
class Ended:
    """How one attempt ended. `results` are outcomes of calls that are recorded along with it.

    `ready` as a status means: try again after `retry_in`.
    """

    claim: Claim
    status: StepStatus
    output: Any = None
    error: Mapping[str, Any] | None = None
    retry_in: timedelta | None = None
    results: Sequence[Mapping[str, Any]] = ()

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
            "output": self.output,
            "error": self.error,
            "outcome": AttemptOutcome.SUCCEEDED if succeeded else AttemptOutcome.FAILED,
            "retry_seconds": self.retry_in.total_seconds() if self.retry_in is not None else None,
            "results": list(self.results),
        }


@dataclass(frozen=True, slots=True)
class Completion:
    """Which ends were recorded (the others were fenced), and the steps that this worker has next."""

    closed: frozenset[UUID]
    claims: Sequence[Claim]


async def complete(engine: Engine, worker: Worker, ended: Sequence[Ended], *, claim: int) -> Completion:
    """Record the ends that the database can apply alone, of many runs in one transaction.

    `claim` is how many of the steps that become ready this worker can take at once.
    """
    failpoint("before_complete")
    answer = await call(
        engine.database.pool,
        "complete",
        {
            "items": [end.to_json() for end in ended],
            "session": str(worker.session_id),
            "lease_seconds": engine.lease.total_seconds(),
            "claim": claim,
        },
    )
    failpoint("after_complete")
    engine.bell.log_grew(answer["rings"])
    if answer["ready"] > 0:
        engine.bell.work("run")
    return Completion(
        frozenset(UUID(closed["step_id"]) for closed in answer["closed"]),
        [read_claim(data) for data in answer["claims"]],
    )


async def end_attempt(engine: Engine, worker: Worker, ended: Ended, *, claim: int) -> Completion:
    """Record one end whose consequences need an expression or follow from a failure.

    Raises:
        Fenced: another attempt has the step; nothing was written.
    """
    failpoint("before_complete")
    async with engine.database.pool.acquire() as connection, connection.transaction():
        run = await lock_run(connection, ended.claim.run_id)
        closed = await call(connection, "close_steps", [ended.to_json()])
        if not closed["closed"]:
            raise Fenced(f"Step {ended.claim.key} was taken over.")
        retrying = closed["closed"][0]["status"] == StepStatus.READY
        focus = None if retrying else [ended.claim.key]
        advanced = await advance_locked(engine, connection, run, focus=focus)
        taken = (
            await call(connection, "take", advanced.ready, claim, worker.session_id, engine.lease)
            if advanced.ready and claim
            else {"claims": [], "events": []}
        )
        rings = await call(connection, "emit", [*closed["events"], *advanced.events, *taken["events"]])
        failpoint("mid_complete")
    failpoint("after_complete")
    engine.bell.log_grew(rings)
    if len(advanced.ready) > len(taken["claims"]):
        engine.bell.work("run")
    return Completion(frozenset({ended.claim.lease.step_id}), [read_claim(data) for data in taken["claims"]])
