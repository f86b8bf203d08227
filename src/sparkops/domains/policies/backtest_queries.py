"""Statements on backtests. Working on them is the engine's."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update
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
    defer(BacktestJob.places, raiseload=True),
)
_OPEN = (BacktestStatus.QUEUED, BacktestStatus.RUNNING)


def _seen_by(principal: Principal) -> ColumnElement[bool]:
    """Those of the principal's projects, and for administrators of the installation those over all projects."""
    mine = visible_to(principal, BacktestJob.project_id)
    return or_(mine, BacktestJob.project_id.is_(None)) if principal.is_admin else mine


async def backtests(
    session: AsyncSession, principal: Principal, *, project_id: UUID, policy_id: UUID | None, page: PageRequest
) -> Sequence[BacktestJob]:
    """Return the backtests that look at a project, or those of one policy, newest first, one more than the page holds.

    Those over all projects are among them for administrators of the installation. They come without their texts,
    places and days.
    """
    statement = (
        select(BacktestJob)
        .options(*_NO_TEXT)
        .where(or_(BacktestJob.project_id == project_id, BacktestJob.project_id.is_(None)), _seen_by(principal))
    )
    if policy_id is not None:
        statement = statement.where(BacktestJob.policy_id == policy_id)
    if page.after is not None:
        statement = statement.where(BacktestJob.id < page.after)
    return (await session.scalars(statement.order_by(BacktestJob.id.desc()).limit(page.limit + 1))).all()


async def backtest_job(session: AsyncSession, principal: Principal, *, backtest_id: UUID) -> BacktestJob | None:
    """Return a backtest that the principal may see, or None."""
    found = await session.scalar(select(BacktestJob).where(BacktestJob.id == backtest_id, _seen_by(principal)))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def open_backtests(session: AsyncSession, *, project_id: UUID | None) -> int:
    """Return how many backtests of a project wait or go on; None: of those over all projects."""
    statement = select(func.count()).where(
        BacktestJob.project_id.is_not_distinct_from(project_id),
        BacktestJob.status.in_([str(status) for status in _OPEN]),
    )
    return (await session.scalars(statement)).one()


async def flips(
    session: AsyncSession, principal: Principal, *, backtest_id: UUID, change: str | None, page: PageRequest
) -> Sequence[BacktestFlip]:
    """Return the flips of a backtest in the principal's projects, those of the newest decisions first, one more than
    the page holds."""
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
    mine = BacktestJob.id == backtest_id, _seen_by(principal)
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
