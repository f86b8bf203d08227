"""Signing in and out, and one-time links.

These routes open their own transactions: hashing takes a quarter second and must hold none.
"""

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from sparkops.api import cookies
from sparkops.api.access import open_to_all, people_only
from sparkops.api.deps import Door, DoorDep, PrincipalDep, same_origin
from sparkops.api.responses import problems
from sparkops.api.sign_in import audit_as, caller_of, mails_of, mark_of, note, tokens
from sparkops.api.throttle import Caller
from sparkops.api.views import identity as views
from sparkops.api.views import sign_in as forms
from sparkops.core.clock import utc_now
from sparkops.core.errors import Conflict, Unauthenticated
from sparkops.domains.identity import attempts, factors, links, queries, service
from sparkops.domains.identity.links import Purpose
from sparkops.domains.identity.passwords import check_acceptable, hashed

public = APIRouter(prefix="/auth", tags=["auth"])
router = APIRouter(prefix="/auth", tags=["auth"])


@public.get("/options", openapi_extra=open_to_all())
async def get_sign_in_options(door: DoorDep) -> forms.SignInOptions:
    """Say what the sign-in page can offer."""
    async with door.database.reads.begin() as session:
        somebody = await queries.has_users(session)
    return forms.SignInOptions(mail=mails_of(door) is not None, set_up=somebody)


@public.post(
    "/sign-in",
    response_model=views.Tokens,
    responses=problems(401, 415, 429) | {202: {"model": forms.Waiting, "description": "A code is asked for"}},
    openapi_extra=open_to_all(),
)
async def sign_in(
    body: views.SignIn, request: Request, response: Response, door: DoorDep
) -> views.Tokens | JSONResponse:
    """Exchange e-mail and password for an access token, and a refresh token in a cookie.

    Who has a second factor is answered 202 instead, with a cookie that `/auth/factor` takes together with a code. The
    session that the browser held until now ends.
    """
    caller = caller_of(request, door)
    await door.throttle.take(email=body.email, caller=caller)
    async with door.database.reads.begin() as session:
        credentials = await service.find_credentials(session, email=body.email)
    user = await service.check_password(credentials, body.password)
    outcome = await _open(door, request, response, caller, credentials) if user else None
    if outcome is None:
        await note(door, caller, "sign-in.failed", user=credentials.user, email=body.email.strip().lower()[:320])
        raise Unauthenticated("E-mail or password is wrong.")
    await door.throttle.give_back(email=body.email, caller=caller)
    if isinstance(outcome, factors.Challenged):
        return _ask_for_code(door, outcome)
    await note(door, caller, "sign-in", user=outcome.user, session=str(outcome.session_id))
    return tokens(door, response, outcome)


async def _open(
    door: Door, request: Request, response: Response, caller: Caller, credentials: service.Credentials
) -> service.SignedIn | factors.Challenged | None:
    now = utc_now()
    held = cookies.read(request, cookies.COOKIE, door.settings)
    async with door.database.sessions.begin() as session:
        outcome = await factors.open_or_challenge(
            session,
            credentials,
            now=now,
            device=caller.device,
            address=caller.address,
            idle=door.settings.session_idle,
        )
        if isinstance(outcome, service.SignedIn):
            if held is not None:
                await service.end_presented(session, token=held, now=now)
            cookies.keep_device(response, door.settings, mark=await mark_of(door, session, outcome.user))
        return outcome


def _ask_for_code(door: Door, challenged: factors.Challenged) -> JSONResponse:
    now = utc_now()
    seconds = int((challenged.expires_at - now).total_seconds())
    answer = JSONResponse(forms.Waiting(factor="totp", expires_in=seconds).model_dump(), 202)
    cookies.keep_challenge(answer, door.settings, token=challenged.token, expires_at=challenged.expires_at, now=now)
    return answer


