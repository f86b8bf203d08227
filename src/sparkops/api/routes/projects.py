"""Projects, their members and their policy."""

from collections.abc import Mapping
from typing import cast
from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.access import allowed, needs, signed_in
from sparkops.api.deps import (
    Audit,
    AuditDep,
    Door,
    DoorDep,
    NamedProject,
    PageDep,
    PrincipalDep,
    SessionDep,
    find_project,
)
from sparkops.api.responses import problems
from sparkops.api.routes.policies import tool_arguments
from sparkops.api.sign_in import caller_of
from sparkops.api.views import catalogue
from sparkops.api.views import identity as views
from sparkops.api.views.access import ChangeMember
from sparkops.api.views.base import Ref
from sparkops.core.errors import Conflict, Invalid
from sparkops.core.json import Json
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission, Role
from sparkops.core.principal import Principal
from sparkops.domains.identity import attempts
from sparkops.domains.identity import queries as identity
from sparkops.domains.identity.members import change_role, find_user, put_role
from sparkops.domains.identity.members import remove_member as take_out
from sparkops.domains.policies.queries import rules_changed
from sparkops.domains.policies.service import change_policy, project_rules
from sparkops.domains.projects.models import Project
from sparkops.domains.projects.queries import (
    change_judging,
    change_retention,
    last_deletion,
    limit_runs,
    projects_of,
    was_deleted,
)
from sparkops.domains.projects.service import create_project as create
from sparkops.domains.projects.state import DeletionStatus
from sparkops.domains.tools.service import install_tools
from sparkops.engine import removal
from sparkops.runtime.tools.registry import builtin_tools

router = APIRouter(prefix="/projects", tags=["projects"])

RETENTION = ("keep_runs_days", "keep_log_days", "keep_values_days")


def project_view(project: Project, roles: Mapping[UUID, Role]) -> views.Project:
    """Return a project as its member sees it."""
    return views.Project(
        id=project.id,
        slug=project.slug,
        name=project.name,
        role=roles[project.id],
        max_running_runs=project.max_running_runs,
        default_effect=cast(views.DefaultEffect, project.default_effect),
        time_zone=project.time_zone,
        keep_runs_days=project.keep_runs_days,
        keep_log_days=project.keep_log_days,
        keep_values_days=project.keep_values_days,
        created_at=project.created_at,
    )


@router.get("", openapi_extra=signed_in())
async def list_projects(principal: PrincipalDep, session: SessionDep, page: PageDep) -> views.ProjectList:
    """List the projects of the caller, newest first."""
    found = page_of(await projects_of(session, principal, page=page), page)
    roles = await identity.roles_of(session, principal)
    return views.ProjectList(items=[project_view(one, roles) for one in found.items], next_cursor=found.next_cursor)


@router.post("", status_code=201, responses=problems(403, 409), openapi_extra=needs(Permission.PROJECT_CREATE))
async def create_project(
    body: views.NewProject, principal: PrincipalDep, session: SessionDep, door: DoorDep, audit: AuditDep
) -> views.Project:
    """Create a project with the built-in tools and an empty policy; the caller owns it.

    A name that a deleted project had, or that the settings give something to, is given by administrators alone: what
    lies under it outside of here, such as secrets in a vault, becomes the new project's.
    """
    if not principal.is_admin and (
        body.slug in door.settings.named_projects or await was_deleted(door.database.pool, slug=body.slug)
    ):
        raise Conflict(
            f"The name {body.slug} is kept; choose another one, or ask an administrator of the installation."
        )
    project = await create(session, slug=body.slug, name=body.name)
    await identity.put_member(session, project_id=project.id, user_id=principal.user_id, role=Role.OWNER)
    await install_tools(session, project_id=project.id, tools=builtin_tools().values())
    await rules_changed(session, scope_id=project.id)
    await audit(
        "project.create", f"project:{project.id}", project.id, after={"slug": project.slug, "name": project.name}
    )
    return project_view(project, {project.id: Role.OWNER})


@router.get("/{slug}", responses=problems(404), openapi_extra=needs(Permission.PROJECT_READ))
async def get_project(project: NamedProject, principal: PrincipalDep, session: SessionDep) -> views.Project:
    """Return one project."""
    return project_view(project, await identity.roles_of(session, principal))


