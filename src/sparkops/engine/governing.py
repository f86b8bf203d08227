"""T_GOVERN: what comes due by its time in what people look after. Workers that serve the queue `policy` do it.

Several at once divide the work, as each passes over what another holds."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sparkops.core.failpoints import failpoint
from sparkops.engine.context import Engine, call

BATCH: Final = 100
"""Of each kind, in one transaction; what is left is seen to the next time."""


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


DUTIES: Final[Sequence[Callable[[Engine], Awaitable[None]]]] = (
    expire_questions,
    escalate_questions,
    remind,
    follow_up,
    turn,
)
"""All of it. Each sees once to what is due and may be repeated at any time."""
