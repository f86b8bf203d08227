"""T_CANCEL: nothing more starts, nothing more leaves, and what runs is asked to stop; so it is for the runs below."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sparkops.core.errors import NotFound
from sparkops.core.failpoints import failpoint
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.runs.state import RunStatus
from sparkops.engine.admission import admit_after
from sparkops.engine.advance import advance_run
from sparkops.engine.below import open_below
from sparkops.engine.context import Engine, call
from sparkops.engine.wake import wake_parents

ORPHANS_BATCH = 100
OVERDUE_ROUNDS = 20
"""Batches of runs that one call gives time back to; a long halt leaves very many of them."""

_VISIBLE = """
SELECT r.id FROM runs r JOIN memberships m ON m.project_id = r.project_id AND m.user_id = $2
 WHERE r.id = $1 AND r.project_id = ANY ($3)
"""
_ORPHANS = """
SELECT r.id FROM runs r JOIN steps s ON s.id = r.parent_step_id
 WHERE r.status NOT IN ('succeeded', 'failed', 'cancelled', 'denied') AND r.status <> 'cancelling'
   AND r.parent_step_id IS NOT NULL AND s.finished_at IS NOT NULL LIMIT $1
"""
_TIMEOUT = {
    "code": "timeout",
    "message": "The run took longer than its workflow allows, without the time that it was held.",
}
_PARENT_ENDED = {"code": "parent-ended", "message": "The step that started this run has ended."}


async def cancel_run(engine: Engine, principal: Principal, run_id: UUID) -> None:
    """Ask a run to stop, and all runs below it. From the moment this returns no further call of them is prepared;
    repeating changes nothing.

    Raises:
        NotFound: there is no such run in a project of theirs.
    """
    reach = principal.reach(Permission.RUN_CONTROL)
    if await engine.database.pool.fetchval(_VISIBLE, run_id, principal.user_id, reach) is None:
        raise NotFound("There is no such run in your projects.")
    await _cancel(engine, run_id, principal.user_id, None)
    await _cancel_below(engine, run_id, principal.user_id)


async def stop_run(engine: Engine, run_id: UUID, error: Mapping[str, str]) -> None:
    """Cancel a run in the name of the platform, which says why, and all runs below it."""
    await _cancel(engine, run_id, None, error)
    await _cancel_below(engine, run_id, None)


async def cancel_overdue(engine: Engine, limit: int) -> int:
    """Stop runs that have taken longer than their workflow allows. Returns how many.

    Queued, paused and halted runs, and those that people have to let begin, are left alone: they are given the time
    back. What stood under a halt gets it here, some batches in one call; the sweep calls again.
    """
    cancelled = 0
    for _ in range(OVERDUE_ROUNDS):
        answer = await call(engine.database.pool, "overdue_runs", limit)
        for run_id in answer["overdue"]:
            await stop_run(engine, UUID(run_id), _TIMEOUT)
        cancelled += len(answer["overdue"])
        if answer["looked"] < limit or answer["overdue"]:
            break
    return cancelled


async def cancel_orphans(engine: Engine) -> int:
    """Cancel runs whose parent step has ended without them: it was cancelled, failed, or its canceller died.

    Returns how many; up to one batch of each generation in one call.
    """
    orphans = await engine.database.pool.fetch(_ORPHANS, ORPHANS_BATCH)
    for row in orphans:
        await _cancel(engine, row["id"], None, _PARENT_ENDED)
    return len(orphans)


async def _cancel_below(engine: Engine, run_id: UUID, user_id: UUID | None) -> None:
    """Cancel the runs below, generation by generation, each in a transaction of its own."""
    async for child in open_below(engine, run_id):
        await _cancel(engine, child, user_id, _PARENT_ENDED)


async def _cancel(engine: Engine, run_id: UUID, user_id: UUID | None, error: Mapping[str, Any] | None) -> None:
    failpoint("before_cancel")
    answer = await call(engine.database.pool, "cancel", run_id, user_id, error)
    failpoint("after_cancel")
    engine.bell.log_grew(answer["rings"])
    await wake_parents(engine, answer["parents"])
    freed = await advance_run(engine, run_id) if answer["status"] == RunStatus.CANCELLING else None
    await admit_after(engine, answer["freed"] or [each for each in (freed,) if each])
