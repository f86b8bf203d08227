"""T_GOVERN: what comes due by its time in what people look after. Workers that serve the queue `policy` do it.

Several at once divide the work, as each passes over what another holds, or takes a chore for a while.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sparkops.core.failpoints import failpoint
from sparkops.domains.budgets.forecast import forecast
from sparkops.engine.chores import claim_chore, end_chore, hold_chore
from sparkops.engine.context import Engine, call

BATCH: Final = 100
"""Of each kind, in one transaction; what is left is seen to the next time."""
FORECASTS: Final = "forecasts"
"""The chore. The windows that go on are read for it, so one worker does it, and less often."""
FORECASTS_EVERY: Final = timedelta(minutes=1)
_LEASE: Final = timedelta(minutes=1)
_PAGE: Final = 500

_GOING_ON = """
SELECT b.id, b.limit_micros, b.spent_micros, b.starts_at, b.ends_at, clock_timestamp() AS now
  FROM budgets b JOIN budget_definitions d ON d.id = b.definition_id AND d.archived_at IS NULL
 WHERE b.turned_at IS NULL AND b.ends_at > clock_timestamp() AND b.spent_micros BETWEEN 1 AND b.limit_micros - 1
   AND ($1::uuid IS NULL OR b.id > $1)
   AND NOT EXISTS (SELECT 1 FROM budget_notices n WHERE n.budget_id = b.id AND n.action = 'forecast')
 ORDER BY b.id LIMIT $2
"""


async def expire_questions(engine: Engine) -> None:
    """Close questions that nobody answered in time. A run that waits for the answer is advanced by the next sweep."""
    expired = await call(engine.database.pool, "expire_approvals", BATCH)
    failpoint("after_expire")
    engine.bell.log_grew(expired["rings"])


async def escalate_questions(engine: Engine) -> None:
    """Let others answer, too, where nobody has for as long as the rules say."""
    escalated = await call(engine.database.pool, "escalate_approvals", BATCH)
    engine.bell.log_grew(escalated["rings"])


async def remind(engine: Engine) -> None:
    """Say of each question once that half of its time has gone by without an answer."""
    reminded = await call(engine.database.pool, "remind_approvals", BATCH)
    engine.bell.log_grew(reminded["rings"])


async def follow_up(engine: Engine) -> None:
    """Mark violations as overdue that nobody has looked at for longer than their severity allows."""
    await call(engine.database.pool, "follow_up_violations", BATCH)


async def turn(engine: Engine) -> None:
    """Make the windows of budgets whose period has begun."""
    await call(engine.database.pool, "turn_windows", BATCH)


async def foresee(engine: Engine) -> None:
    """Say once in a period of each budget whose spending leads beyond its limit, while that is not reached."""
    token = await claim_chore(engine, FORECASTS, _LEASE)
    if token is None:
        return
    told, after = 0, None
    while rows := await engine.database.pool.fetch(_GOING_ON, after, _PAGE):
        if beyond := [one for row in rows if (one := _beyond(row)) is not None]:
            answer = await call(engine.database.pool, "foresee", beyond)
            engine.bell.log_grew(answer["rings"])
            told += answer["told"]
        after = rows[-1]["id"]
        if not await hold_chore(engine, FORECASTS, token, _LEASE):
            return
    await end_chore(engine, FORECASTS, token, FORECASTS_EVERY, {"told": told})


def _beyond(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is told of a window; None: it is expected to stay within its limit, or nothing can be said yet."""
    found = forecast(
        row["limit_micros"], row["spent_micros"], since=row["starts_at"], until=row["ends_at"], now=row["now"]
    )
    if found is None or found.micros <= row["limit_micros"]:
        return None
    return {"id": str(row["id"]), "micros": found.micros, "method": found.method}


DUTIES: Final[Sequence[Callable[[Engine], Awaitable[None]]]] = (
    expire_questions,
    escalate_questions,
    remind,
    follow_up,
    turn,
    foresee,
)
"""All of it. Each sees once to what is due and may be repeated at any time."""
