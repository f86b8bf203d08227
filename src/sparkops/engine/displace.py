"""`when_full: cancel_running`: the newest runs of a concurrency key go first, and those before them are cancelled."""

from uuid import UUID

from sparkops.engine.cancel import stop_run
from sparkops.engine.context import Engine, call

DISPLACES = "cancel_running"

_NEWEST_QUEUED = """
SELECT DISTINCT ON (workflow_id, concurrency_key) id, workflow_version_id FROM (
    SELECT id, workflow_id, workflow_version_id, concurrency_key FROM runs
     WHERE status = 'queued' AND NOT uncounted AND concurrency_limit IS NOT NULL ORDER BY random() LIMIT $1) r
 ORDER BY workflow_id, concurrency_key, id DESC
"""


async def displace(engine: Engine, run_id: UUID) -> int:
    """Cancel what stands in the way of a queued run of such a workflow. Returns how many runs; repeating is harmless.

    They end when what they are doing has ended; the run goes on then.
    """
    older: list[UUID] = await call(engine.database.pool, "displaced", run_id)
    message = f"Run {run_id} came with the same concurrency key, and this workflow lets the newest go first."
    for each in older:
        await stop_run(engine, each, {"code": "displaced", "message": message})
    return len(older)


async def displace_forgotten(engine: Engine, limit: int) -> None:
    """Part of T_SWEEP: do what a crash after the acceptance of a run left undone."""
    for row in await engine.database.pool.fetch(_NEWEST_QUEUED, limit):
        graph = await engine.graphs.get(engine.database.pool, row["workflow_version_id"])
        concurrency = graph.definition.concurrency
        if concurrency is not None and concurrency.when_full == DISPLACES:
            await displace(engine, row["id"])
