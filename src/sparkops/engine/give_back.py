"""T_REAP and T_RELEASE: steps without a worker return to the queue, or end if they must not be repeated."""

import asyncio
from uuid import UUID

import asyncpg
import structlog

from sparkops.core.failpoints import failpoint
from sparkops.engine.advance import advance_run
from sparkops.engine.context import Engine, call

log = structlog.get_logger()

REAP_BATCH = 100
RELEASE_BATCH = 5_000
RELEASE_TRIES = 4
RELEASE_PAUSE_SECONDS = 0.25


async def reap(engine: Engine) -> int:
    """Give back steps whose lease ran out or whose time is up; any process may. Returns how many.

    Up to one batch; the sweep calls again.
    """
    given, _ = await _give_back(engine, None, crashed=True, limit=REAP_BATCH)
    return given


async def release_session(engine: Engine, session_id: UUID, *, crashed: bool) -> int:
    """Give back at once all steps of a worker session that has ended. Returns how many.

    `crashed`: its process died (its parent saw it), as against a worker that drains. Repeating changes nothing.
    What a transaction of the dead process still locks is tried for again, for a second; then its lease runs out.
    """
    count = 0
    for attempt in range(RELEASE_TRIES):
        given, left = await _give_back(engine, session_id, crashed=crashed, limit=RELEASE_BATCH)
        count += given
        if not left:
            break
        await asyncio.sleep(RELEASE_PAUSE_SECONDS if attempt + 1 < RELEASE_TRIES else 0)
    return count


async def _give_back(engine: Engine, session_id: UUID | None, *, crashed: bool, limit: int) -> tuple[int, int]:
    """Return how many steps were given back, and how many the session still has."""
    failpoint("before_give_back")
    answer = await call(engine.database.pool, "give_back_each", session_id, crashed, limit)
    failpoint("after_give_back")
    engine.bell.log_grew(answer["rings"])
    for queue in set(answer["queues"]):
        engine.bell.work(queue)
    for run_id in set(answer["runs"]):
        await _advance(engine, UUID(run_id))
    return answer["count"], answer["left"]


async def _advance(engine: Engine, run_id: UUID) -> None:
    """Advance a run, now that no step is locked any more. One that somebody holds for long must not stop the others."""
    try:
        await advance_run(engine, run_id)
    except asyncpg.LockNotAvailableError:
        log.warning("advance.left_to_the_sweep", run_id=str(run_id))
