"""The caller's second factor: setting it up, recovery codes, and being without it again.

These routes open their own transactions over all rows: the second wall shows sessions of the API no key, and looking at
a password must hold none open.
"""

from collections.abc import Collection
from datetime import datetime

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api import cookies
from sparkops.api.access import people_only
from sparkops.api.deps import Audit, Door, DoorDep, PrincipalDep
from sparkops.api.responses import problems
from sparkops.api.second_factor import counted, picture_of, told
from sparkops.api.sign_in import caller_of, confirmed, mark_of, tokens
from sparkops.api.throttle import Caller
from sparkops.api.views import identity as views
from sparkops.api.views import sign_in as forms
from sparkops.core.clock import utc_now
from sparkops.core.errors import NotFound
from sparkops.core.principal import Principal
from sparkops.domains.identity import factor_queries, factors, queries, service, totp

router = APIRouter(prefix="/me/factor", tags=["auth"])


@router.get("", openapi_extra=people_only(unfinished=True))
async def get_factor(principal: PrincipalDep, door: DoorDep) -> forms.Factor:
    """Say whether the caller has a second factor, and whether they have to."""
    async with door.database.reads.begin() as session:
        user = await queries.user_by_id(session, user_id=principal.user_id)
        if user is None:
            raise NotFound("You are not here any more.")
        return forms.Factor(
            enrolled_at=await factor_queries.confirmed_at(session, user_id=user.id),
            recovery_codes=await factor_queries.recovery_codes_left(session, user_id=user.id),
            demanded=door.settings.demands_second_factor(is_admin=user.is_admin),
            has_password=user.password_hash is not None,
        )


@router.post("", responses=problems(409, 422, 429, 503), openapi_extra=people_only(unfinished=True))
async def begin_factor(
    body: forms.Confirmation, request: Request, principal: PrincipalDep, door: DoorDep
) -> forms.FactorKey:
    """Make a key for an authenticator app, which asks for the present password. The answer alone ever shows it.

    It counts for nothing until `confirmFactor`, within a quarter of an hour.
    """
    ring = factors.ring_of(door.keys)
    await confirmed(door, caller_of(request, door), principal, body.current)
    async with door.database.sessions.begin() as session:
        key = await factors.begin(session, ring, user_id=principal.user_id, now=utc_now())
    address = totp.address_of(key, account=principal.email)
    return forms.FactorKey(key=key, address=address, picture=picture_of(address))


@router.post("/confirm", responses=problems(409, 422, 429, 503), openapi_extra=people_only(unfinished=True))
async def confirm_factor(
    body: forms.GivenCode, request: Request, response: Response, principal: PrincipalDep, door: DoorDep
) -> forms.FactorSetUp:
    """Show that the app has the key: from now on signing in asks for its codes. All sessions end, and the caller gets a
    new one.

    The answer alone ever shows the recovery codes.
    """
    caller, ring, now = caller_of(request, door), factors.ring_of(door.keys), utc_now()
    async with counted(door, caller, principal, body.code), door.database.sessions.begin() as session:
        codes = await factors.finish(session, ring, principal, code=body.code, now=now)
        methods = principal.methods | {"totp"}
        opened = await _begin_anew(door, session, caller, principal, response, methods=methods, now=now)
        audit = Audit(session, principal)
        await audit("factor.enrol", f"user:{principal.user_id}", None)
    await told(door, caller, "factor.enrolled", user=principal, what="set up")
    return forms.FactorSetUp(codes=list(codes), tokens=tokens(door, response, opened))


@router.post("/recovery-codes", responses=problems(409, 422, 429, 503), openapi_extra=people_only())
async def renew_recovery_codes(
    body: forms.FullConfirmation, request: Request, principal: PrincipalDep, door: DoorDep
) -> forms.RecoveryCodes:
    """Replace the caller's recovery codes, which asks for the present password and a code."""
    caller, ring, now = caller_of(request, door), factors.ring_of(door.keys), utc_now()
    await confirmed(door, caller, principal, body.current)
    async with counted(door, caller, principal, body.code), door.database.sessions.begin() as session:
        await factors.spend(session, ring, user_id=principal.user_id, code=body.code, now=now)
        codes = await factors.renew_recovery_codes(session, user_id=principal.user_id, now=now)
        audit = Audit(session, principal)
        await audit("factor.recovery-codes", f"user:{principal.user_id}", None)
    await told(door, caller, "factor.recovery-codes", user=principal, what="given new recovery codes")
    return forms.RecoveryCodes(codes=list(codes))


@router.post("/remove", responses=problems(409, 422, 429, 503), openapi_extra=people_only())
async def remove_factor(
    body: forms.FullConfirmation, request: Request, response: Response, principal: PrincipalDep, door: DoorDep
) -> views.Tokens:
    """Remove the caller's second factor and all recovery codes, which asks for the present password and a code.

    All sessions end, and the caller gets a new one. Where the installation demands a second factor, nothing goes on
    until there is another.
    """
    caller, ring, now = caller_of(request, door), factors.ring_of(door.keys), utc_now()
    await confirmed(door, caller, principal, body.current)
    async with counted(door, caller, principal, body.code), door.database.sessions.begin() as session:
        await factors.spend(session, ring, user_id=principal.user_id, code=body.code, now=now)
        await factors.remove(session, principal)
        methods = principal.methods - {"totp", "recovery"}
        opened = await _begin_anew(door, session, caller, principal, response, methods=methods, now=now)
        audit = Audit(session, principal)
        await audit("factor.remove", f"user:{principal.user_id}", None)
    await told(door, caller, "factor.removed", user=principal, what="removed")
    return tokens(door, response, opened)


async def _begin_anew(
    door: Door,
    session: AsyncSession,
    caller: Caller,
    principal: Principal,
    response: Response,
    *,
    methods: Collection[str],
    now: datetime,
) -> service.SignedIn:
    """End all sessions of the caller and return another; the browser is known to the account as it is now."""
    opened = await service.replace_sessions(
        session,
        principal,
        because="factor",
        methods=methods,
        now=now,
        device=caller.device,
        address=caller.address,
        idle=door.settings.session_idle,
    )
    cookies.keep_device(response, door.settings, mark=await mark_of(door, session, opened.user))
    return opened
