"""T_SWEEP: makes lost hints harmless. Every worker process runs it; none is the leader."""

from dataclasses import dataclass
from uuid import UUID

from sparkops.core.failpoints import failpoint
from sparkops.engine.advance import advance_run
from sparkops.engine.cancel import cancel_overdue
from sparkops.engine.context import Engine, call
from sparkops.engine.give_back import reap

APPROVAL_BATCH = 100
REPAIR_BATCH = 50
OVERDUE_BATCH = 50

_STALE_QUEUES = """
SELECT q.queue FROM unnest($1::text[]) AS q (queue)
 WHERE EXISTS (SELECT 1 FROM steps s WHERE s.status = 'ready' AND NOT s.held AND s.queue = q.queue
                  AND s.not_before < clock_timestamp() - interval '1 second')
"""
_STUCK_RUNS = """
SELECT r.id FROM runs r
 WHERE r.status NOT IN ('succeeded', 'failed', 'cancelled', 'denied') AND r.status IN ('running', 'cancelling')
   AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.run_id = r.id
                      AND (s.status IN ('ready', 'running', 'waiting')
                           OR s.status = 'uncertain' AND r.status = 'cancelling'))
 ORDER BY r.id LIMIT $1
"""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep found to do; all zero on a quiet system."""

    reaped: int
    repaired: int
    overdue: int
    rung: int


async def sweep(engine: Engine, queues: tuple[str, ...]) -> Swept:
    """Give back lapsed steps, repair runs that nobody advanced, expire questions, ring for work that waits."""
    failpoint("before_sweep")
    reaped = await reap(engine)
    expired = await call(engine.database.pool, "expire_approvals", APPROVAL_BATCH)
    failpoint("after_expire")
    engine.bell.log_grew(expired["rings"])
    overdue = await cancel_overdue(engine, OVERDUE_BATCH)
    stuck: list[UUID] = [row["id"] for row in await engine.database.pool.fetch(_STUCK_RUNS, REPAIR_BATCH)]
    for run_id in stuck:
        await advance_run(engine, run_id)
    stale = await engine.database.pool.fetch(_STALE_QUEUES, list(queues))
    for row in stale:
        engine.bell.work(row["queue"])
    return Swept(reaped, len(stuck), overdue, len(stale))
