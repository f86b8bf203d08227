"""Statements on idempotency keys. Taking and giving back commit by themselves; answers are kept with the work."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
from sparkops.domains.idempotency.models import IdempotencyKey

CLAIM: Final = timedelta(seconds=60)
"""For how long a request that never ended holds its key: longer than any request may take."""
KEPT: Final = timedelta(hours=24)
"""For how long an answer is given again."""
PURGED_AT_ONCE: Final = 1_000

_TAKE = """
    INSERT INTO idempotency_keys AS k (actor, route, key_hash, request_hash, claim, expires_at)
    VALUES ($1, $2, $3, $4, $5, now() + $6)
    ON CONFLICT (actor, route, key_hash) DO UPDATE
       SET request_hash = excluded.request_hash, claim = excluded.claim, status = NULL, answer = NULL,
           expires_at = excluded.expires_at
     WHERE k.expires_at <= now()
    RETURNING k.claim
"""
_FIND = """
    SELECT request_hash, status, answer FROM idempotency_keys WHERE actor = $1 AND route = $2 AND key_hash = $3
"""
_ANSWER = """
    UPDATE idempotency_keys SET status = $5, answer = $6, expires_at = now() + $7
     WHERE actor = $1 AND route = $2 AND key_hash = $3 AND claim = $4 AND status IS NULL
"""
_GIVE_BACK = """
    DELETE FROM idempotency_keys
     WHERE actor = $1 AND route = $2 AND key_hash = $3 AND claim = $4 AND status IS NULL
"""
_PURGE = """
    DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM idempotency_keys WHERE expires_at <= now() ORDER BY expires_at LIMIT $1
           FOR UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True, slots=True)
class Key:
    """Whose key for which route, and what the request with it asks for; hashes both."""

    actor: UUID
    route: str
    key_hash: bytes
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """What somebody did with the key before. `status` None: they are still at it."""

    request_hash: bytes
    status: int | None
    answer: bytes | None


async def take(pool: "asyncpg.Pool[asyncpg.Record]", key: Key) -> UUID | Taken:
    """Take the key and return the claim to it, or what was done with it before."""
    while True:
        claim: UUID | None = await pool.fetchval(
            _TAKE, key.actor, key.route, key.key_hash, key.request_hash, new_id(), CLAIM
        )
        if claim is not None:
            return UUID(bytes=claim.bytes)
        row = await pool.fetchrow(_FIND, key.actor, key.route, key.key_hash)
        if row is not None:  # else it was given back between the two
            return Taken(row["request_hash"], row["status"], row["answer"])


async def give_back(pool: "asyncpg.Pool[asyncpg.Record]", key: Key, claim: UUID) -> None:
    """Free the key of a request that came to nothing."""
    await pool.execute(_GIVE_BACK, key.actor, key.route, key.key_hash, claim)


async def answer_with(session: AsyncSession, key: Key, claim: UUID, *, status: int, answer: bytes) -> bool:
    """Keep the answer in the transaction of the work; False if the claim has lapsed and another one has the key."""
    done = await session.execute(
        update(IdempotencyKey)
        .where(
            IdempotencyKey.actor == key.actor,
            IdempotencyKey.route == key.route,
            IdempotencyKey.key_hash == key.key_hash,
            IdempotencyKey.claim == claim,
            IdempotencyKey.status.is_(None),
        )
        .values(status=status, answer=answer, expires_at=func.now() + KEPT)
        .returning(IdempotencyKey.claim)
    )
    return done.first() is not None


async def answer(pool: "asyncpg.Pool[asyncpg.Record]", key: Key, claim: UUID, *, status: int, answer: bytes) -> None:
    """Keep the answer to work that has committed by itself."""
    await pool.execute(_ANSWER, key.actor, key.route, key.key_hash, claim, status, answer, KEPT)


async def purge(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Delete keys that have run out, some at a time."""
    await pool.execute(_PURGE, PURGED_AT_ONCE)
