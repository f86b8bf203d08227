"""Statements on halts. Ordering and releasing them is the engine's."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.control.models import Halt


def _seen_by(principal: Principal) -> ColumnElement[bool]:
    """Everybody sees what halts the installation: it says why nothing moves."""
    return or_(Halt.project_id.is_(None), visible_to(principal, Halt.project_id))  # may be None


async def halts(
    session: AsyncSession, principal: Principal, *, project_id: UUID, in_force: bool | None, page: PageRequest
) -> Sequence[Halt]:
    """Return the halts of a project and of the installation, newest first, one more than the page holds.

    `in_force` None: also those that were released.
    """
    here = or_(Halt.project_id == project_id, Halt.project_id.is_(None))
    statement = select(Halt).where(here, _seen_by(principal))
    if in_force is not None:
        statement = statement.where(Halt.released_at.is_(None) if in_force else Halt.released_at.is_not(None))
    if page.after is not None:
        statement = statement.where(Halt.id < page.after)
    return (await session.scalars(statement.order_by(Halt.id.desc()).limit(page.limit + 1))).all()


async def halt(session: AsyncSession, principal: Principal, *, halt_id: UUID) -> Halt | None:
    """Return a halt of one of the principal's projects or of the installation, or None."""
    found = await session.scalar(select(Halt).where(Halt.id == halt_id, _seen_by(principal)))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any
