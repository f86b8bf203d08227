"""Looks for transactions in which nobody works although they are open: none may be while a call is out (INV22)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

EVERY_SECONDS: Final = 0.1
TOO_LONG_SECONDS: Final = 0.2
"""An answer of a model takes longer; between two statements of one transaction lie milliseconds."""
ROLES: Final = ("sparkops_owner", "sparkops_app", "sparkops_api")

_IDLE = """
SELECT usename || ' (' || application_name || ')' AS who, query,
       1000 * extract(epoch FROM clock_timestamp() - state_change)::float8 AS ms
  FROM pg_stat_activity
 WHERE usename = ANY ($1) AND state LIKE 'idle in transaction%'
 ORDER BY ms DESC LIMIT 1
"""


@dataclass
class Looked:
    """What was seen so far: the longest that a transaction was idle, and what it had last done if that is too long."""

    samples: int = 0
    longest_ms: float = 0.0
    found: list[str] = field(default_factory=list)

    def see(self, row: "asyncpg.Record | None") -> None:
        self.samples += 1
        if row is None:
            return
        self.longest_ms = max(self.longest_ms, row["ms"])
        if row["ms"] > TOO_LONG_SECONDS * 1000:
            self.found.append(f"{row['who']} left a transaction idle for {row['ms']:.0f} ms after: {row['query']}")


@asynccontextmanager
async def nothing_left_open(admin_url: str) -> AsyncIterator[Looked]:
    """Look ten times a second at all transactions of the platform's roles, until the block ends.

    Raises:
        RuntimeError: one stood open and idle for longer than a fifth of a second; with its last statement.
    """
    looked = Looked()
    connection: Any = await asyncpg.connect(admin_url)
    looking = asyncio.create_task(_look(connection, looked))
    try:
        yield looked
    finally:
        looking.cancel()
        await asyncio.wait([looking])
        await connection.close()
    if not looking.cancelled():
        looking.result()
    if looked.found:
        raise RuntimeError(f"{len(looked.found)} of {looked.samples} looks: {looked.found[0]}")


async def _look(connection: Any, looked: Looked) -> None:
    while True:
        looked.see(await connection.fetchrow(_IDLE, list(ROLES)))
        await asyncio.sleep(EVERY_SECONDS)
