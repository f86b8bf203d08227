"""T_REAP and T_RELEASE: steps without a worker return to the queue, or end if they must not be repeated."""

from uuid import UUID

from sparkops.core.failpoints import failpoint
from sparkops.engine.advance import advance_run
from sparkops.engine.context import Engine, call

REAP_BATCH = 100
RELEASE_BATCH = 5_000


async def reap(engine: Engine) -> int:
    """Give back steps whose lease ran out or whose time is up; any process may. Returns how many.

    Up to one batch; the sweep calls again.
    """
    return await _give_back(engine, None, crashed=True, limit=REAP_BATCH)


async def release_session(engine: Engine, session_id: UUID, *, crashed: bool) -> int:
    """Give back at once all steps of a worker session that has ended. Returns how many.

    `crashed`: its process died (its parent saw it), as against a worker that drains. Repeating changes nothing.
    """
    return await _give_back(engine, session_id, crashed=crashed, limit=RELEASE_BATCH)


async def _give_back(engine: Engine, session_id: UUID | None, *, crashed: bool, limit: int) -> int:
    failpoint("before_give_back")
    answer = await call(engine.database.pool, "give_back", session_id, crashed, limit)
    failpoint("after_give_back")
    engine.bell.log_grew(answer["rings"])
    for queue in set(answer["queues"]):
        engine.bell.work(queue)
    for run_id in set(answer["runs"]):
        await advance_run(engine, UUID(run_id))
    count: int = answer["count"]
    return count
