"""T_CANCEL: nothing more starts, nothing more leaves, and what runs is asked to stop."""

from uuid import UUID

from sparkops.core.errors import NotFound
from sparkops.core.failpoints import failpoint
from sparkops.core.principal import Principal
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
    failpoint("before_cancel")
    answer = await call(engine.database.pool, "cancel", run_id, principal.user_id, None)
    failpoint("after_cancel")
    engine.bell.log_grew(answer["rings"])


_OVERDUE = """
SELECT id, extract(epoch FROM deadline_at - created_at)::float8 AS seconds FROM runs
 WHERE deadline_at < clock_timestamp() AND finished_at IS NULL AND status <> 'cancelling' ORDER BY deadline_at LIMIT $1
"""


async def cancel_overdue(engine: Engine, limit: int) -> int:
    """Stop runs that have taken longer than their workflow allows. Returns how many."""
    overdue = await engine.database.pool.fetch(_OVERDUE, limit)
    for run in overdue:
        error = {"code": "timeout", "message": f"The run took longer than the {run['seconds']:g} s it may take."}
        answer = await call(engine.database.pool, "cancel", run["id"], None, error)
        engine.bell.log_grew(answer["rings"])
    return len(overdue)
