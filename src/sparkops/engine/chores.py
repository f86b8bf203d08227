"""Chores: what some worker does from time to time for the whole installation. Several workers divide them."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from sparkops.core.ids import new_id
from sparkops.engine.context import Engine

_CLAIM = """
UPDATE chores SET claim_token = $2, lease_expires_at = clock_timestamp() + $3
 WHERE name = $1 AND next_at <= clock_timestamp()
   AND (lease_expires_at IS NULL OR lease_expires_at < clock_timestamp())
RETURNING name
"""
_HOLD = """
UPDATE chores SET lease_expires_at = clock_timestamp() + $3 WHERE name = $1 AND claim_token = $2 RETURNING name
"""
_END = """
UPDATE chores SET claim_token = NULL, lease_expires_at = NULL, finished_at = clock_timestamp(), found = $4,
       next_at = clock_timestamp() + $3
 WHERE name = $1 AND claim_token = $2
"""


async def claim_chore(engine: Engine, name: str, lease: timedelta) -> UUID | None:
    """Take a chore that is due, for so long; None: it is not due, or another worker does it."""
    token = new_id()
    taken = await engine.database.pool.fetchval(_CLAIM, name, token, lease)
    return None if taken is None else token


async def hold_chore(engine: Engine, name: str, token: UUID, lease: timedelta) -> bool:
    """Keep a chore for so long from now; False: it was lost to another worker."""
    return await engine.database.pool.fetchval(_HOLD, name, token, lease) is not None


async def end_chore(engine: Engine, name: str, token: UUID, every: timedelta, found: Mapping[str, int]) -> None:
    """Say that a chore is done, what was found, and that it is due again after so long."""
    await engine.database.pool.execute(_END, name, token, every, dict(found))
