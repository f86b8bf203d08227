"""Becoming somebody: sign-in options, one-time links, passwords, sessions, and people as administrators make them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from sparkops.api.views.base import Body, View
from sparkops.api.views.identity import Tokens, User
from sparkops.domains.identity.factors import MAX_CODE_CHARS

Email = Annotated[str, Field(min_length=3, max_length=320)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Password = Annotated[str, Field(min_length=1, max_length=1_024)]
Code = Annotated[str, Field(min_length=1, max_length=MAX_CODE_CHARS)]
LinkToken = Annotated[str, Field(min_length=1, max_length=200)]


class _Secretive(Body):
    """A body with a secret in it, whose spaces belong to it."""

    model_config = Body.model_config | {"str_strip_whitespace": False}


class SignInOptions(View):
    """What the sign-in page can offer."""

    mail: bool
    """A forgotten password can be replaced by a link that is mailed."""
    set_up: bool
    """Somebody is there; otherwise the link that `sparkops up` printed makes the first administrator."""


class Forgotten(Body):
    email: Email


class UsedLink(_Secretive):
    """The part of a one-time link behind its #."""

    token: LinkToken


class LinkShown(View):
    """What a one-time link leads to. `email` and `name` null: the set-up of an installation without people."""

    purpose: Literal["reset", "invite", "setup"]
    email: str | None
    name: str | None
    expires_at: datetime


class ChosenPassword(_Secretive):
    token: LinkToken
    password: Password


class SetUp(_Secretive):
    """The first administrator."""

    token: LinkToken
    email: Email
    name: Name
    password: Password


class Profile(Body):
    name: Name


class ChangedPassword(_Secretive):
    current: Password
    password: Password
    code: Code | None = None
    """Of the second factor, where there is one."""


class Waiting(View):
    """The password was right, and a code of the second factor is asked for: send it to `/auth/factor` with the cookie
    that came along."""

    factor: Literal["totp"]
    expires_in: int
    """Seconds."""


class GivenCode(Body):
    """What the authenticator app shows, or a recovery code."""

    code: Code


class Confirmation(_Secretive):
    """The present password, once more."""

    current: Password


class FullConfirmation(Confirmation):
    """The present password and a code, once more."""

    code: Code


class Factor(View):
    """The caller's second factor."""

    enrolled_at: datetime | None
    """null: there is none."""
    recovery_codes: int
    """How many are left."""
    demanded: bool
    """The installation wants the caller to have one."""
    has_password: bool
    """Without one there is nothing that it would be second to."""


class FactorKey(View):
    """What an authenticator app needs. It is shown this once, and counts for nothing until it is confirmed."""

    key: str
    """In base32, to be typed."""
    address: str
    """`otpauth:` with the key in it, for apps on the same device."""
    picture: str
    """The address as a QR code: a `data:` URL."""


class RecoveryCodes(View):
    """Codes that work once each in place of the app. They are shown this once; earlier ones work no more."""

    codes: list[str]


class FactorSetUp(RecoveryCodes):
    """A second factor counts from now on. `tokens`: of the session to go on with, all from before have ended."""

    tokens: Tokens


class OwnSession(View):
    """A browser or client in which the caller is signed in."""

    id: UUID
    device: str | None
    """In words, such as `Firefox on Linux`; null: it did not say."""
    address: str | None
    """Where it was used last; of IPv6 the network."""
    created_at: datetime
    used_at: datetime
    """To a quarter of an hour."""
    expires_at: datetime
    current: bool
    """It is the one that asks."""


class OwnSessionList(View):
    items: list[OwnSession]
    next_cursor: str | None


class EndedSessions(View):
    ended: int


class NewUser(Body):
    email: Email
    name: Annotated[str, Field(max_length=200)] = ""
    is_admin: bool = False


class UserLink(View):
    """How a person comes to a password. `link` null: it was mailed, and nobody else sees it."""

    user: User
    purpose: Literal["reset", "invite"]
    link: str | None
    """Its path in the pages; it works once and is shown once."""
    expires_at: datetime
    mailed: bool
