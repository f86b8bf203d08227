"""Signing in at an OpenID provider: the way there, and the way back.

Both are visited by the browser itself, so they answer with a page to go on to, also where it does not work out: the
sign-in page says why by a word in its address. What is for operators is in the log.
"""

import re
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse

from sparkops.api import cookies
from sparkops.api.access import open_to_all
from sparkops.api.deps import Door, DoorDep, client_address
from sparkops.api.oidc import FLOW_LIFETIME, OidcDoor, begin
from sparkops.api.responses import problems
from sparkops.api.sign_in import caller_of
from sparkops.api.sign_in import note as note_of_user
from sparkops.api.views import oidc as views
from sparkops.core.clock import utc_now
from sparkops.core.errors import NotFound
from sparkops.core.ids import new_id
from sparkops.core.origin import acting_via, origin
from sparkops.domains.audit.security import note
from sparkops.domains.identity import service
from sparkops.domains.identity.arrivals import Arrival, NotLetIn, Rules, arrive
from sparkops.domains.identity.models import User
from sparkops.domains.identity.oidc import Claims, ProviderFault

public = APIRouter(prefix="/auth/oidc", tags=["auth"])

log = structlog.get_logger(__name__)

COOKIE: Final = "sparkops_oidc"
PATH: Final = "/api/v1/auth/oidc"
SIGN_IN_PAGE: Final = "/login"
_WITHIN: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""An address of these pages: no other host, and nothing that a header could be broken with."""
_SEE_OTHER: Final = 303


@public.get("", openapi_extra=open_to_all())
async def get_oidc(door: DoorDep) -> views.OidcSignIn:
    """Say whether people may sign in at an OpenID provider, and what to call it."""
    oidc = door.oidc
    return views.OidcSignIn(enabled=oidc is not None, label=oidc.settings.label if oidc else None)


@public.get(
    "/start",
    status_code=_SEE_OTHER,
    response_class=RedirectResponse,
    responses=problems(404, 422),
    openapi_extra=open_to_all(),
)
async def start_oidc(
    request: Request,
    door: DoorDep,
    next_page: Annotated[
        str, Query(alias="next", max_length=2_000, description="The page to come back to, such as `/p/weather/runs`.")
    ] = "/",
) -> RedirectResponse:
    """Send the browser to the provider, with what makes the answer count in this browser alone."""
    oidc = _oidc(door)
    flow = begin(next_page if _WITHIN.fullmatch(next_page) else "/")
    try:
        answer = RedirectResponse(await oidc.address_of(flow), _SEE_OTHER)
    except ProviderFault as fault:
        return await _turn_away(door, request, "provider", fault.detail)
    answer.set_cookie(
        cookies.name_of(COOKIE, door.settings),
        oidc.flows.close(flow, now=utc_now()),
        max_age=int(FLOW_LIFETIME.total_seconds()),
        path=PATH,
        secure=door.settings.secure_cookies,
        httponly=True,
        samesite="lax",  # the way back begins at the provider
    )
    return answer


@public.get(
    "/callback",
    status_code=_SEE_OTHER,
    response_class=RedirectResponse,
    responses=problems(404, 422),
    openapi_extra=open_to_all(),
)
async def finish_oidc(
    request: Request,
    door: DoorDep,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str | None, Query(max_length=4_000)] = None,
    iss: Annotated[str | None, Query(max_length=2_000)] = None,
    error: Annotated[str | None, Query(max_length=200)] = None,
) -> RedirectResponse:
    """Come back from the provider: open a session for whom it vouches, and go on to the page that was wanted."""
    oidc = _oidc(door)
    flow = oidc.flows.open(request.cookies.get(cookies.name_of(COOKIE, door.settings)), state)
    if flow is None:
        return await _turn_away(door, request, "expired", "this browser has begun no such sign-in")
    if code is None:
        return await _turn_away(door, request, "refused", f"the provider answered {error or 'without a code'}")
    try:
        claims = await oidc.claims_of(flow, code=code, issuer=iss)
        session_id = new_id()
        acting_via(f"session:{session_id}")
        arrival = await _arrive(door, oidc, claims)
    except ProviderFault as fault:
        return await _turn_away(door, request, "provider", fault.detail)
    except NotLetIn as refusal:
        return await _turn_away(door, request, refusal.reason, refusal.detail, email=claims.email or claims.subject)
    answer = RedirectResponse(flow.next, _SEE_OTHER)
    _forget(answer, door)
    await _open_session(door, request, oidc, arrival, session_id, answer)
    return answer


def _forget(answer: RedirectResponse, door: Door) -> None:
    """Have the browser forget the sign-in that it began."""
    name, secure = cookies.name_of(COOKIE, door.settings), door.settings.secure_cookies
    answer.delete_cookie(name, path=PATH, secure=secure, httponly=True, samesite="lax")


def _oidc(door: Door) -> OidcDoor:
    if door.oidc is None:
        raise NotFound("Nobody signs in at an OpenID provider here.")
    return door.oidc


async def _arrive(door: Door, oidc: OidcDoor, claims: Claims) -> Arrival:
    stated = oidc.settings
    rules = Rules(stated.new_users, frozenset(stated.admin_groups), stated.groups)
    async with door.database.pool.acquire() as connection, connection.transaction():
        arrival = await arrive(connection, stated.issuer, claims, rules)
        asked = origin()
        for change in arrival.changes:
            await connection.execute(
                # lint: allow sql-place -- one call of a function of the engine
                "SELECT engine.write_audit($1, $2, $3, $4, $5, $6, $7, $8)",
                change.project_id,
                f"user:{arrival.user_id}",
                change.action,
                change.subject,
                change.detail,
                change.before,
                change.after,
                asdict(asked) if asked else None,
            )
    return arrival


async def _open_session(
    door: Door, request: Request, oidc: OidcDoor, arrival: Arrival, session_id: UUID, answer: RedirectResponse
) -> None:
    """Open a session that ends sooner than others: what the groups give is looked at when the next one begins. The
    session that the browser held until now ends."""
    now, caller = utc_now(), caller_of(request, door)
    held = cookies.read(request, cookies.COOKIE, door.settings)
    async with door.database.sessions.begin() as session:
        if held is not None:
            await service.end_presented(session, token=held, now=now)
        user = await session.get_one(User, arrival.user_id)
        signed_in = await service.open_session(
            session,
            user=user,
            now=now,
            device=caller.device,
            address=caller.address,
            idle=door.settings.session_idle,
            lifetime=min(service.SESSION_LIFETIME, timedelta(hours=oidc.settings.session_hours)),
            methods=("oidc",),
            session_id=session_id,
            issuer=oidc.settings.issuer,
        )
    ends_at = signed_in.expires_at
    cookies.keep_refresh(answer, door.settings, token=signed_in.refresh_token, expires_at=ends_at, now=now)
    await note_of_user(door, caller, "sign-in", user=user, session=str(signed_in.session_id), by="oidc")


async def _turn_away(
    door: Door, request: Request, reason: str, detail: str, *, email: str | None = None
) -> RedirectResponse:
    """Lead back to the sign-in page, which says why by this word. What has an address is noted: others anybody can
    bring about as often as they like."""
    log.warning("oidc.refused", reason=reason, detail=detail)
    if email is not None:
        await note(
            door.database.pool,
            "sign-in.failed",
            severity="warning" if reason == "taken" else "info",
            email=email,
            address=client_address(request),
            request_id=request.state.request_id,
            by="oidc",
            reason=reason,
        )
    answer = RedirectResponse(f"{SIGN_IN_PAGE}?{urlencode({'refused': reason})}", _SEE_OTHER)
    _forget(answer, door)
    return answer