@public.post(
    "/factor",
    responses=problems(401, 403, 429, 503),
    dependencies=[Depends(same_origin)],
    openapi_extra=open_to_all(),
)
async def answer_challenge(body: forms.GivenCode, request: Request, response: Response, door: DoorDep) -> views.Tokens:
    """Finish a sign-in in the browser that began it, with what the authenticator app shows or a recovery code.

    It waits for five minutes and works once. A code works once, too.
    """
    token = cookies.read(request, cookies.CHALLENGE_COOKIE, door.settings)
    if token is None:
        raise factors.ChallengeVoid()
    caller, now, ring = caller_of(request, door), utc_now(), factors.ring_of(door.keys)
    async with door.database.reads.begin() as session:
        user = await factors.challenged_user(session, token=token, now=now)
    counted = await door.throttle.take_code(user=user, caller=caller)
    held = cookies.read(request, cookies.COOKIE, door.settings)
    try:
        async with door.database.sessions.begin() as session:
            signed_in, method = await factors.answer_challenge(
                session,
                ring,
                user,
                token=token,
                code=body.code,
                now=now,
                device=caller.device,
                address=caller.address,
                idle=door.settings.session_idle,
            )
            if held is not None:
                await service.end_presented(session, token=held, now=now)
            mark = await mark_of(door, session, user)
    except factors.CodeRefused:
        await note(door, caller, "factor.refused", severity="warning", user=user)
        raise
    await door.throttle.forgive(counted)
    await note(door, caller, "sign-in", user=user, session=str(signed_in.session_id), by=method)
    cookies.drop_challenge(response, door.settings)
    cookies.keep_device(response, door.settings, mark=mark)
    return tokens(door, response, signed_in)


@public.post("/refresh", responses=problems(401, 403), dependencies=[Depends(same_origin)], openapi_extra=open_to_all())
async def refresh(request: Request, response: Response, door: DoorDep) -> views.Tokens:
    """Exchange the refresh cookie for a new access token; the cookie is replaced.

    A cookie that was replaced before ends the session. For ten seconds the one just before gets the same new one, if
    that was not used yet: two tabs may refresh at once, and an answer may get lost.
    """
    held = cookies.read(request, cookies.COOKIE, door.settings)
    if held is None:
        raise Unauthenticated("Sign in first.")
    caller = caller_of(request, door)
    async with door.database.sessions.begin() as session:
        outcome = await service.refresh_session(
            session,
            token=held,
            now=utc_now(),
            device=caller.device,
            address=caller.address,
            idle=door.settings.session_idle,
        )
    if isinstance(outcome, service.SignedIn):
        return tokens(door, response, outcome)
    if outcome.reused:
        await note(
            door, caller, "refresh.reused", severity="critical", user=outcome.user, session=str(outcome.session_id)
        )
    raise Unauthenticated("The session has ended; sign in again.")


@router.post(
    "/sign-out",
    responses=problems(403),
    dependencies=[Depends(same_origin)],
    openapi_extra=people_only(unfinished=True),
)
async def sign_out(request: Request, response: Response, principal: PrincipalDep, door: DoorDep) -> views.SignedOut:
    """End the session: its access and refresh tokens stop working at once.

    Where it was begun at an OpenID provider, the answer says where the browser goes to end its session there.
    """
    async with door.writes(principal) as session:
        issuer = await service.sign_out(session, principal, now=utc_now())
    await note(door, caller_of(request, door), "sign-out", user=principal, session=str(principal.session_id))
    cookies.drop_refresh(response, door.settings)
    known = door.oidc is not None and issuer == door.oidc.settings.issuer
    return views.SignedOut(leave_at=await door.oidc.leaving_address() if door.oidc is not None and known else None)


@public.post("/forgot", status_code=202, responses=problems(409, 429), openapi_extra=open_to_all())
async def forgot_password(body: forms.Forgotten, request: Request, door: DoorDep) -> None:
    """Mail a link to choose another password, if somebody has this address; the answer and its time do not tell.

    At most three mails go to one address within half an hour. Without a mail server, administrators make links.
    """
    if mails_of(door) is None:
        raise Conflict("No mail server is set here; ask an administrator for a link.")
    caller = caller_of(request, door)
    await door.throttle.take_one(attempts.FORGOTTEN_FROM, caller.address, caller=caller, email=body.email)
    door.errands.start(_mail_reset(door, caller, body.email))


