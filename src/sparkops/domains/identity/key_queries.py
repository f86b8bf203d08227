"""Statements on API keys."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

import asyncpg
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
from sparkops.core.paging import PageRequest
from sparkops.core.permissions import Permission, Role
from sparkops.core.principal import Place, Principal
from sparkops.domains.identity.key_models import ApiKey, ApiKeyProject
from sparkops.domains.identity.keys import GRANTABLE, FreshKey, Presented, matches

_KEY = """
SELECT k.id AS key_id, k.secret_hash, k.scopes, u.id, u.email, u.name,
       k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND u.disabled_at IS NULL AS live,
       k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute' OR NOT EXISTS (
         SELECT 1 FROM api_key_networks n WHERE n.key_id = k.id AND n.network = $2) AS unnoted,
       (SELECT jsonb_agg(jsonb_build_array(p.id, p.slug, m.role))
          FROM api_key_projects r JOIN memberships m ON m.project_id = r.project_id AND m.user_id = k.user_id
          JOIN projects p ON p.id = r.project_id WHERE r.key_id = k.id) AS places,
       {subject} AS subject
  FROM api_keys k JOIN users u ON u.id = k.user_id
 WHERE k.public_id = $1
"""
_OWNER = "(SELECT coalesce(o.project_id, '00000000-0000-0000-0000-000000000000') FROM {table} o WHERE o.id = $3)"
_USED = """
WITH used AS (
  UPDATE api_keys SET last_used_at = now(), last_used_from = $2
   WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute'
                      OR last_used_from IS DISTINCT FROM $2)),
known AS (SELECT 1 FROM api_key_networks WHERE key_id = $1 LIMIT 1),
fresh AS (
  INSERT INTO api_key_networks (key_id, network) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1)
SELECT EXISTS (SELECT 1 FROM known) AND EXISTS (SELECT 1 FROM fresh)
"""
_REFUSED = """
UPDATE api_keys SET refused_at = now()
 WHERE public_id = $1 AND (refused_at IS NULL OR refused_at < now() - interval '1 minute')
RETURNING id, user_id
"""


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whom a key acts for. `subject`: the project of the row that was asked for, nil where the installation has it."""

    principal: Principal
    subject: UUID | None
    unnoted: bool
    """Its use is to be noted: the last note is older than a minute, or it was never used from there."""


@cache
def _key_and(table: str | None) -> str:
    return _KEY.format(subject="NULL::uuid" if table is None else _OWNER.format(table=table))


async def holder_of(
    pool: "asyncpg.Pool[asyncpg.Record]",
    presented: Presented,
    *,
    network: str,
    table: str | None = None,
    subject: UUID | None = None,
) -> KeyHolder | None:
    """Return whom a key acts for, with the project of a row of a table, in one round trip.

    None: there is no such key, it was revoked or has run out, or its user is disabled. Its places are those of its
    projects that its user belongs to, with the user's role there.
    """
    row = await pool.fetchrow(_key_and(table), presented.public_id, network, *([subject] if table else []))
    if not matches(presented, row["secret_hash"] if row else None) or not row["live"]:
        return None
    places = {UUID(id_): Place(UUID(id_), slug, Role(role)) for id_, slug, role in row["places"] or ()}
    known = {permission.value: permission for permission in GRANTABLE}
    principal = Principal(
        user_id=row["id"],
        email=row["email"],
        name=row["name"],
        is_admin=False,
        key_id=row["key_id"],
        places=places,
        scopes=frozenset(known[scope] for scope in row["scopes"] if scope in known),
    )
    return KeyHolder(principal, row["subject"], row["unnoted"])


async def note_use(pool: "asyncpg.Pool[asyncpg.Record]", *, key_id: UUID, network: str) -> bool:
    """Note that a key is used from a network; True: it was used before, but never from there."""
    return bool(await pool.fetchval(_USED, key_id, network))


async def note_refusal(pool: "asyncpg.Pool[asyncpg.Record]", *, public_id: str) -> tuple[UUID, UUID] | None:
    """Return the id and the user of the key that was refused, once a minute; else None, as where there is no such."""
    row = await pool.fetchrow(_REFUSED, public_id)
    return (row["id"], row["user_id"]) if row else None


async def add_key(
    session: AsyncSession,
    fresh: FreshKey,
    *,
    user_id: UUID,
    name: str,
    scopes: Collection[Permission],
    project_ids: Collection[UUID],
    created_by: UUID,
    expires_at: datetime | None,
) -> UUID:
    """Insert a key with the projects that it reaches; return its id."""
    key_id = new_id()
    await session.execute(
        insert(ApiKey).values(
            id=key_id,
            public_id=fresh.public_id,
            user_id=user_id,
            name=name,
            secret_hash=fresh.digest,
            scopes=sorted(scopes),
            created_by=created_by,
            expires_at=expires_at,
        )
    )
    rows = [{"key_id": key_id, "project_id": one} for one in project_ids]
    await session.execute(insert(ApiKeyProject).values(rows))
    return key_id


async def live_keys(session: AsyncSession, *, user_id: UUID) -> int:
    """Return how many keys of a user may still be used."""
    counted = await session.scalar(
        select(func.count())
        .select_from(ApiKey)
        .where(
            ApiKey.user_id == user_id,
            ApiKey.revoked_at.is_(None),
            ApiKey.expires_at.is_(None) | (ApiKey.expires_at > func.now()),
        )
    )
    return counted or 0


async def keys_of(session: AsyncSession, *, user_id: UUID, page: PageRequest) -> Sequence[ApiKey]:
    """Return the keys of a user, newest first; one more than the page holds."""
    statement = select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.id.desc()).limit(page.limit + 1)
    if page.after is not None:
        statement = statement.where(ApiKey.id < page.after)
    return (await session.scalars(statement)).all()


async def key_of(session: AsyncSession, *, user_id: UUID, key_id: UUID) -> ApiKey | None:
    """Return a key of this user."""
    statement = select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id)
    return (await session.scalars(statement)).one_or_none()


async def projects_of_keys(session: AsyncSession, *, key_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """Return the projects that keys reach, by key."""
    rows = await session.execute(
        select(ApiKeyProject.key_id, func.array_agg(ApiKeyProject.project_id))
        .where(ApiKeyProject.key_id.in_(key_ids))
        .group_by(ApiKeyProject.key_id)
    )
    return {key_id: list(project_ids) for key_id, project_ids in rows.tuples()}


async def revoke_key(session: AsyncSession, *, user_id: UUID, key_id: UUID, by: UUID) -> bool:
    """End a key of this user, from the next request on; False: it has ended before, or there is no such."""
    ended = await session.scalar(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp(), revoked_by=by)
        .returning(ApiKey.id)
    )
    return ended is not None
