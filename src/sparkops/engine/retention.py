"""Retention: what has ended so long ago that its project no longer keeps it.

Which projects want that is read here; what is old enough the database decides by its own clock, in the functions that
remove it. Each batch is a transaction, and can be done again.
"""

from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from sparkops.engine.context import Engine
from sparkops.engine.removal import BATCH, in_long_transaction

_WANTED = """
SELECT id, keep_runs_days IS NOT NULL AS runs, keep_log_days IS NOT NULL AS logs,
       keep_values_days IS NOT NULL AS values
  FROM projects p
 WHERE coalesce(keep_runs_days, keep_log_days, keep_values_days) IS NOT NULL AND ($1::uuid IS NULL OR id > $1)
   AND NOT EXISTS (SELECT 1 FROM project_deletions d WHERE d.project_id = p.id AND d.status IN ('asked', 'removing'))
 ORDER BY id LIMIT 100
"""
FUNCTIONS: Final = {"runs": "retire_runs", "logs": "thin_logs", "values": "thin_values"}
"""By what is kept for some time only; runs first, so that nothing is taken out of what goes anyway."""


async def retain(engine: Engine) -> AsyncIterator[tuple[str, int]]:
    """Remove what is no longer kept, batch by batch; tell after each of what, and of how many runs."""
    after: UUID | None = None
    while rows := await engine.database.pool.fetch(_WANTED, after):
        for row in rows:
            for what, function in FUNCTIONS.items():
                if row[what]:
                    async for removed in _batches(engine, function, row["id"]):
                        yield what, removed
        after = rows[-1]["id"]


async def _batches(engine: Engine, function: str, project_id: UUID) -> AsyncIterator[int]:
    last: UUID | None = None
    while True:
        answer = await in_long_transaction(engine, function, project_id, last, BATCH)
        yield answer["removed"]
        if answer["last"] is None:
            return
        last = UUID(answer["last"])
