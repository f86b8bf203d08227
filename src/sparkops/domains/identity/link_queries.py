"""Statements on one-time links."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.domains.identity.link_models import AccountLink


async def add_link(session: AsyncSession, *, row: AccountLink) -> None:
    """Insert a link."""
    session.add(row)
    await session.flush()  # refused here if at all, and not at the commit


async def open_link(session: AsyncSession, *, token_hash: str, now: datetime) -> AccountLink | None:
    """Return the link with this token if it may still be used."""
    found = await session.scalar(
        select(AccountLink).where(
            AccountLink.token_hash == token_hash,
            AccountLink.used_at.is_(None),
            AccountLink.replaced_at.is_(None),
            AccountLink.expires_at > now,
        )
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def use_link(session: AsyncSession, *, token_hash: str, now: datetime) -> AccountLink | None:
    """Use the link with this token up; None if it may not be used (any more). Of two at once one gets it."""
    found = await session.scalar(
        update(AccountLink)
        .where(
            AccountLink.token_hash == token_hash,
            AccountLink.used_at.is_(None),
            AccountLink.replaced_at.is_(None),
            AccountLink.expires_at > now,
        )
        .values(used_at=now)
        .returning(AccountLink)
        .execution_options(populate_existing=True)
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def replace_links(session: AsyncSession, *, user_id: UUID | None, now: datetime) -> None:
    """Void all open links of a user, or those for the set-up."""
    await session.execute(
        update(AccountLink)
        .where(
            AccountLink.user_id.is_not_distinct_from(user_id),
            AccountLink.used_at.is_(None),
            AccountLink.replaced_at.is_(None),
        )
        .values(replaced_at=now)
    )
