"""Statements that read events from outside. The engine writes them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.bus.models import ReceivedEvent


async def received_events(
    session: AsyncSession, principal: Principal, *, project_id: UUID, name: str | None, page: PageRequest
) -> Sequence[ReceivedEvent]:
    """Return the events of a project, or those of one name, newest first, one more than the page holds."""
    statement = select(ReceivedEvent).where(
        ReceivedEvent.project_id == project_id, visible_to(principal, ReceivedEvent.project_id)
    )
    if name is not None:
        statement = statement.where(ReceivedEvent.name == name)
    if page.after is not None:
        statement = statement.where(ReceivedEvent.id < page.after)
    return (await session.scalars(statement.order_by(ReceivedEvent.id.desc()).limit(page.limit + 1))).all()
