"""T_CLAIM and T_HEARTBEAT: take ready steps under a lease, and keep them."""

from collections.abc import Mapping, Sequence
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

    `context` holds the run's input (if an expression reads it) and the outputs of the steps that are read.
    `journal` is what earlier attempts recorded; empty on the first.
    """

    lease: Lease
    run_id: UUID
    project_id: UUID
    key: str
    type: str
    failures: int
    hands_over: bool
    isolate: bool
    timeout_seconds: float | None
    workflow_id: UUID
    workflow_version_id: UUID
    pins: Mapping[str, Any]
    requested_by: UUID | None
    input: Any
    steps: Mapping[str, Mapping[str, Any]]
    journal: Sequence[Mapping[str, Any]]


def read_claim(data: Mapping[str, Any]) -> Claim:
    """Read one claim as the database function returns it."""
    requested_by = data["requested_by"]
    return Claim(
        lease=Lease(UUID(data["step_id"]), data["attempt"], UUID(data["token"])),
        run_id=UUID(data["run_id"]),
        project_id=UUID(data["project_id"]),
        key=data["key"],
        type=data["type"],
        failures=data["failures"],
        hands_over=data["hands_over"],
        isolate=data["isolate"],
        timeout_seconds=data["timeout_seconds"],
        workflow_id=UUID(data["workflow_id"]),
        workflow_version_id=UUID(data["workflow_version_id"]),
        pins=data["pins"],
        requested_by=UUID(requested_by) if requested_by else None,
        input=data["input"],
        steps=data["steps"],
        journal=data["journal"],
    )


async def claim(engine: Engine, worker: Worker, *, limit: int, idle: bool) -> list[Claim]:
    """Take up to `limit` ready steps of the worker's queues. Claim only what can start at once.

    `idle`: the process holds nothing, so it may be given a step that must run alone.

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
        idle,
    )
    failpoint("after_claim")
    engine.bell.log_grew(answer["rings"])
    return [read_claim(data) for data in answer["claims"]]


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
