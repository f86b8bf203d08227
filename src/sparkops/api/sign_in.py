"""What several routes of signing in share: who asks, the answer with its cookies, and notes of what happened."""

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api import cookies
from sparkops.api.access import lacks_factor
from sparkops.api.deps import Audit, Door, client_address
from sparkops.api.mails import Mails
from sparkops.api.throttle import Caller
from sparkops.api.tokens import LIFETIME
from sparkops.api.views import identity as views
from sparkops.core.clock import utc_now
from sparkops.core.errors import Invalid
from sparkops.core.json import Json
from sparkops.core.mail import Mailer
from sparkops.core.principal import Principal
from sparkops.domains.audit import security
from sparkops.domains.audit.security import Severity
from sparkops.domains.identity import attempts, factor_queries, service
from sparkops.domains.identity.models import User


def caller_of(request: Request, door: Door) -> Caller:
    """Return who sends a request, as far as that can be seen."""
    return Caller(
        address=client_address(request),
        device=request.headers.get("user-agent"),
        request_id=request.state.request_id,
        known=cookies.read(request, cookies.DEVICE_COOKIE, door.settings),
    )


def tokens(door: Door, response: Response, signed_in: service.SignedIn) -> views.Tokens:
    """Return an access token for a session, and have the browser keep the refresh token."""
    now = utc_now()
    cookies.keep_refresh(
        response, door.settings, token=signed_in.refresh_token, expires_at=signed_in.expires_at, now=now
    )
    return views.Tokens(
        access_token=door.signer.issue(user_id=signed_in.user.id, session_id=signed_in.session_id, now=now),
        token_type="Bearer",  # noqa: S106 -- the name of the scheme, not a secret
        expires_in=int(LIFETIME.total_seconds()),
        user=views.User.model_validate(signed_in.user),
        must_enrol=lacks_factor(door.settings, signed_in.methods, is_admin=signed_in.user.is_admin),
    )


async def mark_of(door: Door, session: AsyncSession, user: User) -> str:
    """Return what a browser keeps in which this user signed in, with the password and second factor that count once
    this transaction has committed."""
    generation = await factor_queries.generation_of(session, email=user.email)
    assert generation is not None
    return door.signer.device(generation, now=utc_now())


async def note(
    door: Door,
    caller: Caller,
    kind: str,
    *,
    severity: Severity = "info",
    user: User | Principal | None = None,
    email: str | None = None,
    **detail: Json,
) -> None:
    """Write a security event about this request."""
    await security.note(
        door.database.pool,
        kind,
        severity=severity,
        user_id=user.user_id if isinstance(user, Principal) else user.id if user else None,
        email=user.email if user else email,
        address=caller.address,
        request_id=caller.request_id,
        project_id=None,
        **detail,
    )


async def confirmed(door: Door, caller: Caller, principal: Principal, password: str) -> service.Credentials:
    """Return the caller's credentials if this is their password.

    Raises:
        TooMany: it was tried too often.
        Invalid: it is not, or they have none.
    """
    who = str(principal.user_id)
    await door.throttle.take_one(attempts.OWN_PASSWORD, who, caller=caller, email=principal.email)
    async with door.reads(principal) as session:
        credentials = await service.find_credentials(session, email=principal.email)
    if await service.check_password(credentials, password) is None:
        await note(door, caller, "password.refused", severity="warning", user=credentials.user)
        raise Invalid(
            "The present password is wrong.", errors=[{"path": "current", "message": "is not your present password"}]
        )
    await attempts.forget(door.database.pool, attempts.OWN_PASSWORD, who)
    return credentials


def audit_as(session: AsyncSession, user: User) -> Audit:
    """Return the way to note what somebody does who proved to be this user without being signed in."""
    return Audit(session, Principal(user.id, user.email, user.name, user.is_admin))


def mails_of(door: Door) -> Mails | None:
    """Return the way to mail people; None: no server is set for it."""
    url, sender, public = door.settings.smtp_url, door.settings.mail_from, door.settings.public_url
    if url is None or sender is None or public is None:
        return None
    return Mails(Mailer.of(url.get_secret_value(), sender), public)
