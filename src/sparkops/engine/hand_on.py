"""T_RELEASE as far as the database does it: for whoever sees a worker die, and knows nothing else of the engine."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from sparkops.core.db import Statements
from sparkops.core.failpoints import failpoint

BATCH = 5_000
TRIES = 4
PAUSE_SECONDS = 0.25

_GIVE_BACK = "SELECT engine.give_back_each($1, $2, $3)"


async def give_back(on: Statements, session_id: UUID | None, *, crashed: bool, limit: int) -> dict[str, Any]:
    """Give back steps of a session that has ended, or (None) of lapsed leases: see `give_back_each.sql`."""
    failpoint("before_give_back")
    answer: dict[str, Any] = await on.fetchval(_GIVE_BACK, session_id, crashed, limit)
    failpoint("after_give_back")
    return answer


async def hand_on(on: Statements, session_id: UUID, *, crashed: bool) -> AsyncIterator[dict[str, Any]]:
    """Give back all steps of a worker session that has ended, and yield what each try gave back.

    The steps are free for others at once. Runs that go on or end with them (`runs`) are for the caller to advance; the
    next sweep of a worker does it for who does not. What a transaction of the dead process still locks is tried for
    again, for a second; then its lease runs out. Repeating changes nothing.
    """
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        answer = await give_back(on, session_id, crashed=crashed, limit=BATCH)
        yield answer
        if not answer["left"]:
            return