@router.patch("/{slug}", responses=problems(404), openapi_extra=needs(Permission.PROJECT_UPDATE))
async def update_project(
    body: views.ProjectSettings, project: NamedProject, principal: PrincipalDep, session: SessionDep, audit: AuditDep
) -> views.Project:
    """Change how many runs of a project go on at once, what holds where no rule matches, the zone of its clocks, or how
    long it keeps what has ended.

    Runs that go on do so beyond a lowered limit; a raised one moves the queue in seconds. What is decided from now on
    is decided by the new default and the new zone. Where the default denies, rules have to allow `run.create`,
    `step.start`, `llm.call`, `tool.call` and `output`, each: have them in force before.
    """
    if "max_running_runs" in body.model_fields_set:
        before: dict[str, Json] = {"max_running_runs": project.max_running_runs}
        await limit_runs(session, principal, project_id=project.id, max_running_runs=body.max_running_runs)
        after: dict[str, Json] = {"max_running_runs": body.max_running_runs}
        await audit("project.limits", f"project:{project.id}", project.id, before=before, after=after)
    changed = body.model_dump(include={"default_effect", "time_zone"}, exclude_none=True)
    if changed:
        before = {name: getattr(project, name) for name in changed}
        await change_judging(session, principal, project_id=project.id, **changed)
        await rules_changed(session, scope_id=project.id)
        await audit("project.judging", f"project:{project.id}", project.id, before=before, after=changed)
    kept = {name: getattr(body, name) for name in RETENTION if name in body.model_fields_set}
    if kept:
        before = {name: getattr(project, name) for name in kept}
        await change_retention(session, principal, project_id=project.id, **kept)
        await audit("project.retention", f"project:{project.id}", project.id, before=before, after=kept)
    await session.refresh(project)
    return project_view(project, await identity.roles_of(session, principal))


@router.get("/{slug}/deletion", responses=problems(404), openapi_extra=needs(Permission.PROJECT_READ))
async def get_deletion(
    project: NamedProject, principal: PrincipalDep, session: SessionDep, door: DoorDep
) -> views.DeletionState:
    """Tell whether a project is to be deleted."""
    return await _deletion_state(session, principal, door, project.id)


@router.post(
    "/{slug}/deletion",
    status_code=201,
    responses=problems(404, 409, 503),
    openapi_extra=needs(Permission.PROJECT_DELETE),
)
async def ask_deletion(
    slug: str, body: views.NewDeletion, principal: PrincipalDep, session: SessionDep, door: DoorDep
) -> views.DeletionState:
    """Stop a project at once, and have it deleted with all its data when the delay is over.

    Until then an owner can take it back. 503: it is not to be deleted, ask again.
    """
    place = allowed(principal, slug)
    if body.slug != slug:
        raise Invalid("The slug is not that of the project; type it once more.")
    await removal.ask_deletion(
        door.engine, principal, project_id=place.id, reason=body.reason, delay=door.settings.deletion_delay
    )
    return await _deletion_state(session, principal, door, place.id)


@router.post("/{slug}/deletion/cancel", responses=problems(404, 409), openapi_extra=needs(Permission.PROJECT_DELETE))
async def cancel_deletion(
    slug: str, principal: PrincipalDep, session: SessionDep, door: DoorDep
) -> views.DeletionState:
    """Take back that a project is to be deleted: it goes on, unless it was stopped before."""
    place = allowed(principal, slug)
    await removal.cancel_deletion(door.engine, principal, project_id=place.id)
    return await _deletion_state(session, principal, door, place.id)


async def _deletion_state(
    session: AsyncSession, principal: Principal, door: Door, project_id: UUID
) -> views.DeletionState:
    found = await last_deletion(session, principal, project_id=project_id)
    delay = door.settings.deletion_delay.total_seconds()
    if found is None:
        return views.DeletionState(deletion=None, delay_seconds=delay)
    people = {one for one in (found.asked_by, found.cancelled_by) if one is not None}
    names = await identity.names_of(session, user_ids=people)
    deletion = views.Deletion(
        id=found.id,
        status=DeletionStatus(found.status),
        reason=found.reason,
        asked_by=Ref(id=found.asked_by, name=names.get(found.asked_by, "")),
        asked_at=found.asked_at,
        due_at=found.due_at,
        cancelled_by=Ref(id=found.cancelled_by, name=names.get(found.cancelled_by, "")) if found.cancelled_by else None,
        cancelled_at=found.cancelled_at,
    )
    return views.DeletionState(deletion=deletion, delay_seconds=delay)


