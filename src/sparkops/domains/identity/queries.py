"""Statements on users, sessions and memberships."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

import asyncpg
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
from sparkops.core.permissions import Role
from sparkops.core.principal import Place, Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.identity.models import Membership, User

_PLACES = """
    (SELECT jsonb_agg(jsonb_build_array(p.id, p.slug, m.role))
       FROM memberships m JOIN projects p ON p.id = m.project_id WHERE m.user_id = u.id) AS places
"""
_PRINCIPAL = f"""
    SELECT u.id, u.email, u.name, u.is_admin, s.methods, {_PLACES}, {{subject}} AS subject
      FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.id = $1 AND u.id = $2 AND s.revoked_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL
"""  # noqa: S608 -- the parts are below
_PRINCIPALS = f"""
    SELECT s.id AS session_id, u.id, u.email, u.name, u.is_admin, s.methods, {_PLACES}
      FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.id = ANY($1) AND s.revoked_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL
"""  # noqa: S608 -- the part is above
_OWNER = "(SELECT coalesce(o.project_id, '00000000-0000-0000-0000-000000000000') FROM {table} o WHERE o.id = $3)"


@cache
def _principal_and(table: str | None) -> str:
    return _PRINCIPAL.format(subject="NULL::uuid" if table is None else _OWNER.format(table=table))


async def principal_of(pool: "asyncpg.Pool[asyncpg.Record]", *, session_id: UUID, user_id: UUID) -> Principal | None:
    """Return who holds this session, or None if it was revoked or has run out, or the user is disabled."""
    principal, _ = await principal_and_owner(pool, session_id=session_id, user_id=user_id)
    return principal


async def principal_and_owner(
    pool: "asyncpg.Pool[asyncpg.Record]",
    *,
    session_id: UUID,
    user_id: UUID,
    table: str | None = None,
    subject: UUID | None = None,
) -> tuple[Principal | None, UUID | None]:
    """Return who holds this session, and the project of a row of a table (nil: it is of the installation).

    None for the first: the session was revoked or has run out, or the user is disabled. None for the second: there is
    no such row. Every request asks this, so it goes over the bare pool: one round trip and no transaction kept open.
    """
    row = await pool.fetchrow(_principal_and(table), session_id, user_id, *([subject] if table else []))
    if row is None:
        return None, None
    return _principal(row, session_id), row["subject"]


async def principals_of(
    pool: "asyncpg.Pool[asyncpg.Record]", *, session_ids: Collection[UUID]
) -> Mapping[UUID, Principal]:
    """Return who holds these sessions, by session; those that were revoked or have run out are left out."""
    rows = await pool.fetch(_PRINCIPALS, list(session_ids))
    return {row["session_id"]: _principal(row, row["session_id"]) for row in rows}


def _principal(row: asyncpg.Record, session_id: UUID) -> Principal:
    places = {UUID(id_): Place(UUID(id_), slug, Role(role)) for id_, slug, role in row["places"] or ()}
    return Principal(
        row["id"],
        row["email"],
        row["name"],
        row["is_admin"],
        session_id,
        places=places,
        methods=frozenset(row["methods"]),
    )


async def user_by_email(session: AsyncSession, *, email: str) -> User | None:
    user = await session.scalar(select(User).where(User.email == email.strip().lower()))
    return user  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def user_by_id(session: AsyncSession, *, user_id: UUID) -> User | None:
    return await session.get(User, user_id)


async def has_users(session: AsyncSession) -> bool:
    """Say whether anybody is there at all."""
    return await session.scalar(select(User.id).limit(1)) is not None


async def locked_with_administrators(session: AsyncSession, *, user_id: UUID) -> Sequence[User]:
    """Return this user and all administrators who may act, locked in the order of their ids until the end."""
    rows = await session.scalars(
        select(User)
        .where((User.id == user_id) | (User.is_admin & User.disabled_at.is_(None)))
        .order_by(User.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return rows.all()


async def locked_user(session: AsyncSession, *, user_id: UUID) -> User | None:
    """Return a user as the row is now, locked until the end of the transaction."""
    user = await session.scalar(
        select(User).where(User.id == user_id).with_for_update(key_share=True).execution_options(populate_existing=True)
    )
    return user  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def still_has_password(session: AsyncSession, *, user_id: UUID, password_hash: str) -> bool:
    """Say whether the user may act and has this password, and keep both so until the end of the transaction."""
    found = await session.scalar(
        select(User.id)
        .where(User.id == user_id, User.password_hash == password_hash, User.disabled_at.is_(None))
        .with_for_update(read=True)
    )
    return found is not None


async def set_password(session: AsyncSession, *, user_id: UUID, password_hash: str) -> None:
    await session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


async def set_name(session: AsyncSession, *, user_id: UUID, name: str) -> None:
    await session.execute(update(User).where(User.id == user_id).values(name=name))


async def set_disabled(session: AsyncSession, *, user_id: UUID, at: datetime | None) -> None:
    await session.execute(update(User).where(User.id == user_id).values(disabled_at=at))


async def names_of(session: AsyncSession, *, user_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """Return the names of users by id, for showing who did something."""
    rows = await session.execute(select(User.id, User.name).where(User.id.in_(user_ids)))
    return dict(rows.tuples().all())


async def add_user(
    session: AsyncSession, *, email: str, name: str, password_hash: str | None, is_admin: bool
) -> User | None:
    """Insert a user; None if the address is taken."""
    return await session.scalar(
        insert(User)
        .values(id=new_id(), email=email.strip().lower(), name=name, password_hash=password_hash, is_admin=is_admin)
        .on_conflict_do_nothing(index_elements=[User.email])
        .returning(User)
    )


@dataclass(frozen=True, slots=True)
class Member:
    """A user as the members of a project see them."""

    user_id: UUID
    email: str
    name: str
    role: Role
    joined_at: datetime


def _member(user: User, membership: Membership) -> Member:
    return Member(user.id, user.email, user.name, Role(membership.role), membership.created_at)


async def members(session: AsyncSession, principal: Principal, *, project_id: UUID) -> Sequence[Member]:
    """Return the members of a project by name; none if the principal is not among them."""
    rows = await session.execute(
        select(User, Membership)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.project_id == project_id, visible_to(principal, Membership.project_id))
        .order_by(User.name, User.id)
    )
    return [_member(*row) for row in rows.tuples()]


async def put_member(session: AsyncSession, *, project_id: UUID, user_id: UUID, role: Role) -> None:
    """Make a user a member with this role, or change the role."""
    statement = insert(Membership).values(project_id=project_id, user_id=user_id, role=role)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[Membership.project_id, Membership.user_id], set_={"role": statement.excluded.role}
        )
    )


async def roles_of(session: AsyncSession, principal: Principal) -> Mapping[UUID, Role]:
    """Return the principal's role by project."""
    rows = await session.execute(
        select(Membership.project_id, Membership.role).where(Membership.user_id == principal.user_id)
    )
    return {project_id: Role(role) for project_id, role in rows.tuples()}
