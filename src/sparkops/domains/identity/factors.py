"""Use cases of the second factor: setting one up, signing in with it, and being without it again.

Whatever changes or uses a factor holds the lock of its person's row first, so that nothing of one person happens twice
at once: neither the same code, nor a sign-in beside a change.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.envelope import Keyring, Keys
from sparkops.core.errors import ConfigError, Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from sparkops.core.ids import new_id
from sparkops.core.principal import Principal
from sparkops.domains.identity import factor_queries, queries, session_queries, totp
from sparkops.domains.identity.models import User
from sparkops.domains.identity.service import PASSWORD, SESSION_IDLE, Credentials, SignedIn, open_session

CHALLENGE_LIFETIME = timedelta(minutes=5)
BEGUN_LIFETIME = timedelta(minutes=15)
"""So long a key that was shown can be confirmed."""
MAX_CODE_CHARS = 64
"""Longer than a recovery code with whatever separates its parts."""
_TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

Method = Literal["totp", "recovery"]


class ChallengeVoid(Unauthenticated):
    """Used, run out, of another browser, or never made: nobody learns which."""

    code, title = "challenge-void", "Sign in from the start"

    def __init__(self) -> None:
        super().__init__("This sign-in has taken too long or was finished elsewhere; begin again with the password.")


class CodeRefused(Unauthenticated):
    """Wrong, run out, or used before: nobody learns which."""

    code, title = "code-refused", "This code does not work"

    def __init__(self) -> None:
        super().__init__("This code is wrong, has run out or was used before.")


class FactorNotKept(Unavailable):
    code, title = "secrets-not-set-up", "This installation cannot keep secrets"


def ring_of(keys: Keys) -> Keyring:
    """Return the keys of the installation.

    Raises:
        FactorNotKept: there are none, or they cannot be read.
    """
    try:
        return keys.ring()
    except ConfigError as error:
        raise FactorNotKept(error.detail) from None


@dataclass(frozen=True, slots=True)
class Challenged:
    """A sign-in whose password was right and that waits for a code; `token` is for the browser alone."""

    token: str
    expires_at: datetime


async def open_or_challenge(
    session: AsyncSession,
    credentials: Credentials,
    *,
    now: datetime,
    device: str | None = None,
    address: str | None = None,
    idle: timedelta = SESSION_IDLE,
) -> SignedIn | Challenged | None:
    """Start a session for a password that was right a moment ago, or ask for the second factor where there is one.

    None: the password was changed meanwhile, or the user disabled. Whoever changes it waits for this transaction.
    """
    user, stored = credentials.user, credentials.password_hash
    if user is None or stored is None:
        return None
    if not await queries.still_has_password(session, user_id=user.id, password_hash=stored):
        return None
    if await factor_queries.confirmed_at(session, user_id=user.id) is None:
        return await open_session(session, user=user, now=now, device=device, address=address, idle=idle)
    made = Challenged(secrets.token_urlsafe(_TOKEN_BYTES), now + CHALLENGE_LIFETIME)
    await factor_queries.prune_challenges(session, now=now)
    await factor_queries.add_challenge(
        session, user_id=user.id, token_hash=_hash(made.token), expires_at=made.expires_at
    )
    return made


async def challenged_user(session: AsyncSession, *, token: str, now: datetime) -> User:
    """Return whose sign-in waits for a code, and leave it as it is.

    Raises:
        ChallengeVoid: nobody's.
    """
    user = None
    if _TOKEN.fullmatch(token):
        user = await factor_queries.challenged(session, token_hash=_hash(token), now=now)
    if user is None:
        raise ChallengeVoid()
    return user


async def answer_challenge(
    session: AsyncSession,
    ring: Keyring,
    user: User,
    *,
    token: str,
    code: str,
    now: datetime,
    device: str | None = None,
    address: str | None = None,
    idle: timedelta = SESSION_IDLE,
) -> tuple[SignedIn, Method]:
    """Use a challenge and a code up and start a session.

    Raises:
        ChallengeVoid: the challenge was used or made void meanwhile.
        CodeRefused: the code is none that counts; the challenge stays.
    """
    locked = await queries.locked_user(session, user_id=user.id)
    if locked is None or locked.disabled_at is not None:
        raise ChallengeVoid()
    if not await factor_queries.use_challenge(session, user_id=user.id, token_hash=_hash(token), now=now):
        raise ChallengeVoid()
    method = await _spend(session, ring, user_id=user.id, code=code, now=now)
    if method is None:
        raise CodeRefused()
    opened = await open_session(
        session, user=locked, now=now, device=device, address=address, idle=idle, methods=(PASSWORD, method)
    )
    return opened, method


async def begin(session: AsyncSession, ring: Keyring, *, user_id: UUID, now: datetime) -> str:
    """Make a key for a person's app and return it, this once. It counts for nothing until `finish`.

    Raises:
        Conflict: there is a second factor already.
    """
    await _locked(session, user_id)
    if await factor_queries.confirmed_at(session, user_id=user_id) is not None:
        raise Conflict("You have a second factor already; remove it before you set up another one.")
    await factor_queries.remove_factor(session, user_id=user_id)
    factor_id, key = new_id(), totp.new_key()
    sealed = ring.seal(factor_queries.place_of(user_id, factor_id), key)
    await factor_queries.add_factor(session, factor_id=factor_id, user_id=user_id, sealed=sealed, now=now)
    return key


async def finish(
    session: AsyncSession, ring: Keyring, principal: Principal, *, code: str, now: datetime
) -> Sequence[str]:
    """Let the key that was begun with count, whose app showed this code, and return the person's recovery codes.

    Sign-ins that wait for a code end. Call `replace_sessions` after: all sessions were begun without it, also the one
    that acts, of whose token somebody else may hold a copy.

    Raises:
        Conflict: no key was shown, or too long ago.
        Invalid: the code is not of this key, or of another time.
    """
    await _locked(session, principal.user_id)
    factor = await factor_queries.locked_factor(session, user_id=principal.user_id)
    if factor is None or factor.confirmed_at is not None or factor.begun_at + BEGUN_LIFETIME <= now:
        raise Conflict("There is no key to be confirmed, or it was shown too long ago; begin again.")
    key = ring.open(factor_queries.place_of(principal.user_id, factor.id), factor_queries.sealed_of(factor))
    step = totp.matching_step(key, code, now=now)
    if step is None:
        raise wrong_code()
    await factor_queries.confirm(session, factor_id=factor.id, step=step, now=now)
    await factor_queries.void_challenges(session, user_id=principal.user_id)
    return await _new_recovery_codes(session, user_id=principal.user_id, now=now)


async def renew_recovery_codes(session: AsyncSession, *, user_id: UUID, now: datetime) -> Sequence[str]:
    """Replace a person's recovery codes and return the new ones, this once. Call `spend` before."""
    return await _new_recovery_codes(session, user_id=user_id, now=now)