@router.get("/{slug}/members", responses=problems(404), openapi_extra=needs(Permission.MEMBER_READ))
async def list_members(project: NamedProject, principal: PrincipalDep, session: SessionDep) -> views.MemberList:
    """List all members of a project by name."""
    found = await identity.members(session, principal, project_id=project.id)
    return views.MemberList(items=[views.Member.model_validate(one) for one in found], next_cursor=None)


@router.post(
    "/{slug}/members",
    status_code=201,
    responses=problems(403, 404, 409, 429),
    openapi_extra=needs(Permission.MEMBER_MANAGE),
)
async def add_member(
    slug: str, body: views.NewMember, request: Request, principal: PrincipalDep, door: DoorDep
) -> views.Member:
    """Make a user a member, or change the member's role. Owners alone make and unmake owners.

    Addresses that nobody has are counted: after twenty each further one waits longer.
    """
    who = str(principal.user_id)
    await door.throttle.take_one(attempts.STRANGERS, who, caller=caller_of(request, door), email=principal.email)
    async with door.writes(principal) as session:
        project = await find_project(session, principal, slug)
        user = await find_user(session, email=body.email)
        before = await put_role(session, principal, project_id=project.id, user_id=user.id, role=body.role)
        audit = Audit(session, principal)
        await audit("member.put", f"user:{user.id}", project.id, before=_as(before), after=_as(body.role))
        member = await _member(session, principal, project.id, user.id)
    await attempts.give_back(door.database.pool, attempts.STRANGERS, who)
    return member


@router.put(
    "/{slug}/members/{user_id}", responses=problems(403, 404, 409), openapi_extra=needs(Permission.MEMBER_MANAGE)
)
async def change_member(
    user_id: UUID,
    body: ChangeMember,
    project: NamedProject,
    principal: PrincipalDep,
    session: SessionDep,
    audit: AuditDep,
) -> views.Member:
    """Change the role of a member; it acts with their next request. Owners alone make and unmake owners, and one
    who may sign in stays."""
    before = await change_role(session, principal, project_id=project.id, user_id=user_id, role=body.role)
    await audit("member.put", f"user:{user_id}", project.id, before=_as(before), after=_as(body.role))
    return await _member(session, principal, project.id, user_id)


@router.delete(
    "/{slug}/members/{user_id}",
    status_code=204,
    responses=problems(403, 404, 409),
    openapi_extra=needs(Permission.MEMBER_MANAGE),
)
async def remove_member(
    user_id: UUID, project: NamedProject, principal: PrincipalDep, session: SessionDep, audit: AuditDep
) -> None:
    """Take a member out of a project: from their next request on it does not exist for them."""
    before = await take_out(session, principal, project_id=project.id, user_id=user_id)
    await audit("member.remove", f"user:{user_id}", project.id, before=_as(before))


def _as(role: Role | None) -> dict[str, Json] | None:
    return None if role is None else {"role": role}


async def _member(session: AsyncSession, principal: Principal, project_id: UUID, user_id: UUID) -> views.Member:
    members = await identity.members(session, principal, project_id=project_id)
    return next(views.Member.model_validate(one) for one in members if one.user_id == user_id)


@router.get("/{slug}/policy", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def get_policy(project: NamedProject, principal: PrincipalDep, session: SessionDep) -> catalogue.Policy:
    """Return the rules of a project."""
    return catalogue.Policy.model_validate(await project_rules(session, principal, project_id=project.id))


@router.put("/{slug}/policy", responses=problems(404), openapi_extra=needs(Permission.POLICY_PUBLISH))
async def put_policy(
    body: catalogue.NewPolicy, project: NamedProject, principal: PrincipalDep, session: SessionDep, audit: AuditDep
) -> catalogue.Policy:
    """Replace the rules of a project: the next version of its policy."""
    before = await project_rules(session, principal, project_id=project.id)
    changed = await change_policy(session, principal, project_id=project.id, rules=body.rules, takes=tool_arguments())
    await audit(
        "policy.change",
        f"project:{project.id}",
        project.id,
        before={"rules": list(before.rules)},
        after={"rules": list(changed.rules)},
        version=changed.version,
    )
    return catalogue.Policy.model_validate(changed)
