"""Statements on sessions."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.domains.identity.models import Session, User


async def add_session(session: AsyncSession, *, row: Session) -> None:
    """Insert a session."""
    session.add(row)
    await session.flush()  # refused here if at all, and not at the commit


async def live_session(session: AsyncSession, *, session_id: UUID, now: datetime) -> tuple[Session, User] | None:
    """Return a session that may still be refreshed, with its user; it stays locked until the end of the transaction."""
    rows = await session.execute(
        select(Session, User)
        .join(User, User.id == Session.user_id)
        .where(
            Session.id == session_id,
            Session.revoked_at.is_(None),
            Session.expires_at > now,
            User.disabled_at.is_(None),
        )
        .with_for_update(of=Session)
        .execution_options(populate_existing=True)
    )
    return rows.tuples().one_or_none()


async def rotate(
    session: AsyncSession,
    *,
    session_id: UUID,
    old_hash: str,
    new_hash: str,
    successor: bytes,
    now: datetime,
    expires_at: datetime,
    device: str | None,
    address: str | None,
) -> None:
    """Put the newest token in the place of the one before it."""
    await session.execute(
        update(Session)
        .where(Session.id == session_id, Session.token_hash == old_hash)
        .values(
            previous_hash=old_hash,
            token_hash=new_hash,
            successor=successor,
            rotated_at=now,
            expires_at=expires_at,
            device=device,
            address=address,
        )
    )


async def revoke(session: AsyncSession, *, session_id: UUID, now: datetime, because: str) -> bool:
    """End a session; its access tokens stop working with their next request. False: it had ended."""
    ended = await session.scalar(
        update(Session)
        .where(Session.id == session_id, Session.revoked_at.is_(None))
        .values(revoked_at=now, revoked_because=because)
        .returning(Session.id)
    )
    return ended is not None


async def revoke_all(
    session: AsyncSession, *, user_id: UUID, now: datetime, because: str, but: UUID | None = None
) -> int:
    """End all sessions of a user, or all but one; return how many there were."""
    ended = await session.scalars(
        update(Session)
        .where(Session.user_id == user_id, Session.revoked_at.is_(None), Session.expires_at > now)
        .where(Session.id.is_distinct_from(but))
        .values(revoked_at=now, revoked_because=because)
        .returning(Session.id)
    )
    return len(ended.all())


async def live_sessions_of(session: AsyncSession, *, user_id: UUID, now: datetime, limit: int) -> Sequence[Session]:
    """Return a user's sessions that may go on, the last used first."""
    rows = await session.scalars(
        select(Session)
        .where(Session.user_id == user_id, Session.revoked_at.is_(None), Session.expires_at > now)
        .order_by(Session.rotated_at.desc(), Session.id.desc())
        .limit(limit)
    )
    return rows.all()


async def session_of(session: AsyncSession, *, session_id: UUID, user_id: UUID) -> Session | None:
    """Return a user's session, whether or not it has ended."""
    found = await session.scalar(select(Session).where(Session.id == session_id, Session.user_id == user_id))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any
