"""T_ADVANCE: look at a run and apply what `decide` says. Safe to repeat; always under the run's lock."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from sparkops.core.failpoints import failpoint
from sparkops.domains.runs.state import TERMINAL_RUN, RunStatus, StepStatus
from sparkops.engine.context import Connection, Engine, call
from sparkops.engine.decide import StepState, decide, decide_cancelled, to_json

_LOCK_RUN = "SELECT id, status, input, workflow_version_id FROM runs WHERE id = $1 FOR UPDATE"
_STATES = "SELECT path, status, output, error FROM steps WHERE run_id = $1"

_ACTIVE = frozenset({StepStatus.READY, StepStatus.RUNNING, StepStatus.WAITING})


@dataclass(slots=True)
class Advanced:
    """What advancing one run changed: steps that became ready, and lines for the logs."""

    ready: list[UUID] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)


async def lock_run(on: Connection, run_id: UUID) -> asyncpg.Record:
    """Lock the run row and return it: the first statement of every transaction that may advance a run."""
    return await on.fetchrow(_LOCK_RUN, run_id)


async def advance_locked(
    engine: Engine, on: Connection, run: asyncpg.Record, *, focus: Collection[str] | None = None
) -> Advanced:
    """Apply everything that can be decided now. With `focus` only what follows from these steps is looked at."""
    status = RunStatus(run["status"])
    if status in TERMINAL_RUN:
        return Advanced()
    states = {
        row["path"]: StepState(StepStatus(row["status"]), row["output"], row["error"])
        for row in await on.fetch(_STATES, run["id"])
    }
    graph = await engine.graphs.get(on, run["workflow_version_id"])
    if status is RunStatus.CANCELLING:
        commands: list[Mapping[str, Any]] = [to_json(command) for command in decide_cancelled(graph, states)]
    else:
        commands = [to_json(command) for command in decide(graph, states, run["input"], str(run["id"]), focus=focus)]
        commands += _attention(status, states.values(), commands)
    if not commands:
        return Advanced()
    applied = await call(on, "apply", run["id"], commands)
    return Advanced([UUID(step) for step in applied["ready"]], list(applied["events"]))


def _attention(
    status: RunStatus, states: Collection[StepState], commands: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Say when a run can go on only after a person has resolved an uncertain step, and when it can again."""
    statuses = {state.status for state in states}
    moving = bool(statuses & _ACTIVE) or any(command["op"] in ("ready", "finish") for command in commands)
    if status is RunStatus.RUNNING and StepStatus.UNCERTAIN in statuses and not moving:
        return [{"op": "attention"}]
    if status is RunStatus.ATTENTION and moving:
        return [{"op": "resume"}]
    return []


async def advance_run(engine: Engine, run_id: UUID) -> None:
    """Advance one run in a transaction of its own: for reapers, waits that were cancelled, and the sweep's repair."""
    failpoint("before_advance")
    async with engine.database.pool.acquire() as connection, connection.transaction():
        run = await lock_run(connection, run_id)
        advanced = await advance_locked(engine, connection, run)
        rings = await call(connection, "emit", advanced.events) if advanced.events else []
        failpoint("mid_advance")
    failpoint("after_advance")
    engine.bell.log_grew(rings)
    if advanced.ready:
        engine.bell.work("run")
