"""T_SWEEP: makes lost hints harmless. Every worker process runs it; none is the leader."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sparkops.core.failpoints import failpoint
from sparkops.engine.admission import admit_queued
from sparkops.engine.advance import advance_soon
from sparkops.engine.cancel import cancel_orphans, cancel_overdue
from sparkops.engine.context import Engine, call
from sparkops.engine.displace import displace_forgotten
from sparkops.engine.events import match_unmatched
from sparkops.engine.give_back import reap
from sparkops.engine.pause import hold_below, hold_workflows, release_workflows
from sparkops.engine.wake import wake_due, wake_forgotten

REPAIR_BATCH = 50
"""Runs that one sweep advances at most, of those that it finds in each way."""
OVERDUE_BATCH = 50
EXPIRE_BATCH = 100
EXPIRE_ROUNDS = 20
"""Batches of steps that one sweep gives the time of halts back to."""
ADMIT_BATCH = 100
"""Projects whose queued runs are looked at; chance picks them where there are more."""

RUNG_AFTER = timedelta(seconds=1)
"""Ready steps that nobody has taken for so long are rung for."""

_STALE_QUEUES = """
SELECT q.queue FROM unnest($1::text[]) AS q (queue)
 WHERE EXISTS (SELECT 1 FROM steps s WHERE s.status = 'ready' AND NOT s.held AND NOT s.isolate
                  AND s.queue = q.queue
                  AND s.not_before < clock_timestamp() - $2::interval)
"""
_UNADVANCED = "SELECT DISTINCT run_id AS id FROM unadvanced LIMIT $1"
_STUCK_RUNS = """
SELECT r.id FROM runs r
 WHERE r.status NOT IN ('succeeded', 'failed', 'cancelled', 'denied')
   AND r.status IN ('running', 'cancelling', 'compensating')
   AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.run_id = r.id
                      AND (s.status IN ('ready', 'running')
                           OR s.status = 'waiting' AND s.waiting_for ->> 'kind' IS DISTINCT FROM 'frames'
                           OR s.status = 'uncertain' AND r.status = 'cancelling'))
 ORDER BY r.id LIMIT $1
"""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep found to do; all zero on a quiet system."""

    reaped: int
    repaired: int
    overdue: int
    woken: int
    rung: int
    admitted: int


async def sweep(engine: Engine, queues: tuple[str, ...], *, crashed: bool = True) -> Swept:
    """Give back lapsed steps, repair what nobody finished, expire and wake steps, ring for work. `crashed`: see `reap`.

    What comes due in what people are asked is not among it: see `engine/governing.py`.
    """
    failpoint("before_sweep")
    reaped = await reap(engine, crashed=crashed)
    await expire_steps(engine)
    overdue = await cancel_overdue(engine, OVERDUE_BATCH) + await cancel_orphans(engine)
    woken = await wake_due(engine) + await wake_forgotten(engine) + await match_unmatched(engine)
    await hold_workflows(engine)
    await hold_below(engine)
    await release_workflows(engine)
    await displace_forgotten(engine, ADMIT_BATCH)
    admitted = await admit_queued(engine, ADMIT_BATCH)
    repaired = await advance_forgotten(engine)
    stale = await stale_queues(engine, queues, RUNG_AFTER)
    for queue in stale:
        engine.bell.work(queue)
    return Swept(reaped, repaired, overdue, woken, len(stale), admitted)


async def stale_queues(engine: Engine, queues: Sequence[str], age: timedelta) -> Sequence[str]:
    """Return which of these queues have steps that any worker may take and that are ready for longer than `age`."""
    return [row["queue"] for row in await engine.database.pool.fetch(_STALE_QUEUES, list(queues), age)]


async def advance_forgotten(engine: Engine) -> int:
    """Advance runs that somebody should have advanced who died before. Returns how many; the sweep calls again. One
    that cannot be advanced now does not keep the others waiting."""
    stuck: set[UUID] = set()
    for found in (_UNADVANCED, _STUCK_RUNS):
        stuck |= {row["id"] for row in await engine.database.pool.fetch(found, REPAIR_BATCH)}
    for run_id in sorted(stuck):
        await advance_soon(engine, run_id)
    return len(stuck)


async def expire_steps(engine: Engine) -> int:
    """End steps that are ready or wait when their deadline is over. Returns how many; the sweep calls again.

    What stood under a halt gets that time back instead, some batches in one call.
    """
    ended = 0
    for _ in range(EXPIRE_ROUNDS):
        answer = await call(engine.database.pool, "expire_steps", EXPIRE_BATCH)
        engine.bell.log_grew(answer["rings"])
        for run_id in set(answer["runs"]):
            await advance_soon(engine, UUID(run_id))
        ended += len(answer["runs"])
        if answer["looked"] < EXPIRE_BATCH or answer["runs"]:
            break
    return ended
