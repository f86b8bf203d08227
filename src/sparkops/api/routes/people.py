"""People as administrators of the installation make and unmake them."""

from uuid import UUID

from fastapi import APIRouter, Request

from sparkops.api.access import needs
from sparkops.api.deps import Audit, AuditDep, Door, DoorDep, PrincipalDep, SessionDep
from sparkops.api.responses import problems
from sparkops.api.second_factor import told
from sparkops.api.sign_in import caller_of, mails_of
from sparkops.api.views import identity as views
from sparkops.api.views import sign_in as forms
from sparkops.core.clock import utc_now
from sparkops.core.errors import NotFound
from sparkops.core.permissions import Permission
from sparkops.domains.identity import factors, links, queries, service
from sparkops.domains.identity.links import Link, Purpose
from sparkops.domains.identity.models import User

router = APIRouter(prefix="/users", tags=["users"])


@router.post("", status_code=201, responses=problems(409), openapi_extra=needs(Permission.USER_MANAGE))
async def invite_user(body: forms.NewUser, principal: PrincipalDep, door: DoorDep) -> forms.UserLink:
    """Add a person without a password, who chooses one through a link: mailed, or shown here once to be handed on."""
    async with door.writes(principal) as session:
        user = await service.create_user(
            session, email=body.email, name=body.name, password=None, is_admin=body.is_admin
        )
        link = await links.make_link(
            session, purpose=Purpose.INVITE, user_id=user.id, now=utc_now(), created_by=principal.user_id
        )
        audit = Audit(session, principal)
        await audit("user.invite", f"user:{user.id}", None, email=user.email, is_admin=user.is_admin)
    return _handed_over(door, user, link, who=principal.name)


@router.post(
    "/{user_id}/link", status_code=201, responses=problems(404, 409), openapi_extra=needs(Permission.USER_MANAGE)
)
async def make_user_link(user_id: UUID, principal: PrincipalDep, door: DoorDep) -> forms.UserLink:
    """Make a link by which a person chooses a password, the first one or another; earlier links work no more.

    The password that there is works until another is chosen.
    """
    async with door.writes(principal) as session:
        user = await queries.user_by_id(session, user_id=user_id)
        if user is None:
            raise NotFound("There is no such user.")
        purpose = Purpose.INVITE if user.password_hash is None else Purpose.RESET
        link = await links.make_link(
            session, purpose=purpose, user_id=user.id, now=utc_now(), created_by=principal.user_id
        )
        audit = Audit(session, principal)
        await audit("user.link", f"user:{user.id}", None, purpose=purpose.value)
    return _handed_over(door, user, link, who=principal.name)


def _handed_over(door: Door, user: User, link: Link, *, who: str) -> forms.UserLink:
    """Mail a link that is committed, or return it."""
    mails = mails_of(door)
    if mails is not None:
        invited = link.purpose is Purpose.INVITE
        door.errands.start(
            mails.invite(to=user.email, link=link, who=who) if invited else mails.reset(to=user.email, link=link)
        )
    return forms.UserLink(
        user=views.User.model_validate(user),
        purpose="invite" if link.purpose is Purpose.INVITE else "reset",
        link=None if mails is not None else link.path,
        expires_at=link.expires_at,
        mailed=mails is not None,
    )


@router.delete(
    "/{user_id}/factor", status_code=204, responses=problems(404, 409), openapi_extra=needs(Permission.USER_MANAGE)
)
async def reset_factor(user_id: UUID, request: Request, principal: PrincipalDep, door: DoorDep) -> None:
    """Take the second factor of a person away who lost it, with all recovery codes: all of their sessions end.

    Make sure that it is this person who asks. Where a second factor is demanded, the next sign-in sets up another one.
    """
    # The second wall shows nobody a key, not even to delete it.
    async with door.database.sessions.begin() as session:
        user = await factors.reset(session, principal, user_id=user_id, now=utc_now())
        audit = Audit(session, principal)
        await audit("factor.reset", f"user:{user_id}", None, email=user.email)
    await told(door, caller_of(request, door), "factor.reset", user=user, what="taken away", by=principal.email)


@router.post("/{user_id}/disable", responses=problems(404, 409), openapi_extra=needs(Permission.USER_MANAGE))
async def disable_user(user_id: UUID, principal: PrincipalDep, session: SessionDep, audit: AuditDep) -> views.User:
    """Keep a person out from now on: all sessions and links end at once. What this person started goes on."""
    user, changed = await service.change_standing(session, principal, user_id=user_id, to="disabled", now=utc_now())
    if changed:
        await audit("user.disable", f"user:{user_id}", None, email=user.email)
    return views.User.model_validate(user)


@router.post("/{user_id}/enable", responses=problems(404, 409), openapi_extra=needs(Permission.USER_MANAGE))
async def enable_user(user_id: UUID, principal: PrincipalDep, session: SessionDep, audit: AuditDep) -> views.User:
    """Let a person in again, with the password from before."""
    user, changed = await service.change_standing(session, principal, user_id=user_id, to="enabled", now=utc_now())
    if changed:
        await audit("user.enable", f"user:{user_id}", None, email=user.email)
    return views.User.model_validate(user)
