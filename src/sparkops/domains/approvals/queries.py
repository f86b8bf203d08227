"""Statements that read approvals. What changes them is the engine's."""

from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.orm import refers_to
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.approvals.models import Approval
from sparkops.domains.approvals.state import ApprovalStatus

OPEN = frozenset({ApprovalStatus.PENDING})
DONE = frozenset(ApprovalStatus) - OPEN


async def approvals(
    session: AsyncSession,
    principal: Principal,
    *,
    project_id: UUID,
    statuses: Collection[ApprovalStatus],
    page: PageRequest,
) -> Sequence[Approval]:
    """Return the questions of a project, newest first, one more than the page holds."""
    statement = select(Approval).where(
        Approval.project_id == project_id,
        Approval.status.in_(sorted(statuses)),
        visible_to(principal, Approval.project_id),
    )
    if page.after is not None:
        statement = statement.where(Approval.id < page.after)
    return (await session.scalars(statement.order_by(Approval.id.desc()).limit(page.limit + 1))).all()


async def approval(session: AsyncSession, principal: Principal, *, approval_id: UUID) -> Approval | None:
    """Return a question of one of the principal's projects, or None."""
    found = await session.scalar(
        select(Approval).where(Approval.id == approval_id, visible_to(principal, Approval.project_id))
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


_OPEN_STATE = "SELECT count(*), max(id::text) FROM approvals WHERE project_id = $1 AND status = 'pending'"


async def open_state(pool: "asyncpg.Pool[asyncpg.Record]", *, project_id: UUID) -> tuple[int, str | None]:
    """Return a value that changes whenever the open questions of a project do."""
    row = await pool.fetchrow(_OPEN_STATE, project_id)
    assert row is not None, "an aggregate without GROUP BY always has one row"
    return row[0], row[1]


async def approvals_refer_to(session: AsyncSession, *, run_id: UUID, sha256: str) -> bool:
    """Say whether a question of the run shows this large value; the caller has checked the run."""
    found = select(Approval.id).where(Approval.run_id == run_id, refers_to(Approval.proposed_request, sha256))
    return bool(await session.scalar(select(exists(found))))
