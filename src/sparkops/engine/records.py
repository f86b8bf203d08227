"""Records that are over: links, sessions, keys of requests, attempts, uses of secrets, security events.

Each batch is a transaction of its own, and can be done again; the database decides by its clock what is old enough.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Final

from sparkops.engine.context import Engine, call

BATCH: Final = 1_000
"""Takes some milliseconds; nobody waits for these rows."""
KEPT: Final[Mapping[str, timedelta]] = {
    "attempts": timedelta(minutes=1),
    "idempotency_keys": timedelta(0),
    "account_links": timedelta(days=30),
    "sessions": timedelta(days=30),
    "secret_uses": timedelta(days=365),
    "security_events": timedelta(days=365),
}
"""How long rows are kept that are over, by table: who looks into a theft asks who had a session, or a link."""


async def prune(
    engine: Engine, kept: Mapping[str, timedelta] = KEPT, batch: int = BATCH
) -> AsyncIterator[tuple[str, int]]:
    """Remove what has been over for longer than it is kept, batch by batch; tell after each of what, how many."""
    for table, keep in kept.items():
        while True:
            removed: int = await call(engine.database.pool, "prune_records", table, keep, batch)
            yield table, removed
            if removed < batch:
                break
