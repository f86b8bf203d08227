"""Statements that read approvals. What changes them is the engine's."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import Boolean, exists, or_, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.json import Json
from sparkops.core.orm import refers_to
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.approvals.models import Approval, ApprovalMessage, ApprovalVote
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


async def edited_request(
    session: AsyncSession, principal: Principal, *, run_id: UUID, call_id: UUID, request_hash: str
) -> Json:
    """Return what an approver made of the request of a call, as it is stored, if it has this digest, or None."""
    found: Json = await session.scalar(
        select(Approval.edited_request)
        .where(
            Approval.run_id == run_id,
            Approval.subject_id == call_id,
            Approval.edited_hash == request_hash,
            visible_to(principal, Approval.project_id),
        )
        .limit(1)
    )
    return found


async def agreed_edits(
    session: AsyncSession, principal: Principal, *, approval_ids: Collection[UUID]
) -> Sequence[Approval]:
    """Return those of these questions that were answered with yes to what an approver had made of the request."""
    statement = select(Approval).where(
        Approval.id.in_(approval_ids),
        Approval.edited_hash.is_not(None),
        Approval.status.in_((ApprovalStatus.APPROVED, ApprovalStatus.CONSUMED)),
        visible_to(principal, Approval.project_id),
    )
    return (await session.scalars(statement)).all()


OpenState = tuple[int, str | None, int | None]
_OPEN_STATE = """
SELECT count(*), max(id::text), sum(revision)::bigint FROM approvals WHERE project_id = $1 AND status = 'pending'
"""


async def open_state(pool: "asyncpg.Pool[asyncpg.Record]", *, project_id: UUID) -> OpenState:
    """Return a value that changes whenever the open questions of a project do."""
    row = await pool.fetchrow(_OPEN_STATE, project_id)
    assert row is not None, "an aggregate without GROUP BY always has one row"
    return row[0], row[1], row[2]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a question is agreed to, and whether one person may answer it. `missing` are places of groups, from 1."""

    agreed: int
    missing: Sequence[int]
    may_answer: bool


async def standings(
    session: AsyncSession, principal: Principal, *, approval_ids: Collection[UUID]
) -> Mapping[UUID, Standing]:
    """Return how these questions stand, for this person, or this key, which never answers; the caller has checked that
    they may see them."""
    rows = await session.execute(_STANDINGS, {"ids": list(approval_ids), "user_id": principal.user_id})
    return {
        row.id: Standing(row.consent["agreed"], row.consent["missing"], row.may_answer and principal.key_id is None)
        for row in rows
    }


_STANDINGS = text(
    "SELECT a.id, engine.consent(a) AS consent, a.status = 'pending' AND engine.speaks_for(a, :user_id) IS NOT NULL"
    " AS may_answer FROM approvals a WHERE a.id = ANY (:ids)"
).columns(id=PgUUID(as_uuid=True), consent=JSONB(), may_answer=Boolean())


async def votes(session: AsyncSession, *, approval_ids: Collection[UUID]) -> Sequence[ApprovalVote]:
    """Return what people have said to these questions, in order; the caller has checked that they may be seen."""
    # lint: allow unscoped-query -- the caller has checked that it may be seen
    found = select(ApprovalVote).where(ApprovalVote.approval_id.in_(approval_ids)).order_by(ApprovalVote.at)
    return (await session.scalars(found)).all()


async def messages(session: AsyncSession, principal: Principal, *, approval_id: UUID) -> Sequence[ApprovalMessage]:
    """Return what was asked and told about a question, in order; one has few."""
    found = select(ApprovalMessage).where(
        ApprovalMessage.approval_id == approval_id, visible_to(principal, ApprovalMessage.project_id)
    )
    return (await session.scalars(found.order_by(ApprovalMessage.id))).all()


async def of_its_kind(session: AsyncSession, principal: Principal, *, like: Approval, limit: int) -> Sequence[Approval]:
    """Return the newest questions that were answered before this one, about the same tool or model by the same rule."""
    if like.name is None:
        return []
    found = select(Approval).where(
        Approval.project_id == like.project_id,
        Approval.name == like.name,
        Approval.rule.is_not_distinct_from(like.rule),
        Approval.id < like.id,
        Approval.decided_by.is_not(None),
        visible_to(principal, Approval.project_id),
    )
    return (await session.scalars(found.order_by(Approval.id.desc()).limit(limit))).all()


async def last_approved(session: AsyncSession, principal: Principal, *, like: Approval) -> Approval | None:
    """Return the newest question of that kind which was approved before this one was asked, or None."""
    if like.name is None:
        return None
    found = await session.scalar(
        select(Approval)
        .where(
            Approval.project_id == like.project_id,
            Approval.name == like.name,
            Approval.rule.is_not_distinct_from(like.rule),
            Approval.id < like.id,
            Approval.status.in_([ApprovalStatus.APPROVED, ApprovalStatus.CONSUMED]),
            visible_to(principal, Approval.project_id),
        )
        .order_by(Approval.id.desc())
        .limit(1)
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def approvals_refer_to(session: AsyncSession, *, run_id: UUID, sha256: str) -> bool:
    """Say whether a question of the run shows this large value; the caller has checked the run."""
    # lint: allow unscoped-query -- the caller has checked that it may be seen
    found = select(Approval.id).where(
        Approval.run_id == run_id,
        or_(refers_to(Approval.proposed_request, sha256), refers_to(Approval.edited_request, sha256)),
    )
    return bool(await session.scalar(select(exists(found))))
