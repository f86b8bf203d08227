"""T_REAP and T_RELEASE: steps without a worker return to the queue, or end if they must not be repeated."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from sparkops.engine.advance import advance_run
from sparkops.engine.context import Engine
from sparkops.engine.hand_on import give_back, hand_on

log = structlog.get_logger()

REAP_BATCH = 100


async def reap(engine: Engine, *, crashed: bool = True) -> int:
    """Give back steps whose lease ran out or whose time is up; any process may. Returns how many.

    `crashed`: a lease that ran out is taken for the death of its worker, as against one that nobody could keep because
    the database was away. Up to one batch; the sweep calls again.
    """
    answer = await give_back(engine.database.pool, None, crashed=crashed, limit=REAP_BATCH)
    await _go_on(engine, answer)
    return int(answer["count"])


async def release_session(engine: Engine, session_id: UUID, *, crashed: bool) -> int:
    """Give back at once all steps of a worker session that has ended, and advance their runs. Returns how many.

    `crashed`: its process died (its parent saw it), as against a worker that drains. See `hand_on`.
    """
    count = 0
    async for answer in hand_on(engine.database.pool, session_id, crashed=crashed):
        count += answer["count"]
        await _go_on(engine, answer)
    return count


async def _go_on(engine: Engine, answer: Mapping[str, Any]) -> None:
    engine.bell.log_grew(answer["rings"])
    for queue in set(answer["queues"]):
        engine.bell.work(queue)
    for run_id in set(answer["runs"]):
        await _advance(engine, UUID(run_id))


async def _advance(engine: Engine, run_id: UUID) -> None:
    """Advance a run, now that no step is locked any more. One that somebody holds for long must not stop the others."""
    try:
        await advance_run(engine, run_id)
    except asyncpg.LockNotAvailableError:
        log.warning("advance.left_to_the_sweep", run_id=str(run_id))
