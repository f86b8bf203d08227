"""Use cases of identity: users, sign-in, refresh with rotation, membership."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict, Invalid
from sparkops.core.ids import new_id
from sparkops.core.principal import Principal
from sparkops.domains.identity import queries
from sparkops.domains.identity.models import User
from sparkops.domains.identity.passwords import (
    MAX_LENGTH,
    MIN_LENGTH,
    generate_password,
    hash_password,
    verify_password,
)

SESSION_LIFETIME = timedelta(days=7)
"""Counted from sign-in; rotation does not extend it."""
REUSE_GRACE = timedelta(seconds=10)
"""How long the token before the current one still works: two tabs may refresh at once, or an answer get lost."""
_SECRET_BYTES = 32
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


async def create_user(session: AsyncSession, *, email: str, name: str, password: str, is_admin: bool) -> User:
    """Add a user.

    Raises:
        Invalid: the address or the password is not acceptable.
        Conflict: the address is taken.
    """
    if not _EMAIL.fullmatch(email.strip()):
        raise Invalid(f"{email!r} is not an e-mail address.")
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Invalid(f"A password needs {MIN_LENGTH} to {MAX_LENGTH} characters.")
    password_hash = await asyncio.to_thread(hash_password, password)
    user = await queries.add_user(
        session, email=email, name=name.strip() or email, password_hash=password_hash, is_admin=is_admin
    )
    if user is None:
        raise Conflict(f"There is a user with the address {email.strip().lower()} already.")
    return user


async def ensure_admin(session: AsyncSession, *, email: str, password: str | None) -> str | None:
    """See to it that this administrator exists; an existing user keeps the password.

    Returns the password if one was generated, else None.
    """
    if await queries.user_by_email(session, email=email) is not None:
        return None
    generated = None if password else generate_password()
    await create_user(session, email=email, name="Administrator", password=password or generated or "", is_admin=True)
    return generated


@dataclass(frozen=True, slots=True)
class Credentials:
    """What sign-in found under an address; `password_hash` of None: nobody who may sign in."""

    user: User | None
    password_hash: str | None


async def find_credentials(session: AsyncSession, *, email: str) -> Credentials:
    """Look an address up; a disabled user is nobody."""
    user = await queries.user_by_email(session, email=email)
    if user is None or user.disabled_at is not None:
        return Credentials(None, None)
    return Credentials(user, user.password_hash)


async def check_password(credentials: Credentials, password: str) -> User | None:
    """Return the user if the password is right. Takes as long for nobody; holds no connection meanwhile."""
    right = await asyncio.to_thread(verify_password, password[:MAX_LENGTH], credentials.password_hash)
    return credentials.user if right else None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session with its user. `refresh_token` of None: the one the client holds stays as it is."""

    session_id: UUID
    user: User
    refresh_token: str | None
    expires_at: datetime


async def open_session(session: AsyncSession, *, user: User, now: datetime) -> SignedIn:
    """Start a session and return it with its first refresh token."""
    session_id = new_id()
    token = _new_token(session_id)
    expires_at = now + SESSION_LIFETIME
    await queries.add_session(
        session, session_id=session_id, user_id=user.id, token_hash=_hash(token), expires_at=expires_at
    )
    return SignedIn(session_id, user, token, expires_at)


async def refresh_session(session: AsyncSession, *, token: str, now: datetime) -> SignedIn | None:
    """Go on with a session and replace its refresh token.

    The token before the current one still counts for `REUSE_GRACE` and is then not replaced again. Any other token of
    the session was copied or is old: the whole session is ended, and the answer is None, as for an unknown token. The
    caller must commit in this case, too.
    """
    session_id = _session_of(token)
    found = await queries.live_session(session, session_id=session_id, now=now) if session_id else None
    if found is None:
        return None
    row, user = found
    presented = _hash(token)
    if hmac.compare_digest(presented, row.token_hash):
        successor = _new_token(row.id)
        await queries.rotate(session, session_id=row.id, old_hash=presented, new_hash=_hash(successor), now=now)
        return SignedIn(row.id, user, successor, row.expires_at)
    if row.previous_hash and hmac.compare_digest(presented, row.previous_hash) and now - row.rotated_at <= REUSE_GRACE:
        return SignedIn(row.id, user, None, row.expires_at)
    await queries.revoke(session, session_id=row.id, now=now)
    return None


async def sign_out(session: AsyncSession, principal: Principal, *, now: datetime) -> None:
    """End the session that the principal acts with."""
    if principal.session_id is not None:
        await queries.revoke(session, session_id=principal.session_id, now=now)


def _new_token(session_id: UUID) -> str:
    return base64.urlsafe_b64encode(session_id.bytes + secrets.token_bytes(_SECRET_BYTES)).decode()


def _session_of(token: str) -> UUID | None:
    """Read which session a token claims to belong to; the secret behind it decides."""
    try:
        raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    return UUID(bytes=raw[:16]) if len(raw) == 16 + _SECRET_BYTES else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
