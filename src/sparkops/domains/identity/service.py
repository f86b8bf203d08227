"""Use cases of identity: users, sign-in, refresh with rotation, membership."""

import hmac
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict, Forbidden, Invalid, NotFound
from sparkops.core.ids import new_id
from sparkops.core.principal import Principal
from sparkops.domains.identity import factor_queries, link_queries, queries, session_queries
from sparkops.domains.identity.members import check_not_needed
from sparkops.domains.identity.models import Session, User
from sparkops.domains.identity.passwords import check_acceptable, generate_password, hashed, verified
from sparkops.domains.identity.refresh import new_family_key, new_token, read_token

SESSION_LIFETIME = timedelta(days=7)
"""Counted from sign-in; rotation does not extend it."""
SESSION_IDLE = timedelta(hours=12)
"""After a night without a page open people sign in anew; `session_idle_hours` sets another time."""
REUSE_GRACE = timedelta(seconds=10)
"""How long the token before the current one still works: two tabs may refresh at once, or an answer get lost."""
PASSWORD = "password"  # noqa: S105 -- the name of a way to sign in
MAX_SESSIONS = 200
"""So many are listed of one person."""
MAX_DEVICE = 400
"""Of what a browser says of itself, so many characters are kept."""
_EMAIL = re.compile(r"[^@\s,;:<>()\[\]\"\\\x00-\x1f]+@[^@\s,;:<>()\[\]\"\\\x00-\x1f]+")
"""One address and nothing that a mail server could read as two."""


async def create_user(session: AsyncSession, *, email: str, name: str, password: str | None, is_admin: bool) -> User:
    """Add a user; a password of None is chosen by the user later, through a link.

    Raises:
        Invalid: the address or the password is not acceptable.
        Conflict: the address is taken.
    """
    _check_email(email)
    password_hash = None
    if password is not None:
        # lint: allow await-in-transaction -- no statement has been sent yet
        await check_acceptable(password, email=email, name=name)
        # lint: allow await-in-transaction -- no statement has been sent yet
        password_hash = await hashed(password)
    return await add_user(session, email=email, name=name, password_hash=password_hash, is_admin=is_admin)


async def add_user(session: AsyncSession, *, email: str, name: str, password_hash: str | None, is_admin: bool) -> User:
    """Add a user whose password was looked at and hashed before.

    Raises:
        Invalid: the address is none.
        Conflict: the address is taken.
    """
    _check_email(email)
    user = await queries.add_user(
        session, email=email, name=name.strip() or email, password_hash=password_hash, is_admin=is_admin
    )
    if user is None:
        raise Conflict(f"There is a user with the address {email.strip().lower()} already.")
    return user


def _check_email(email: str) -> None:
    if not _EMAIL.fullmatch(email.strip()):
        raise Invalid(
            f"{email!r} is not an e-mail address.", errors=[{"path": "email", "message": "is not an e-mail address"}]
        )


async def ensure_admin(session: AsyncSession, *, email: str, password: str | None) -> str | None:
    """See to it that this administrator exists; an existing user keeps the password.

    Returns the password if one was generated, else None.
    """
    if await queries.user_by_email(session, email=email) is not None:
        return None
    generated = None if password else generate_password()
    await create_user(session, email=email, name="Administrator", password=password or generated, is_admin=True)
    return generated


