"""T_CANCEL: nothing more starts, nothing more leaves, and what runs is asked to stop."""

from collections.abc import Mapping
from uuid import UUID

from sparkops.core.errors import NotFound
from sparkops.core.principal import Principal
from sparkops.engine.admission import admit_after
from sparkops.engine.context import Engine, call

_VISIBLE = """
SELECT r.id FROM runs r JOIN memberships m ON m.project_id = r.project_id AND m.user_id = $2 WHERE r.id = $1
"""


async def cancel_run(engine: Engine, principal: Principal, run_id: UUID) -> None:
    """Ask a run to stop. From the moment this returns no further call of it is prepared; repeating changes nothing.

    Raises:
        NotFound: there is no such run in a project of theirs.
    """
    if await engine.database.pool.fetchval(_VISIBLE, run_id, principal.user_id) is None:
        raise NotFound("There is no such run in your projects.")
    await _cancel(engine, run_id, principal.user_id, None)


async def stop_run(engine: Engine, run_id: UUID, error: Mapping[str, str]) -> None:
    """Cancel a run in the name of the platform, which says why."""
    await _cancel(engine, run_id, None, error)


async def _cancel(engine: Engine, run_id: UUID, user_id: UUID | None, error: Mapping[str, str] | None) -> None:
    answer = await call(engine.database.pool, "cancel", run_id, user_id, error)
    engine.bell.log_grew(answer["rings"])
    await admit_after(engine, answer.get("freed", ()))


_OVERDUE = """
SELECT id, extract(epoch FROM deadline_at - started_at)::float8 AS seconds FROM runs
 WHERE deadline_at < clock_timestamp() AND finished_at IS NULL AND status NOT IN ('cancelling', 'paused', 'queued')
 ORDER BY deadline_at LIMIT $1
"""


async def cancel_overdue(engine: Engine, limit: int) -> int:
    """Stop runs that have taken longer than their workflow allows. Returns how many.

    Queued and paused runs are left alone: they are given the time back that they are held.
    """
    overdue = await engine.database.pool.fetch(_OVERDUE, limit)
    for run in overdue:
        error = {"code": "timeout", "message": f"The run took longer than the {run['seconds']:g} s it may take."}
        await stop_run(engine, run["id"], error)
    return len(overdue)
