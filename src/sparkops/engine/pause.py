"""T_PAUSE and T_RESUME: a run stands still where it is, and goes on from there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from sparkops.core.errors import Conflict, NotFound
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.runs.state import TERMINAL_RUN, RunStatus
from sparkops.engine.advance import advance_run
from sparkops.engine.below import open_below
from sparkops.engine.context import Engine, call

log = structlog.get_logger()

REPAIR_BATCH = 200

_VISIBLE = """
SELECT r.id FROM runs r JOIN memberships m ON m.project_id = r.project_id AND m.user_id = $2
 WHERE r.id = $1 AND r.project_id = ANY ($3)
"""
_NOT_PAUSED = """
SELECT r.id FROM halts h JOIN runs r ON r.project_id = h.project_id AND r.workflow_id = h.scope_id
 WHERE h.scope = 'workflow' AND h.kind = 'pause' AND h.released_at IS NULL AND r.status = 'running' LIMIT $1
"""
_BELOW_PAUSED = """
SELECT c.id, p.paused_by FROM runs p JOIN runs c ON c.parent_run_id = p.id
 WHERE p.status = 'paused' AND p.paused_by IS NOT NULL AND c.status = 'running' LIMIT $1
"""
_ABOVE = """
SELECT p.id FROM runs c JOIN runs p ON p.id = c.parent_run_id
 WHERE c.id = $1 AND p.status = 'paused' AND p.paused_by IS NOT NULL
"""
_NOT_RESUMED = """
SELECT r.id FROM runs r
 WHERE r.status = 'paused' AND r.paused_by IS NULL
   AND r.workflow_id <> ALL (ARRAY(SELECT scope_id FROM halts WHERE scope = 'workflow' AND released_at IS NULL))
 LIMIT $1
"""


class NotPausable(Conflict):
    code, title = "not-pausable", "This run cannot be paused as it stands"


class NotResumable(Conflict):
    code, title = "not-resumable", "This run cannot be resumed as it stands"


_WHY = {
    RunStatus.AWAITING_APPROVAL: "it waits for an approval",
    RunStatus.ATTENTION: "nothing of it goes on until a person has resolved its uncertain step",
    RunStatus.CANCELLING: "it is being cancelled",
    RunStatus.COMPENSATING: "it is taking back what it did",
}


async def pause_run(engine: Engine, principal: Principal, run_id: UUID) -> None:
    """Let nothing more of a run start, nor of the runs below it. What runs goes on to its end; the run ends only after
    it was resumed. Repeating changes nothing.

    Raises:
        NotFound: there is no such run in a project of theirs.
        NotPausable: it has ended, or is in a state that a pause would not hold.
    """
    await _check_visible(engine, principal, run_id)
    answer = await call(engine.database.pool, "pause_run", run_id, principal.user_id)
    status = RunStatus(answer["status"])
    if status is not RunStatus.PAUSED:
        raise NotPausable(f"It cannot be paused: {_why(status)}.", status_now=status)
    engine.bell.log_grew(answer["rings"])
    async for child in open_below(engine, run_id):
        await _pause(engine, child, principal.user_id)


async def resume_run(engine: Engine, principal: Principal, run_id: UUID) -> None:
    """Let a paused run go on with all runs below it, or queue where a limit leaves no room. A run that is not paused
    stays as it is.

    Raises:
        NotFound: there is no such run in a project of theirs.
        NotResumable: it has ended, or its workflow or the run above it is paused.
    """
    await _check_visible(engine, principal, run_id)
    above = await engine.database.pool.fetchval(_ABOVE, run_id)
    if above is not None:
        raise NotResumable("The run above it is paused. Resume that one: this one goes on with it.", run_id=str(above))
    answer = await _resume(engine, run_id, principal.user_id)
    status = RunStatus(answer["status"])
    if status is RunStatus.PAUSED:
        raise NotResumable(
            "Its workflow is paused. Release that halt: its runs go on with it, but for those paused one by one.",
            halt_id=answer["halt"],
        )
    if status not in (RunStatus.RUNNING, RunStatus.QUEUED):
        raise NotResumable(f"It cannot be resumed: {_why(status)}.", status_now=status)
    async for child in open_below(engine, run_id):
        await _resume(engine, child, principal.user_id)


async def hold_workflows(engine: Engine, limit: int = REPAIR_BATCH) -> int:
    """Pause running runs whose workflow is paused, each in a transaction of its own. Returns how many it met."""
    rows = await engine.database.pool.fetch(_NOT_PAUSED, limit)
    for row in rows:
        with _passing_over(row["id"]):
            await _pause(engine, row["id"], None)
    return len(rows)


async def hold_below(engine: Engine, limit: int = REPAIR_BATCH) -> int:
    """Pause running runs whose parent a person has paused: those that it started at that very moment. Returns how
    many it met."""
    rows = await engine.database.pool.fetch(_BELOW_PAUSED, limit)
    for row in rows:
        with _passing_over(row["id"]):
            await _pause(engine, row["id"], row["paused_by"])
    return len(rows)


async def release_workflows(engine: Engine, limit: int = REPAIR_BATCH) -> int:
    """Resume runs that were paused with a workflow that is not paused any more. Returns how many it met."""
    rows = await engine.database.pool.fetch(_NOT_RESUMED, limit)
    for row in rows:
        with _passing_over(row["id"]):
            await _resume(engine, row["id"], None)
    return len(rows)


@contextmanager
def _passing_over(run_id: UUID) -> Iterator[None]:
    """Leave a run that somebody holds for long to the next sweep, so that the others do not wait for it."""
    try:
        yield
    except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError) as error:
        log.warning("run.passed_over", run_id=str(run_id), error=str(error))


async def _check_visible(engine: Engine, principal: Principal, run_id: UUID) -> None:
    reach = principal.reach(Permission.RUN_CONTROL)
    if await engine.database.pool.fetchval(_VISIBLE, run_id, principal.user_id, reach) is None:
        raise NotFound("There is no such run in your projects.")


async def _pause(engine: Engine, run_id: UUID, user_id: UUID | None) -> None:
    answer = await call(engine.database.pool, "pause_run", run_id, user_id)
    engine.bell.log_grew(answer["rings"])


async def _resume(engine: Engine, run_id: UUID, user_id: UUID | None) -> Mapping[str, Any]:
    """Resume a run, and advance it: it may have come to its end while it was paused."""
    answer: Mapping[str, Any] = await call(engine.database.pool, "resume_run", run_id, user_id)
    engine.bell.log_grew(answer["rings"])
    if answer["status"] == RunStatus.RUNNING:
        await advance_run(engine, run_id)
        engine.bell.work("run")
    return answer


def _why(status: RunStatus) -> str:
    return "it has ended" if status in TERMINAL_RUN else _WHY[status]
