"""Statements on the audit trail. The application may only insert."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from sparkops.core.json import Json
from sparkops.domains.audit.models import AuditEntry, AuditSeal, UnsealedLine


@dataclass(frozen=True, slots=True)
class Filters:
    """Which lines are wanted; None: whatever.

    `action` and `object` name one, such as `policy.publish`, or all that begin so: `policy`.
    """

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    request_id: str | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChainState:
    """How far the trail is sealed. `waiting` is counted up to a thousand."""

    last: AuditSeal | None
    waiting: int
    waiting_since: datetime | None


WAITING_COUNTED = 1_000


async def add_line(
    session: AsyncSession,
    *,
    project_id: UUID | None,
    actor: str,
    via: str | None,
    address: str | None,
    request_id: str | None,
    action: str,
    subject: str,
    detail: dict[str, Json],
    before: dict[str, Json] | None,
    after: dict[str, Json] | None,
) -> None:
    """Insert a line; the database fills its time and its hash, and puts it on the list of those to be sealed."""
    await session.execute(
        insert(AuditEntry).values(
            project_id=project_id,
            actor=actor,
            via=via,
            address=address,
            request_id=request_id,
            action=action,
            object=subject,
            detail=detail,
            before=before,
            after=after,
            content_hash="",
        )
    )


async def lines(
    session: AsyncSession, *, project_id: UUID | None, filters: Filters, before: int | None, limit: int
) -> Sequence[AuditEntry]:
    """Return lines of a project, newest first; `project_id` None: of the whole installation."""
    statement = _wanted(select(AuditEntry), project_id, filters)
    if before is not None:
        statement = statement.where(AuditEntry.id < before)
    return (await session.scalars(statement.order_by(AuditEntry.id.desc()).limit(limit))).all()


async def line(session: AsyncSession, *, project_id: UUID | None, line_id: int) -> AuditEntry | None:
    """Return a line of a project, or None; `project_id` None: of any."""
    statement = _wanted(select(AuditEntry).where(AuditEntry.id == line_id), project_id, Filters())
    return (await session.scalars(statement)).one_or_none()


async def seal_of(session: AsyncSession, *, line: AuditEntry) -> AuditSeal | None:
    """Return the seal that covers a line, which is one of the first after it; None: it still waits for one."""
    statement = select(AuditSeal).where(AuditSeal.at >= line.at, AuditSeal.ids.contains([line.id]))
    return (await session.scalars(statement.order_by(AuditSeal.at).limit(1))).one_or_none()


async def chain_state(session: AsyncSession) -> ChainState:
    """Return how far the trail is sealed."""
    last = (await session.scalars(select(AuditSeal).order_by(AuditSeal.number.desc()).limit(1))).one_or_none()
    first = select(UnsealedLine.audit_id).order_by(UnsealedLine.audit_id).limit(WAITING_COUNTED).subquery()
    waiting, since = (
        await session.execute(
            select(func.count(), func.min(AuditEntry.at))
            .select_from(first)
            .join(AuditEntry, AuditEntry.id == first.c.audit_id)
        )
    ).one()
    return ChainState(last, waiting, since)


def _wanted(statement: Select[Any], project_id: UUID | None, filters: Filters) -> Select[Any]:
    if project_id is not None:
        statement = statement.where(AuditEntry.project_id == project_id)
    for column, value in (
        (AuditEntry.actor, filters.actor),
        (AuditEntry.request_id, filters.request_id),
        (AuditEntry.address, filters.address),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if filters.action is not None:
        statement = statement.where(_named(AuditEntry.action, filters.action, "."))
    if filters.object is not None:
        statement = statement.where(_named(AuditEntry.object, filters.object, ":"))
    if filters.since is not None:
        statement = statement.where(AuditEntry.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(AuditEntry.at < filters.until)
    return statement


def _named(column: InstrumentedAttribute[str], name: str, separator: str) -> ColumnElement[bool]:
    """Return the condition that a value is this name, or one of those below it."""
    return or_(column == name, column.startswith(name + separator, autoescape=True))