@dataclass(frozen=True, slots=True)
class Credentials:
    """What sign-in found under an address; `password_hash` of None: nobody who may sign in with a password."""

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
    right = await verified(password, credentials.password_hash)
    return credentials.user if right else None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session with its user and the refresh token that the client is to hold from now on."""

    session_id: UUID
    user: User
    refresh_token: str
    expires_at: datetime
    methods: Sequence[str]
    """How its person proved who they are; see `Session.methods`."""


async def open_session(
    session: AsyncSession,
    *,
    user: User,
    now: datetime,
    device: str | None = None,
    address: str | None = None,
    idle: timedelta = SESSION_IDLE,
    lifetime: timedelta = SESSION_LIFETIME,
    methods: Sequence[str] = (PASSWORD,),
    session_id: UUID | None = None,
    issuer: str | None = None,
) -> SignedIn:
    """Start a session and return it with its first refresh token. `methods`: how the user proved to be this user.

    It ends after `lifetime`, and before that when it was not refreshed for `idle`. `session_id`: under which it is told
    of already; `issuer`: the OpenID provider that vouched for the user.
    """
    session_id, family_key = session_id or new_id(), new_family_key()
    token = new_token(session_id, family_key)
    row = Session(
        id=session_id,
        user_id=user.id,
        token_hash=token.hash,
        family_key=family_key,
        rotated_at=now,
        created_at=now,
        expires_at=now + min(idle, lifetime),
        ends_at=now + lifetime,
        issuer=issuer,
        device=_cut(device),
        address=address,
        methods=list(methods),
    )
    await session_queries.add_session(session, row=row)
    return SignedIn(session_id, user, token.text, row.expires_at, tuple(methods))


@dataclass(frozen=True, slots=True)
class NotRefreshed:
    """Why a session does not go on. `reused`: a token came back that had been replaced; its session was ended."""

    reused: bool = False
    user: User | None = None
    session_id: UUID | None = None


async def refresh_session(
    session: AsyncSession,
    *,
    token: str,
    now: datetime,
    device: str | None = None,
    address: str | None = None,
    idle: timedelta = SESSION_IDLE,
) -> SignedIn | NotRefreshed:
    """Go on with a session and replace its refresh token; it ends when it is not refreshed again for `idle`.

    Within `REUSE_GRACE` the token before the current one gets the current one, which nobody can have used: using it
    would have replaced it. Any other token that the session gave out before was copied, and the whole session is
    ended; the caller must commit in this case, too. A token that the session never gave out changes nothing.
    """
    given = read_token(token)
    found = await session_queries.live_session(session, session_id=given.session_id, now=now) if given else None
    if given is None or found is None:
        return NotRefreshed()
    row, user = found
    if not given.is_of(row.family_key):
        return NotRefreshed()
    if hmac.compare_digest(given.hash, row.token_hash):
        successor = new_token(row.id, row.family_key)
        expires_at = min(row.ends_at, now + idle)
        await session_queries.rotate(
            session,
            session_id=row.id,
            old_hash=given.hash,
            new_hash=successor.hash,
            successor=given.seal(successor),
            now=now,
            expires_at=expires_at,
            device=_cut(device),
            address=address,
        )
        return SignedIn(row.id, user, successor.text, expires_at, row.methods)
    just_before = row.previous_hash is not None and hmac.compare_digest(given.hash, row.previous_hash)
    if just_before and row.successor is not None and now - row.rotated_at <= REUSE_GRACE:
        successor = given.unseal(row.successor, row.family_key)
        return SignedIn(row.id, user, successor.text, row.expires_at, row.methods)
    await session_queries.revoke(session, session_id=row.id, now=now, because="reused")
    return NotRefreshed(reused=True, user=user, session_id=row.id)


def _cut(device: str | None) -> str | None:
    return device[:MAX_DEVICE] if device else None


async def end_presented(session: AsyncSession, *, token: str, now: datetime) -> None:
    """End the session whose current refresh token this is: a new one takes its place in the same browser."""
    given = read_token(token)
    found = await session_queries.live_session(session, session_id=given.session_id, now=now) if given else None
    if given is not None and found is not None and hmac.compare_digest(given.hash, found[0].token_hash):
        await session_queries.revoke(session, session_id=given.session_id, now=now, because="replaced")


async def replace_sessions(
    session: AsyncSession,
    principal: Principal,
    *,
    because: str,
    methods: Collection[str],
    now: datetime,
    device: str | None = None,
    address: str | None = None,
    idle: timedelta = SESSION_IDLE,
) -> SignedIn:
    """End all sessions of the principal and start another in the place of the one that acts: who has copied a token of
    any of them gains nothing. It lasts no longer than that one would have.

    Raises:
        Conflict: the session that acts has ended meanwhile.
    """
    acting = principal.session_id
    if acting is None or not await session_queries.revoke(session, session_id=acting, now=now, because=because):
        raise Conflict("Your session has ended meanwhile; nothing was done.")
    await session_queries.revoke_all(session, user_id=principal.user_id, now=now, because=because)
    before = await session.get_one(Session, acting)
    return await open_session(
        session,
        user=await session.get_one(User, principal.user_id),
        now=now,
        device=device,
        address=address,
        idle=idle,
        lifetime=before.ends_at - now,
        methods=sorted(methods),
        issuer=before.issuer,
    )


async def sign_out(session: AsyncSession, principal: Principal, *, now: datetime) -> str | None:
    """End the session that the principal acts with; return the OpenID provider at which it was begun, if it was."""
    if principal.session_id is None:
        return None
    row = await session_queries.session_of(session, session_id=principal.session_id, user_id=principal.user_id)
    await session_queries.revoke(session, session_id=principal.session_id, now=now, because="signed-out")
    return row.issuer if row is not None else None


async def end_session(session: AsyncSession, principal: Principal, *, session_id: UUID, now: datetime) -> bool:
    """End one of the principal's own sessions; False if it had ended.

    Raises:
        NotFound: it is not the principal's.
    """
    if await session_queries.session_of(session, session_id=session_id, user_id=principal.user_id) is None:
        raise NotFound("There is no such session of yours.")
    return await session_queries.revoke(session, session_id=session_id, now=now, because="ended")


async def end_other_sessions(session: AsyncSession, principal: Principal, *, now: datetime) -> int:
    """End all sessions of the principal but the one that acts; return how many."""
    return await session_queries.revoke_all(
        session, user_id=principal.user_id, now=now, because="ended", but=principal.session_id
    )


async def replace_password(
    session: AsyncSession, credentials: Credentials, *, password_hash: str, now: datetime
) -> User:
    """Give a user another password, in whose place the checked one stood until now; all sessions and links end.

    Raises:
        Conflict: it was changed meanwhile.
    """
    user = await queries.locked_user(session, user_id=credentials.user.id) if credentials.user else None
    if user is None or user.disabled_at is not None or user.password_hash != credentials.password_hash:
        raise Conflict("The password was changed meanwhile; nothing was done.")
    await give_password(session, user=user, password_hash=password_hash, now=now)
    return user


async def give_password(session: AsyncSession, *, user: User, password_hash: str, now: datetime) -> None:
    """Put a password in the place of the one before; sessions and links that came before it end."""
    await queries.set_password(session, user_id=user.id, password_hash=password_hash)
    await session_queries.revoke_all(session, user_id=user.id, now=now, because="password")
    await factor_queries.void_challenges(session, user_id=user.id)
    await link_queries.replace_links(session, user_id=user.id, now=now)


async def change_standing(
    session: AsyncSession, principal: Principal, *, user_id: UUID, to: Literal["disabled", "enabled"], now: datetime
) -> tuple[User, bool]:
    """Disable or enable a user, and say whether that changed anything. Disabling ends all sessions and links at once.

    Raises:
        Forbidden: the principal is no administrator of the installation.
        NotFound: there is no such user.
        Conflict: it is the principal.
        LastOwner: projects would be left without an owner who may sign in; `projects` names them.
    """
    locked = {user.id: user for user in await queries.locked_with_administrators(session, user_id=user_id)}
    administrators = [user.id for user in locked.values() if user.is_admin and user.disabled_at is None]
    if principal.user_id not in administrators:
        # Somebody else may have disabled the principal while this waited.
        raise Forbidden("Only administrators of the installation may do this.")
    user = locked.get(user_id)
    if user is None or user.kind != "person":
        raise NotFound("There is no such user.")
    if user_id == principal.user_id:
        raise Conflict("Nobody can do this to themselves; ask another administrator.")
    if (user.disabled_at is not None) == (to == "disabled"):
        return user, False
    if to == "disabled":
        await disable(session, user=user, now=now)
    else:
        await queries.set_disabled(session, user_id=user_id, at=None)
    return user, True


async def disable(session: AsyncSession, *, user: User, now: datetime) -> None:
    """Keep a user out: all sessions and links end at once.

    Raises:
        LastOwner: projects would be left without an owner who may sign in; `projects` names them.
    """
    await check_not_needed(session, user_id=user.id)
    await queries.set_disabled(session, user_id=user.id, at=now)
    await session_queries.revoke_all(session, user_id=user.id, now=now, because="disabled")
    await factor_queries.void_challenges(session, user_id=user.id)
    await link_queries.replace_links(session, user_id=user.id, now=now)
