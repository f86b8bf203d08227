"""Statements that read the outbox. It is for administrators of the installation, whatever project an event is of."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.paging import PageRequest
from sparkops.domains.bus.models import OutboxEntry
from sparkops.domains.bus.state import OutboxStatus


async def dead_entries(session: AsyncSession, *, page: PageRequest) -> Sequence[OutboxEntry]:
    """Return the entries that were given up, newest first, one more than the page holds."""
    # lint: allow unscoped-query -- for administrators of the installation
    statement = select(OutboxEntry).where(OutboxEntry.status == OutboxStatus.DEAD)
    if page.after is not None:
        statement = statement.where(OutboxEntry.id < page.after)
    return (await session.scalars(statement.order_by(OutboxEntry.id.desc()).limit(page.limit + 1))).all()


async def entry(session: AsyncSession, *, entry_id: UUID) -> OutboxEntry | None:
    """Return an entry, or None."""
    return await session.get(OutboxEntry, entry_id)
