"""Seeing that somebody waits for a lock: how a race is arranged without sleeping."""

from typing import Protocol

_WAITS = """
SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


class _Pool(Protocol):
    async def fetchval(self, query: str) -> object: ...


async def someone_waits(pool: _Pool) -> bool:
    """Say whether a connection to the database of this pool waits for a lock."""
    return bool(await pool.fetchval(_WAITS))
