"""Links that work once: to choose a password, or to become the first administrator."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict, NotFound
from sparkops.domains.identity import link_queries, queries
from sparkops.domains.identity.link_models import AccountLink
from sparkops.domains.identity.models import User
from sparkops.domains.identity.passwords import check_acceptable, hashed
from sparkops.domains.identity.service import give_password


class Purpose(StrEnum):
    """What a link is good for."""

    RESET = "reset"
    INVITE = "invite"
    SETUP = "setup"


LIFETIMES = {
    Purpose.RESET: timedelta(minutes=30),
    Purpose.INVITE: timedelta(days=3),
    Purpose.SETUP: timedelta(days=1),
}
PAGES = {Purpose.RESET: "/reset", Purpose.INVITE: "/reset", Purpose.SETUP: "/setup"}
TOKEN_CHARS = 43
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_TOKEN_BYTES = 32


class LinkVoid(NotFound):
    """Used, replaced, run out, or never made: nobody learns which."""

    code, title = "link-void", "This link does not work"

    def __init__(self) -> None:
        super().__init__("This link was used, has run out, or was replaced by a newer one. Ask for another one.")


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is handed out, once."""

    token: str
    purpose: Purpose
    expires_at: datetime

    @property
    def path(self) -> str:
        """Where it leads in the pages. The token stands behind #: browsers send that part to nobody."""
        return f"{PAGES[self.purpose]}#{self.token}"


async def make_link(
    session: AsyncSession, *, purpose: Purpose, user_id: UUID | None, now: datetime, created_by: UUID | None = None
) -> Link:
    """Make a link; all earlier ones of the same person work no more.

    Raises:
        NotFound: there is no such user.
        Conflict: the user is disabled.
    """
    if user_id is not None:
        user = await queries.locked_user(session, user_id=user_id)
        if user is None or user.kind != "person":
            raise NotFound("There is no such user.")
        if user.disabled_at is not None:
            raise Conflict("This user is disabled; enable the user first.")
    await link_queries.replace_links(session, user_id=user_id, now=now)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    link = Link(token, purpose, now + LIFETIMES[purpose])
    row = AccountLink(
        purpose=purpose,
        user_id=user_id,
        token_hash=_hash(token),
        created_by=created_by,
        created_at=now,
        expires_at=link.expires_at,
    )
    await link_queries.add_link(session, row=row)
    return link


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link that works leads to; `user` of None: the set-up."""

    purpose: Purpose
    expires_at: datetime
    user: User | None


async def look_at(session: AsyncSession, *, token: str, now: datetime) -> Opened:
    """Return what a link leads to, and leave it as it is.

    Raises:
        LinkVoid: it leads nowhere (any more).
    """
    row = await link_queries.open_link(session, token_hash=_hash(token), now=now) if _is_token(token) else None
    if row is None:
        raise LinkVoid()
    user = await queries.user_by_id(session, user_id=row.user_id) if row.user_id is not None else None
    if user is not None and user.disabled_at is not None:
        raise LinkVoid()
    return Opened(Purpose(row.purpose), row.expires_at, user)


async def acceptable_hash(opened: Opened, password: str) -> str:
    """Return what to store of the password that the link's owner chose. Takes long; hold no transaction meanwhile.

    Raises:
        LinkVoid: the link is for the set-up.
        Invalid: the password cannot be taken.
    """
    if opened.user is None:
        raise LinkVoid()
    await check_acceptable(password, email=opened.user.email, name=opened.user.name)
    return await hashed(password)


async def choose_password(session: AsyncSession, *, token: str, password_hash: str, now: datetime) -> User:
    """Use the link up and give its owner this password; all sessions and other links of the owner end.

    Raises:
        LinkVoid: it leads nowhere (any more).
    """
    opened = await look_at(session, token=token, now=now)
    # The user is locked before the link, as where links are made.
    user = await queries.locked_user(session, user_id=opened.user.id) if opened.user else None
    if user is None or user.disabled_at is not None:
        raise LinkVoid()
    if await link_queries.use_link(session, token_hash=_hash(token), now=now) is None:
        raise LinkVoid()
    await give_password(session, user=user, password_hash=password_hash, now=now)
    return user


async def use_setup(session: AsyncSession, *, token: str, now: datetime) -> None:
    """Use the link up that lets an installation without people have its first one.

    Raises:
        LinkVoid: it leads nowhere (any more), or is for something else.
        Conflict: somebody is there already.
    """
    row = await link_queries.use_link(session, token_hash=_hash(token), now=now) if _is_token(token) else None
    if row is None or row.purpose != Purpose.SETUP:
        raise LinkVoid()
    if await queries.has_users(session):
        raise Conflict("This installation has been set up; sign in instead.")


def _is_token(token: str) -> bool:
    return _TOKEN.fullmatch(token) is not None


def _hash(token: str) -> str:
    return hashlib.sha256(b"sparkops link " + token.encode()).hexdigest()
