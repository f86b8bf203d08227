"""T_ADVANCE: look at a run and apply what `decide` says. Safe to repeat; always under the run's lock."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from sparkops.core.errors import Unavailable
from sparkops.core.payloads import Values
from sparkops.domains.runs.state import TERMINAL_RUN, RunStatus, StepStatus
from sparkops.engine.context import Connection, Engine, Ring, call
from sparkops.engine.decide import StepState, decide, decide_cancelled, to_json

log = structlog.get_logger()

_PROJECT = "SELECT project_id FROM runs WHERE id = $1"
_LOCK_RUN = """
SELECT r.id, r.project_id, r.status, r.input, r.workflow_version_id,
       r.concurrency_limit IS NOT NULL
       OR EXISTS (SELECT 1 FROM projects p WHERE p.id = r.project_id AND p.max_running_runs IS NOT NULL)
       OR EXISTS (SELECT 1 FROM workflows w WHERE w.id = r.workflow_id AND w.max_running_runs IS NOT NULL) AS limited
  FROM runs r WHERE r.id = $1 FOR UPDATE
"""
_STATES = "SELECT path, status, output, error FROM steps WHERE run_id = $1"

HELD = frozenset({RunStatus.QUEUED, RunStatus.PAUSED})
"""What already runs goes on, and its consequences are drawn; but such a run does not end before it goes on."""
_ACTIVE = frozenset({StepStatus.READY, StepStatus.RUNNING, StepStatus.WAITING})


@dataclass(slots=True)
class Advanced:
    """What advancing one run changed: steps that became ready, lines for the logs, and whether it has ended."""

    ready: list[UUID] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    ended: bool = False


async def lock_run(on: Connection, run_id: UUID) -> asyncpg.Record:
    """Lock the run row and return it: the first statement of every transaction that may advance a run."""
    return await on.fetchrow(_LOCK_RUN, run_id)


async def advance_locked(
    engine: Engine, on: Connection, run: asyncpg.Record, values: Values, *, focus: Collection[str] | None = None
) -> Advanced:
    """Apply everything that can be decided now. With `focus` only what follows from these steps is looked at.

    Raises:
        NotAtHand: large values are needed first: roll back, let the desk that is `values` provide them, try again.
    """
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
        decided = decide(graph, states, run["input"], str(run["id"]), focus=focus, values=values)
        commands = [to_json(command) for command in decided]
        attention = _attention(status, states.values(), commands)
        if status is RunStatus.ATTENTION and attention:
            # A run that needs attention cannot end: it goes on first, even if only to its end.
            resumed = await call(on, "apply", run["id"], attention)
            return await _apply(on, run["id"], commands, resumed["events"])
        commands += attention
    if status in HELD:
        commands = [command for command in commands if command["op"] not in ("finish", "compensate")]
    return await _apply(on, run["id"], commands, [])


async def _apply(
    on: Connection, run_id: UUID, commands: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> Advanced:
    if not commands:
        return Advanced([], list(events))
    applied = await call(on, "apply", run_id, list(commands))
    ended = any(command["op"] == "finish" for command in commands)
    return Advanced([UUID(step) for step in applied["ready"]], [*events, *applied["events"]], ended)


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
    """Advance one run in a transaction of its own: for reapers, waits that were cancelled, and the sweep's repair.

    Where it needs a large value and the object storage does not answer, the run is left to a later sweep.
    """
    desk = engine.payloads.desk(await engine.database.pool.fetchval(_PROJECT, run_id))

    async def act() -> tuple[Advanced, Sequence[Ring]]:
        async with engine.database.pool.acquire() as connection, connection.transaction():
            run = await lock_run(connection, run_id)
            advanced = await advance_locked(engine, connection, run, desk)
            return advanced, await call(connection, "emit", advanced.events) if advanced.events else []

    try:
        advanced, rings = await desk.decide(act)
    except Unavailable as error:
        log.warning("advance.put_off", run_id=str(run_id), error=error.detail)
        return
    engine.bell.log_grew(rings)
    if advanced.ready:
        engine.bell.work("run")