async def _mail_reset(door: Door, caller: Caller, email: str) -> None:
    verdict = await door.throttle.count(attempts.FORGOTTEN, email)
    mails = mails_of(door)
    if verdict.wait is not None or mails is None:
        return
    async with door.database.sessions.begin() as session:
        user = await queries.user_by_email(session, email=email)
        if user is None or user.disabled_at is not None or user.kind != "person":
            return
        link = await links.make_link(session, purpose=Purpose.RESET, user_id=user.id, now=utc_now())
    await note(door, caller, "password.forgotten", user=user)
    await mails.reset(to=user.email, link=link)


@public.post("/link", responses=problems(404, 429), openapi_extra=open_to_all())
async def look_at_link(body: forms.UsedLink, request: Request, door: DoorDep) -> forms.LinkShown:
    """Say what a one-time link leads to; it keeps working."""
    caller = caller_of(request, door)
    await door.throttle.take_one(attempts.LINK_FROM, caller.address, caller=caller)
    async with door.database.reads.begin() as session:
        opened = await links.look_at(session, token=body.token, now=utc_now())
    user = opened.user
    return forms.LinkShown(
        purpose=opened.purpose.value,
        email=user.email if user else None,
        name=user.name if user else None,
        expires_at=opened.expires_at,
    )


@public.post("/password", status_code=204, responses=problems(404, 429), openapi_extra=open_to_all())
async def choose_password(body: forms.ChosenPassword, request: Request, door: DoorDep) -> None:
    """Use a one-time link up to choose a password; sessions that the person had are ended."""
    caller = caller_of(request, door)
    await door.throttle.take_one(attempts.LINK_FROM, caller.address, caller=caller)
    async with door.database.reads.begin() as session:
        opened = await links.look_at(session, token=body.token, now=utc_now())
    password_hash = await links.acceptable_hash(opened, body.password)
    async with door.database.sessions.begin() as session:
        user = await links.choose_password(session, token=body.token, password_hash=password_hash, now=utc_now())
        audit = audit_as(session, user)
        await audit("password.set", f"user:{user.id}", None, by=opened.purpose.value)
    await attempts.forget(door.database.pool, attempts.ACCOUNT, user.email)
    await note(door, caller, "password.reset", severity="warning", user=user, by=opened.purpose.value)
    if (mails := mails_of(door)) is not None and opened.purpose is Purpose.RESET:
        door.errands.start(mails.changed(to=user.email))


@public.post("/set-up", status_code=201, responses=problems(404, 409, 429), openapi_extra=open_to_all())
async def set_up(body: forms.SetUp, request: Request, response: Response, door: DoorDep) -> views.Tokens:
    """Make the first administrator of an installation without people, and sign this person in.

    The link for it is printed where the installation was started, and works once.
    """
    caller = caller_of(request, door)
    await door.throttle.take_one(attempts.LINK_FROM, caller.address, caller=caller)
    async with door.database.reads.begin() as session:
        opened = await links.look_at(session, token=body.token, now=utc_now())
    if opened.purpose is not Purpose.SETUP:
        raise links.LinkVoid()
    email, name = body.email.strip(), body.name.strip()
    await check_acceptable(body.password, email=email, name=name)
    password_hash = await hashed(body.password)
    now = utc_now()
    async with door.database.sessions.begin() as session:
        await links.use_setup(session, token=body.token, now=now)
        user = await service.add_user(session, email=email, name=name, password_hash=password_hash, is_admin=True)
        signed_in = await service.open_session(
            session,
            user=user,
            now=now,
            device=caller.device,
            address=caller.address,
            idle=door.settings.session_idle,
        )
        audit = audit_as(session, user)
        await audit("installation.set-up", f"user:{user.id}", None, email=user.email)
        mark = await mark_of(door, session, user)
    await note(door, caller, "installation.set-up", severity="warning", user=user)
    cookies.keep_device(response, door.settings, mark=mark)
    return tokens(door, response, signed_in)
