"""Tickets for WebSockets: browsers cannot send a header there, and a token in an address would end up in logs.

A ticket opens one socket, once, within half a minute, for the session that asked for it and from a page of the same
origin. It lies in Redis under its digest: without Redis there are no live updates, and pages fall back to asking.
"""

import hashlib
import secrets
from dataclasses import dataclass
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sparkops.core import json
from sparkops.core.errors import Unauthenticated, Unavailable
from sparkops.core.principal import Principal

LIFETIME_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose ticket it was. Whether the session still lives is for the caller to see."""

    user_id: UUID
    session_id: UUID


def _key(ticket: str) -> str:
    return f"sparkops:ticket:{hashlib.sha256(ticket.encode()).hexdigest()}"


async def issue(redis: Redis, principal: Principal, *, origin: str | None) -> str:
    """Return a fresh ticket in the principal's name, for sockets of pages of this origin; None: of no browser.

    Raises:
        Unavailable: Redis does not answer.
    """
    ticket = secrets.token_urlsafe(32)
    kept = {"user_id": principal.user_id, "session_id": principal.session_id, "origin": origin}
    try:
        await redis.set(_key(ticket), json.dumps(kept), ex=LIFETIME_SECONDS)
    except (RedisError, OSError):
        raise Unavailable("Live updates need Redis, which does not answer; the pages still work.") from None
    return ticket


async def redeem(redis: Redis, ticket: str, *, origin: str | None) -> Bearer:
    """Return who asked for the ticket, and void it.

    Raises:
        Unauthenticated: it was used, has run out, was never issued, or was issued to a page of another origin.
    """
    try:
        kept = await redis.getdel(_key(ticket))
    except (RedisError, OSError):
        kept = None
    fields = json.loads(kept) if kept is not None else None
    if fields is None or fields["origin"] != origin:
        raise Unauthenticated("The ticket was used or has run out; ask for another one.")
    return Bearer(user_id=UUID(fields["user_id"]), session_id=UUID(fields["session_id"]))
