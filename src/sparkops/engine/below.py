"""The runs below a run: those of its sub-workflows, and of theirs."""

from collections.abc import AsyncIterator
from uuid import UUID

from sparkops.engine.context import Engine

BATCH = 100

_OPEN_CHILDREN = """
SELECT id FROM runs WHERE parent_run_id = ANY ($1) AND finished_at IS NULL AND id > $2 ORDER BY id LIMIT $3
"""
_FIRST = UUID(int=0)


async def open_below(engine: Engine, run_id: UUID) -> AsyncIterator[UUID]:
    """Yield the runs below that have not ended, generation by generation: a run comes before those that it starts."""
    generation = [run_id]
    while generation:
        below: list[UUID] = []
        while page := await _open_children(engine, generation, below[-1] if below else _FIRST):
            for child in page:
                yield child
            below += page
        generation = below


async def _open_children(engine: Engine, parents: list[UUID], after: UUID) -> list[UUID]:
    rows = await engine.database.pool.fetch(_OPEN_CHILDREN, parents, after, BATCH)
    return [row["id"] for row in rows]
