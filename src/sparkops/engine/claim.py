"""T_CLAIM and T_HEARTBEAT: take ready steps under a lease, and keep them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sparkops.core.failpoints import failpoint
from sparkops.engine.context import Engine, Worker, call


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to one step: every write of its holder names all three."""

    step_id: UUID
    attempt: int
    token: UUID

    def to_json(self) -> dict[str, Any]:
        return {"step_id": str(self.step_id), "attempt": self.attempt, "token": str(self.token)}


@dataclass(frozen=True, slots=True)
class Claim:
    """A step in the hands of this worker, with all that is needed to execute it.

    `input` and `steps` hold what its expressions read: the run's input, outputs and statuses of steps; `frame` what it
    sees of the frames around it. Each is None, or without steps, where nothing is read. `journal` is what earlier
    attempts recorded; empty on the first. `labels` are those of its frame, `input_labels` those of the input if it is
    read; a step in `steps` has its own, if there are any.
    """

    lease: Lease
    run_id: UUID
    project_id: UUID
    key: str
    path: str
    type: str
    failures: int
    hands_over: bool
    isolate: bool
    """It runs in a process that was started for such steps, since two died that held it."""
    alone: bool
    """And there is no other step in that process."""
    timeout_seconds: float | None
    deadline_seconds: float | None
    """How long the step may still take in all, counted from the claim."""
    workflow_id: UUID
    workflow_version_id: UUID
    pins: Mapping[str, Any]
    requested_by: UUID | None
    input: Any
    steps: Mapping[str, Mapping[str, Any]]
    frame: Mapping[str, Any] | None
    journal: Sequence[Mapping[str, Any]]
    labels: Sequence[str] = ()
    input_labels: Sequence[str] = ()
    asked: bool = False
    """It is asked, or was answered, whether the step may start."""
    policy_stamp: int = 0
    """How often the rules had changed when the step was claimed: older ones do not count for it."""

    @property
    def seconds(self) -> float | None:
        """How long this attempt may take: its timeout, or what is left of the step's deadline; None: any time."""
        return min((each for each in (self.timeout_seconds, self.deadline_seconds) if each is not None), default=None)


def read_claim(data: Mapping[str, Any]) -> Claim:
    """Read one claim as the database function returns it."""
    requested_by = data["requested_by"]
    return Claim(
        lease=Lease(UUID(data["step_id"]), data["attempt"], UUID(data["token"])),
        run_id=UUID(data["run_id"]),
        project_id=UUID(data["project_id"]),
        key=data["key"],
        path=data["path"],
        type=data["type"],
        failures=data["failures"],
        hands_over=data["hands_over"],
        isolate=data["isolate"],
        alone=data["alone"],
        timeout_seconds=data["timeout_seconds"],
        deadline_seconds=data["deadline_seconds"],
        workflow_id=UUID(data["workflow_id"]),
        workflow_version_id=UUID(data["workflow_version_id"]),
        pins=data["pins"],
        requested_by=UUID(requested_by) if requested_by else None,
        input=data["input"],
        steps=data["steps"],
        frame=data["frame"],
        journal=data["journal"],
        labels=data["labels"],
        input_labels=data["input_labels"] or (),
        asked=data["asked"],
        policy_stamp=data["policy_stamp"],
    )


async def claim(engine: Engine, worker: Worker, *, limit: int, full: Collection[UUID] = ()) -> list[Claim]:
    """Take up to `limit` ready steps of the worker's queues. Claim only what can start at once.

    Isolated steps are left to the processes that are started for them. `full`: the projects that hold
    their share of this process; nothing comes from them, nor from those that are halted.

    Raises:
        WrongEpoch: the worker must stop.
    """
    failpoint("before_claim")
    answer = await call(
        engine.database.pool,
        "claim",
        list(worker.queues),
        limit,
        worker.session_id,
        worker.epoch,
        engine.lease,
        list(full),
    )
    return _claimed(engine, answer)


async def claim_isolated(engine: Engine, worker: Worker, *, limit: int, empty: bool) -> list[Claim]:
    """Take up to `limit` isolated steps that may run together, or one that must be alone if the process is `empty`.

    Only for a process that was started for such steps.

    Raises:
        WrongEpoch: the process must stop.
    """
    answer = await call(
        engine.database.pool,
        "claim_isolated",
        list(worker.queues),
        limit,
        empty,
        worker.session_id,
        worker.epoch,
        engine.lease,
    )
    return _claimed(engine, answer)


def _claimed(engine: Engine, answer: Mapping[str, Any]) -> list[Claim]:
    failpoint("after_claim")
    engine.bell.log_grew(answer["rings"])
    return [read_claim(data) for data in answer["claims"]]


_ISOLATED_WAIT = """
SELECT EXISTS (SELECT 1 FROM steps WHERE status = 'ready' AND isolate AND NOT held AND queue = ANY ($1)
                  AND not_before <= clock_timestamp())
"""


async def isolated_steps_wait(engine: Engine, worker: Worker) -> bool:
    """Say whether an isolated step of the worker's queues is ready."""
    return bool(await engine.database.pool.fetchval(_ISOLATED_WAIT, list(worker.queues)))


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer to a heartbeat: what is still ours, and what was asked to stop. Anything else is lost.

    `extended`: whose lease is longer now. A step that somebody had locked is kept, but was passed over.
    """

    kept: frozenset[UUID]
    extended: frozenset[UUID]
    cancel: frozenset[UUID]


async def heartbeat(engine: Engine, worker: Worker, leases: Sequence[Lease]) -> Kept:
    """Extend the leases of all steps that this process holds, in one statement, and say that it is alive."""
    failpoint("before_heartbeat")
    answer = await call(
        engine.database.pool,
        "heartbeat",
        worker.session_id,
        [lease.step_id for lease in leases],
        [lease.attempt for lease in leases],
        [lease.token for lease in leases],
        engine.lease,
    )
    failpoint("after_heartbeat")
    kept, extended, cancel = (frozenset(map(UUID, answer[name])) for name in ("kept", "extended", "cancel"))
    return Kept(kept, extended, cancel)
