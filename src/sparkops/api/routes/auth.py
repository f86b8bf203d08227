"""Signing in and out. These routes open their own transactions: hashing takes a quarter second and must hold none."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Request, Response

from sparkops.api.access import open_to_all, people_only
from sparkops.api.deps import Door, DoorDep, PrincipalDep, SessionDep, client_address, same_origin
from sparkops.api.responses import problems
from sparkops.api.tokens import LIFETIME
from sparkops.api.views import identity as views
from sparkops.core.clock import utc_now
from sparkops.core.errors import Unauthenticated
from sparkops.domains.identity import service

public = APIRouter(prefix="/auth", tags=["auth"])
router = APIRouter(prefix="/auth", tags=["auth"])

COOKIE = "sparkops_refresh"
COOKIE_PATH = "/api/v1/auth"


@public.post("/sign-in", responses=problems(401, 415, 429), openapi_extra=open_to_all())
async def sign_in(body: views.SignIn, request: Request, response: Response, door: DoorDep) -> views.Tokens:
    """Exchange e-mail and password for an access token, and a refresh token in a cookie."""
    address = client_address(request)
    await door.throttle.take(email=body.email, address=address)
    async with door.database.sessions.begin() as session:
        credentials = await service.find_credentials(session, email=body.email)
    user = await service.check_password(credentials, body.password)
    if user is None:
        raise Unauthenticated("E-mail or password is wrong.")
    await door.throttle.give_back(email=body.email, address=address)
    async with door.database.sessions.begin() as session:
        signed_in = await service.open_session(session, user=user, now=utc_now())
    return _tokens(door, response, signed_in)


@public.post("/refresh", responses=problems(401, 403), dependencies=[Depends(same_origin)], openapi_extra=open_to_all())
async def refresh(
    response: Response, door: DoorDep, sparkops_refresh: Annotated[str | None, Cookie(include_in_schema=False)] = None
) -> views.Tokens:
    """Exchange the refresh cookie for a new access token; the cookie is replaced.

    A cookie that was replaced before ends the session, but for ten seconds: two tabs may refresh at once.
    """
    if sparkops_refresh is None:
        raise Unauthenticated("Sign in first.")
    async with door.database.sessions.begin() as session:
        signed_in = await service.refresh_session(session, token=sparkops_refresh, now=utc_now())
    if signed_in is None:
        raise Unauthenticated("The session has ended; sign in again.")
    return _tokens(door, response, signed_in)


@router.post(
    "/sign-out",
    status_code=204,
    responses=problems(403),
    dependencies=[Depends(same_origin)],
    openapi_extra=people_only(),
)
async def sign_out(response: Response, principal: PrincipalDep, session: SessionDep, door: DoorDep) -> None:
    """End the session: its access and refresh tokens stop working at once."""
    await service.sign_out(session, principal, now=utc_now())
    response.delete_cookie(
        COOKIE, path=COOKIE_PATH, secure=door.settings.secure_cookies, httponly=True, samesite="strict"
    )


def keep_refresh_token(door: Door, response: Response, signed_in: service.SignedIn) -> None:
    """Put a new refresh token into the cookie; without one the cookie stays."""
    if signed_in.refresh_token is not None:
        response.set_cookie(
            COOKIE,
            signed_in.refresh_token,
            max_age=max(0, int((signed_in.expires_at - utc_now()).total_seconds())),
            path=COOKIE_PATH,
            secure=door.settings.secure_cookies,
            httponly=True,
            samesite="strict",
        )


def _tokens(door: Door, response: Response, signed_in: service.SignedIn) -> views.Tokens:
    now = utc_now()
    keep_refresh_token(door, response, signed_in)
    return views.Tokens(
        access_token=door.signer.issue(user_id=signed_in.user.id, session_id=signed_in.session_id, now=now),
        token_type="Bearer",  # noqa: S106 -- the name of the scheme, not a secret
        expires_in=int(LIFETIME.total_seconds()),
        user=views.User.model_validate(signed_in.user),
    )
