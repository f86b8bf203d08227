"""Statements on backtests. Working on them is the engine's."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.policies.models import BacktestFlip, BacktestJob
from sparkops.domains.policies.state import BacktestStatus

_NO_TEXT = (
    defer(BacktestJob.source, raiseload=True),
    defer(BacktestJob.document, raiseload=True),
    defer(BacktestJob.days, raiseload=True),
)
_OPEN = (BacktestStatus.QUEUED, BacktestStatus.RUNNING)


async def backtests(
    session: AsyncSession, principal: Principal, *, project_id: UUID, policy_id: UUID | None, page: PageRequest
) -> Sequence[BacktestJob]:
    """Return the backtests of a project, or of one policy in it, newest first, one more than the page holds.

    They come without their texts and days.
    """
    statement = (
        select(BacktestJob)
        .options(*_NO_TEXT)
        .where(BacktestJob.project_id == project_id, visible_to(principal, BacktestJob.project_id))
    )
    if policy_id is not None:
        statement = statement.where(BacktestJob.policy_id == policy_id)
    if page.after is not None:
        statement = statement.where(BacktestJob.id < page.after)
    return (await session.scalars(statement.order_by(BacktestJob.id.desc()).limit(page.limit + 1))).all()


async def backtest_job(session: AsyncSession, principal: Principal, *, backtest_id: UUID) -> BacktestJob | None:
    """Return a backtest of one of the principal's projects, or None."""
    found = await session.scalar(
        select(BacktestJob).where(BacktestJob.id == backtest_id, visible_to(principal, BacktestJob.project_id))
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def open_backtests(session: AsyncSession, *, project_id: UUID) -> int:
    """Return how many backtests of a project wait or go on."""
    statement = select(func.count()).where(
        BacktestJob.project_id == project_id, BacktestJob.status.in_([str(status) for status in _OPEN])
    )
    return (await session.scalars(statement)).one()


async def flips(
    session: AsyncSession, principal: Principal, *, backtest_id: UUID, change: str | None, page: PageRequest
) -> Sequence[BacktestFlip]:
    """Return the flips of a backtest, those of the newest decisions first, one more than the page holds."""
    statement = select(BacktestFlip).where(
        BacktestFlip.backtest_id == backtest_id, visible_to(principal, BacktestFlip.project_id)
    )
    if change is not None:
        statement = statement.where(BacktestFlip.change == change)
    if page.after is not None:
        statement = statement.where(BacktestFlip.id > page.after)
    return (await session.scalars(statement.order_by(BacktestFlip.id).limit(page.limit + 1))).all()


async def cancel_backtest(session: AsyncSession, principal: Principal, *, backtest_id: UUID) -> None:
    """End a backtest that waits, and ask one that goes on to end; one that has ended stays what it is."""
    mine = BacktestJob.id == backtest_id, visible_to(principal, BacktestJob.project_id)
    await session.execute(
        update(BacktestJob)
        .where(*mine, BacktestJob.status == BacktestStatus.QUEUED)
        .values(status=BacktestStatus.CANCELLED, cancel_requested=True, finished_at=func.clock_timestamp())
    )
    await session.execute(
        update(BacktestJob)
        .where(*mine, BacktestJob.status.in_([str(status) for status in _OPEN]))
        .values(cancel_requested=True)
    )
