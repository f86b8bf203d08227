"""Tickets for WebSockets: browsers cannot send a header there, and a token in an address would end up in logs.

A ticket opens one socket, once, within half a minute. It lies in Redis: without Redis there are no live updates, and
pages fall back to asking.
"""

import secrets
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sparkops.core import json
from sparkops.core.errors import Unauthenticated, Unavailable
from sparkops.core.json import Json
from sparkops.core.principal import Principal

LIFETIME_SECONDS = 30


def _key(ticket: str) -> str:
    return f"sparkops:ticket:{ticket}"


async def issue(redis: Redis, principal: Principal) -> str:
    """Return a fresh ticket in the principal's name.

    Raises:
        Unavailable: Redis does not answer.
    """
    ticket = secrets.token_urlsafe(32)
    try:
        await redis.set(_key(ticket), json.dumps(_kept(principal)), ex=LIFETIME_SECONDS)
    except (RedisError, OSError):
        raise Unavailable("Live updates need Redis, which does not answer; the pages still work.") from None
    return ticket


def _kept(principal: Principal) -> dict[str, Json]:
    return {
        "user_id": str(principal.user_id),
        "email": principal.email,
        "name": principal.name,
        "is_admin": principal.is_admin,
        "session_id": str(principal.session_id),
    }


async def redeem(redis: Redis, ticket: str) -> Principal:
    """Return who asked for the ticket, and void it.

    Raises:
        Unauthenticated: it was used, has run out, or was never issued.
    """
    try:
        kept = await redis.getdel(_key(ticket))
    except (RedisError, OSError):
        kept = None
    if kept is None:
        raise Unauthenticated("The ticket was used or has run out; ask for another one.")
    fields = json.loads(kept)
    return Principal(
        user_id=UUID(fields["user_id"]),
        email=fields["email"],
        name=fields["name"],
        is_admin=fields["is_admin"],
        session_id=UUID(fields["session_id"]),
    )
