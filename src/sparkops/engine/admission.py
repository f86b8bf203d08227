"""T_ADMIT: queued runs go on, by priority and arrival, as soon as there is room for them."""

from collections.abc import Iterable
from uuid import UUID

import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.engine.advance import advance_soon
from sparkops.engine.context import Engine, call
from sparkops.engine.errors import OverBudget

log = structlog.get_logger()

BATCH = 50
ROUNDS = 20
"""At most so many batches at a time; the sweep goes on."""

_QUEUING = """
WITH RECURSIVE project AS (
  (SELECT project_id FROM runs WHERE status = 'queued' ORDER BY project_id LIMIT 1)
  UNION ALL
  SELECT (SELECT r.project_id FROM runs r WHERE r.status = 'queued' AND r.project_id > p.project_id
           ORDER BY r.project_id LIMIT 1) FROM project p WHERE p.project_id IS NOT NULL)
SELECT project_id FROM project WHERE project_id IS NOT NULL ORDER BY random() LIMIT $1
"""


async def admit_project(engine: Engine, project_id: UUID) -> int:
    """Let queued runs of a project go on while there is room. Returns how many did; repeating is harmless."""
    admitted = 0
    for _ in range(ROUNDS):
        candidates = await call(engine.database.pool, "admissible", project_id, BATCH)
        moved = [run_id for run_id in candidates if await _admit(engine, run_id)]
        admitted += len(moved)
        if not moved:
            break
    if admitted:
        engine.bell.work("run")
    return admitted


async def admit_after(engine: Engine, freed: Iterable[str | UUID]) -> None:
    """Admit in the projects where a run has just ended. What fails here the sweep does."""
    for project_id in freed:
        try:
            await admit_project(engine, UUID(str(project_id)))
        except LOST_CONNECTION as error:
            # The end of the run is committed, and its caller must not take this for a failure of that.
            log.warning("admit.failed", project_id=str(project_id), error=str(error) or type(error).__name__)


async def admit_queued(engine: Engine, limit: int) -> int:
    """Part of T_SWEEP: admit in up to `limit` projects that have queued runs. Returns how many runs went on."""
    rows = await engine.database.pool.fetch(_QUEUING, limit)
    return sum([await admit_project(engine, row["project_id"]) for row in rows])


async def _admit(engine: Engine, run_id: UUID) -> bool:
    try:
        answer = await call(engine.database.pool, "admit_run", run_id)
    except OverBudget:  # another has taken the place that there was
        return False
    engine.bell.log_grew(answer["rings"])
    if answer["admitted"] and answer["ended"]:
        await advance_soon(engine, run_id)
    return bool(answer["admitted"])
