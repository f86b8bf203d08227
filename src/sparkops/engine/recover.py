"""After a restore or a promotion: a new epoch, in which nothing of the workers of the old one counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from sparkops.core.errors import Conflict, Unavailable
from sparkops.engine.advance import advance_run
from sparkops.engine.context import Engine, call

SHOWN = 100
"""How many rows of each kind are listed; all are counted."""
_LIMITS = "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '30s'"

_ALIVE = """
SELECT id, host, pid, seen_at FROM worker_sessions
 WHERE ended_at IS NULL AND seen_at > clock_timestamp() - interval '1 minute' ORDER BY seen_at DESC
"""
_NOW = "SELECT status, count(*) AS count FROM steps WHERE id = ANY ($1) GROUP BY status ORDER BY status"
_UNCERTAIN = """
SELECT s.id AS step_id, s.run_id, s.path, count(*) OVER () AS total FROM steps s
 WHERE s.id = ANY ($1) AND s.status = 'uncertain' ORDER BY s.id LIMIT $2
"""
_REVIEW = """
SELECT c.id AS call_id, c.run_id, c.step_id, c.name, c.effect_class, c.status, c.prepared_at, c.finished_at,
       count(*) OVER () AS total
  FROM calls c
 WHERE c.prepared_at IS NOT NULL AND (c.prepared_at >= $1 OR c.finished_at >= $1)
 ORDER BY c.prepared_at, c.id LIMIT $2
"""


class WorkersAlive(Conflict):
    code, title = "workers-alive", "Workers are at work"


@dataclass(frozen=True, slots=True)
class Listed:
    """The first rows of a list, and how many there are in all."""

    rows: Sequence[Mapping[str, Any]]
    total: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done. `steps` counts the steps that were running by what became of them."""

    old_epoch: UUID
    new_epoch: UUID
    steps: Mapping[str, int]
    sessions: int
    uncertain: Listed
    """Steps whose unsafe call may or may not have happened: a person says which."""
    review: Listed | None
    """Calls that were prepared or ended since the given time, which the world may know and this database not whole."""


async def recover(engine: Engine, *, actor: str, force: bool, restored_to: datetime | None) -> Recovered:
    """Begin a new epoch. The engine's database must be open under the role that owns the schema.

    Raises:
        Unavailable: a transaction held what has to be changed for half a minute; nothing was done.
        WorkersAlive: a worker gave a sign of life within the last minute, and `force` was not given.
    """
    pool = engine.database.pool
    alive = await pool.fetch(_ALIVE)
    if alive and not force:
        first = alive[0]
        raise WorkersAlive(
            f"{len(alive)} worker sessions gave a sign of life within the last minute, {first['host']} process "
            f"{first['pid']} the last. Stop the workers first; with --force they lose what they are doing."
        )
    detail = {"forced": bool(alive), "restored_to": restored_to.isoformat() if restored_to else None}
    try:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(_LIMITS)
            done = await call(connection, "recover", actor, detail)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        raise Unavailable(
            "Somebody holds what has to be changed; nothing was done. Stop the workers, or try again."
        ) from None
    engine.bell.log_grew(done["rings"])
    for run_id in sorted(set(done["runs"])):
        await advance_run(engine, UUID(run_id))
    steps = [UUID(step_id) for step_id in done["steps"]]
    return Recovered(
        old_epoch=UUID(done["old"]),
        new_epoch=UUID(done["new"]),
        steps={row["status"]: row["count"] for row in await pool.fetch(_NOW, steps)},
        sessions=done["sessions"],
        uncertain=_listed(await pool.fetch(_UNCERTAIN, steps, SHOWN)),
        review=None if restored_to is None else _listed(await pool.fetch(_REVIEW, restored_to, SHOWN)),
    )


def _listed(rows: Sequence[Mapping[str, Any]]) -> Listed:
    total = rows[0]["total"] if rows else 0
    return Listed([{name: value for name, value in row.items() if name != "total"} for row in rows], total)
