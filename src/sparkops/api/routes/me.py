"""The caller: profile, password, sessions."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from sparkops.api import cookies
from sparkops.api.access import may_create_projects, people_only, signed_in
from sparkops.api.deps import Audit, AuditDep, DoorDep, PrincipalDep, SessionDep
from sparkops.api.devices import device_of
from sparkops.api.responses import problems
from sparkops.api.routes.projects import project_view
from sparkops.api.second_factor import counted, spend_if_enrolled
from sparkops.api.sign_in import caller_of, confirmed, mails_of, mark_of, note, tokens
from sparkops.api.views import identity as views
from sparkops.api.views import sign_in as forms
from sparkops.core.clock import utc_now
from sparkops.domains.identity import queries, service, session_queries
from sparkops.domains.identity.passwords import check_acceptable, hashed
from sparkops.domains.identity.queries import roles_of
from sparkops.domains.projects.queries import all_projects_of

router = APIRouter(tags=["auth"])


@router.get("/me", openapi_extra=signed_in())
async def get_me(principal: PrincipalDep, session: SessionDep, door: DoorDep) -> views.Me:
    """Return who is signed in, and all projects of this person."""
    roles = await roles_of(session, principal)
    projects = await all_projects_of(session, principal)
    user = views.User(id=principal.user_id, email=principal.email, name=principal.name, is_admin=principal.is_admin)
    return views.Me(
        user=user,
        projects=[project_view(project, roles) for project in projects],
        may_create_projects=may_create_projects(door.settings, principal),
    )


@router.patch("/me", openapi_extra=people_only())
async def update_me(body: forms.Profile, principal: PrincipalDep, door: DoorDep) -> views.User:
    """Change the caller's name."""
    # The second wall lets administrators alone write people; this is the caller's own row.
    async with door.database.sessions.begin() as session:
        await queries.set_name(session, user_id=principal.user_id, name=body.name)
        if body.name != principal.name:
            audit = Audit(session, principal)
            await audit(
                "user.rename",
                f"user:{principal.user_id}",
                None,
                before={"name": principal.name},
                after={"name": body.name},
            )
    return views.User(id=principal.user_id, email=principal.email, name=body.name, is_admin=principal.is_admin)


@router.post("/me/password", responses=problems(409, 422, 429), openapi_extra=people_only())
async def change_password(
    body: forms.ChangedPassword, request: Request, response: Response, principal: PrincipalDep, door: DoorDep
) -> views.Tokens:
    """Change the caller's password, which asks for the present one, and for a code where there is a second factor; all
    sessions end, and the caller gets a new one."""
    caller = caller_of(request, door)
    credentials = await confirmed(door, caller, principal, body.current)
    await check_acceptable(body.password, email=principal.email, name=principal.name)
    password_hash = await hashed(body.password)
    now = utc_now()
    # The second wall lets administrators alone write people; this is the caller's own row.
    async with counted(door, caller, principal, body.code), door.database.sessions.begin() as session:
        await spend_if_enrolled(door, session, principal, body.code)
        user = await service.replace_password(session, credentials, password_hash=password_hash, now=now)
        opened = await service.open_session(
            session,
            user=user,
            now=now,
            device=caller.device,
            address=caller.address,
            idle=door.settings.session_idle,
            methods=sorted(principal.methods),
        )
        audit = Audit(session, principal)
        await audit("password.change", f"user:{user.id}", None)
        mark = await mark_of(door, session, user)
    await note(door, caller, "password.changed", user=user)
    if (mails := mails_of(door)) is not None:
        door.errands.start(mails.changed(to=user.email))
    cookies.keep_device(response, door.settings, mark=mark)
    return tokens(door, response, opened)


@router.get("/me/sessions", openapi_extra=people_only())
async def list_sessions(principal: PrincipalDep, session: SessionDep) -> forms.OwnSessionList:
    """List where the caller is signed in, the last used first; two hundred at most."""
    found = await session_queries.live_sessions_of(
        session, user_id=principal.user_id, now=utc_now(), limit=service.MAX_SESSIONS
    )
    items = [
        forms.OwnSession(
            id=one.id,
            device=device_of(one.device),
            address=one.address,
            created_at=one.created_at,
            used_at=one.rotated_at,
            expires_at=one.expires_at,
            current=one.id == principal.session_id,
        )
        for one in found
    ]
    return forms.OwnSessionList(items=items, next_cursor=None)


@router.delete("/me/sessions/{session_id}", status_code=204, responses=problems(404), openapi_extra=people_only())
async def end_session(session_id: UUID, principal: PrincipalDep, session: SessionDep, audit: AuditDep) -> None:
    """Sign the caller out in one place, at once; where the session has ended, nothing changes."""
    if await service.end_session(session, principal, session_id=session_id, now=utc_now()):
        await audit("session.end", f"session:{session_id}", None)


@router.delete("/me/sessions", openapi_extra=people_only())
async def end_other_sessions(principal: PrincipalDep, session: SessionDep, audit: AuditDep) -> forms.EndedSessions:
    """Sign the caller out everywhere but here, at once."""
    ended = await service.end_other_sessions(session, principal, now=utc_now())
    if ended:
        await audit("session.end-others", f"user:{principal.user_id}", None, ended=ended)
    return forms.EndedSessions(ended=ended)