async def _new_recovery_codes(session: AsyncSession, *, user_id: UUID, now: datetime) -> Sequence[str]:
    codes = totp.new_recovery_codes()
    hashes = [one for code in codes if (one := totp.recovery_hash(code)) is not None]
    await factor_queries.put_recovery_codes(session, user_id=user_id, hashes=hashes, now=now)
    return codes


async def spend(session: AsyncSession, ring: Keyring, *, user_id: UUID, code: str, now: datetime) -> Method:
    """Use up a code of a person who is signed in, and who wants to do what nobody else may.

    Raises:
        Conflict: there is no second factor.
        Invalid: the code is none that counts.
    """
    await _locked(session, user_id)
    if await factor_queries.confirmed_at(session, user_id=user_id) is None:
        raise Conflict("You have no second factor.")
    method = await _spend(session, ring, user_id=user_id, code=code, now=now)
    if method is None:
        raise wrong_code()
    return method


async def remove(session: AsyncSession, principal: Principal) -> None:
    """Take the person's second factor away with all recovery codes; sign-ins that wait for a code end. Call `spend`
    before, and `replace_sessions` after."""
    await factor_queries.remove_factor(session, user_id=principal.user_id)
    await factor_queries.void_challenges(session, user_id=principal.user_id)


async def reset(session: AsyncSession, principal: Principal, *, user_id: UUID, now: datetime) -> User:
    """Take the second factor of somebody away who lost it; all of their sessions end.

    Raises:
        Forbidden: the principal is no administrator of the installation any more.
        NotFound: there is no such user.
        Conflict: it is the principal, or there is no second factor.
    """
    locked = {user.id: user for user in await queries.locked_with_administrators(session, user_id=user_id)}
    actor, user = locked.get(principal.user_id), locked.get(user_id)
    if actor is None or not actor.is_admin or actor.disabled_at is not None:
        raise Forbidden("Only administrators of the installation may do this.")
    if user is None or user.kind != "person":
        raise NotFound("There is no such user.")
    if user_id == principal.user_id:
        raise Conflict("Nobody can do this to themselves; ask another administrator.")
    await take_away(session, user=user, now=now)
    return user


async def take_away(session: AsyncSession, *, user: User, now: datetime) -> None:
    """Take the second factor of a locked user away; all sessions end.

    Raises:
        Conflict: there is none.
    """
    if not await factor_queries.remove_factor(session, user_id=user.id):
        raise Conflict(f"{user.name} has no second factor.")
    await factor_queries.void_challenges(session, user_id=user.id)
    await session_queries.revoke_all(session, user_id=user.id, now=now, because="factor")


def wrong_code() -> Invalid:
    """Return what is said to somebody who is signed in and gave a code that does not count."""
    message = "is wrong, has run out or was used before"
    return Invalid(f"The code {message}.", errors=[{"path": "code", "message": message}])


async def _locked(session: AsyncSession, user_id: UUID) -> User:
    user = await queries.locked_user(session, user_id=user_id)
    if user is None or user.disabled_at is not None:
        raise Conflict("You were disabled meanwhile.")
    return user


async def _spend(session: AsyncSession, ring: Keyring, *, user_id: UUID, code: str, now: datetime) -> Method | None:
    """Use a code up; None if it is none that counts. The person's row must be locked."""
    if totp.looks_like_code(code):
        factor = await factor_queries.locked_factor(session, user_id=user_id)
        if factor is None or factor.confirmed_at is None:
            return None
        key = ring.open(factor_queries.place_of(user_id, factor.id), factor_queries.sealed_of(factor))
        step = totp.matching_step(key, code, now=now)
        spent = step is not None and await factor_queries.spend_step(session, user_id=user_id, step=step)
        return "totp" if spent else None
    code_hash = totp.recovery_hash(code)
    if code_hash is None:
        return None
    spent = await factor_queries.spend_recovery_code(session, user_id=user_id, code_hash=code_hash, now=now)
    return "recovery" if spent else None


def _hash(token: str) -> str:
    return hashlib.sha256(b"sparkops challenge " + token.encode()).hexdigest()
