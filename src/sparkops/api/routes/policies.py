"""Policies, their versions, and what is in force."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Annotated, Final, TypeVar
from uuid import UUID

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api import policy_views
from sparkops.api.access import NIL, check_in_body, needs, signed_in
from sparkops.api.deps import AuditDep, Door, DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep, find_project
from sparkops.api.responses import problems
from sparkops.api.views import policies as views
from sparkops.api.views.base import ProblemError, VersionNumber
from sparkops.api.views.catalogue import JsonObject
from sparkops.core.clock import utc_now
from sparkops.core.errors import NotFound
from sparkops.core.paging import DEFAULT_LIMIT, MAX_LIMIT, page_of
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.policies import queries, service
from sparkops.domains.policies.arguments import Takes, arguments_of
from sparkops.domains.policies.changes import Change, changes
from sparkops.domains.policies.decision_queries import stopped_by_policy
from sparkops.domains.policies.document import PolicyInvalid
from sparkops.domains.policies.format import RuleEffect, policy_schema
from sparkops.domains.policies.models import Policy, PolicyVersion
from sparkops.domains.projects.queries import judging
from sparkops.runtime.tools.registry import builtin_tools

T = TypeVar("T")
router = APIRouter(prefix="/policies", tags=["policies"])
schemas = APIRouter(prefix="/schemas", tags=["policies"])

DAY: Final = timedelta(days=1)
_one_at_a_time = anyio.CapacityLimiter(1)
"""Reading a large policy and running its tests takes seconds of processor time."""


async def aside(act: Callable[[], T]) -> T:
    """Read a policy in a thread, so that neither requests nor password checks wait for it."""
    return await anyio.to_thread.run_sync(act, limiter=_one_at_a_time)


@cache
def tool_arguments() -> Takes:
    """Return which arguments the tools take that this release brings along."""
    return {name: arguments_of(tool.parameters) for name, tool in builtin_tools().items()}


async def _default(door: Door, principal: Principal, slug: str | None) -> tuple[UUID | None, RuleEffect]:
    """Return the project that a text is for and its default; None: the installation, whose tests allow by default.

    In a transaction of its own: reading a text must not hold one open.
    """
    if slug is None:
        check_in_body(principal, NIL, "installation")
        return None, RuleEffect.ALLOW
    async with door.reads(principal) as session:
        project = await find_project(session, principal, slug)
        return project.id, RuleEffect(project.default_effect)


async def _default_of(door: Door, principal: Principal, policy: Policy) -> RuleEffect:
    if policy.project_id is None:
        return RuleEffect.ALLOW
    async with door.reads(principal) as session:
        return RuleEffect((await judging(session, project_id=policy.project_id)).default_effect)


async def find_policy(session: AsyncSession, principal: Principal, policy_id: UUID) -> Policy:
    """Return a policy that the principal may read.

    Raises:
        NotFound: there is none.
    """
    found = await queries.policy(session, principal, policy_id=policy_id)
    if found is None:
        raise NotFound("There is no such policy here.")
    return found


async def find_text(session: AsyncSession, principal: Principal, policy_id: UUID, version: int) -> PolicyVersion:
    """Return one text of a policy that the principal may read.

    Raises:
        NotFound: there is none.
    """
    found = await queries.text_of(session, principal, policy_id=policy_id, version=version)
    if found is None:
        raise NotFound("There is no such version here.")
    return found


async def _read(door: Door, principal: Principal, policy_id: UUID) -> Policy:
    async with door.reads(principal) as session:
        return await find_policy(session, principal, policy_id)


async def _stopped(session: AsyncSession, project_id: UUID | None) -> Mapping[tuple[UUID, str], int]:
    if project_id is None:
        return {}
    return await stopped_by_policy(session, project_id=project_id, now=utc_now(), window=DAY)


async def _detail(session: AsyncSession, principal: Principal, policy: Policy) -> views.PolicyDetail:
    latest = await find_text(session, principal, policy.id, policy.latest_version)
    return await policy_views.policy_detail(
        session, principal, policy, latest, await _stopped(session, policy.project_id)
    )


@router.get("", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def list_policies(
    project: QueriedProject, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.PolicyList:
    """List the policies that judge what happens in a project, its own and those of the installation, newest first."""
    found = page_of(await queries.policies(session, principal, project_id=project.id, page=page), page)
    stopped = await _stopped(session, project.id)
    items = await policy_views.policy_summaries(session, principal, found.items, stopped)
    return views.PolicyList(items=items, next_cursor=found.next_cursor)


@router.post("", status_code=201, responses=problems(403, 404, 409), openapi_extra=needs(Permission.POLICY_WRITE))
async def create_policy(
    body: views.NewPolicyText, principal: PrincipalDep, session: SessionDep, door: DoorDep, audit: AuditDep
) -> views.SavedPolicy:
    """Save a new policy as its first version, and run its tests. Nothing is judged by it before it is published."""
    project_id, default = await _default(door, principal, body.project)
    checked = await aside(lambda: service.check(body.source, default, tool_arguments()))
    policy, version = await service.create_policy(
        session, principal, project_id=project_id, source=body.source, policy=checked.policy
    )
    await audit("policy.create", f"policy:{policy.id}", project_id, name=policy.name)
    return await _saved(session, principal, policy, version, checked)


async def _saved(
    session: AsyncSession, principal: Principal, policy: Policy, version: PolicyVersion, checked: service.Checked
) -> views.SavedPolicy:
    return views.SavedPolicy(
        policy=await _detail(session, principal, policy),
        version=await policy_views.policy_version(session, version),
        tests=policy_views.case_report(checked.report),
    )


@router.post("/validate", responses=problems(404), openapi_extra=needs(Permission.POLICY_WRITE))
async def validate_policy(body: views.NewPolicyText, principal: PrincipalDep, door: DoorDep) -> views.PolicyVerdict:
    """Say whether a text would be accepted, everything that is wrong with it, or what its tests say.

    Nothing is stored.
    """
    _, default = await _default(door, principal, body.project)
    try:
        checked = await aside(lambda: service.check(body.source, default, tool_arguments()))
    except PolicyInvalid as error:
        errors = [ProblemError.model_validate(one) for one in error.members["errors"]]
        return views.PolicyVerdict(valid=False, errors=errors, tests=None)
    return views.PolicyVerdict(valid=True, errors=[], tests=policy_views.case_report(checked.report))


@router.get("/{policy_id}", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def get_policy_document(policy_id: UUID, principal: PrincipalDep, session: SessionDep) -> views.PolicyDetail:
    """Return a policy with its latest version."""
    return await _detail(session, principal, await find_policy(session, principal, policy_id))


@router.get("/{policy_id}/versions", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def list_policy_versions(
    policy_id: UUID,
    principal: PrincipalDep,
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="`next_cursor` of the page before.")] = None,
) -> views.PolicyVersionList:
    """List the versions of a policy, newest first."""
    await find_policy(session, principal, policy_id)
    found = await queries.policy_versions(session, principal, policy_id=policy_id, before=cursor, limit=limit + 1)
    items = await policy_views.version_summaries(session, found[:limit])
    return views.PolicyVersionList(items=items, next_cursor=str(items[-1].version) if len(found) > limit else None)


@router.post(
    "/{policy_id}/versions",
    status_code=201,
    responses={200: {"model": views.SavedPolicy}, **problems(403, 404)},
    openapi_extra=needs(Permission.POLICY_WRITE),
)
async def create_policy_version(
    policy_id: UUID,
    body: views.NewPolicyVersion,
    response: Response,
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    audit: AuditDep,
) -> views.SavedPolicy:
    """Save the next version of a policy and run its tests; an unchanged text answers 200 with the latest one.

    What is in force stays in force.
    """
    policy = await _read(door, principal, policy_id)
    default = await _default_of(door, principal, policy)
    checked = await aside(lambda: service.check(body.source, default, tool_arguments()))
    version, created = await service.add_version(
        session, principal, policy_id=policy_id, source=body.source, policy=checked.policy
    )
    if created:
        await audit("policy.version", f"policy:{policy_id}", policy.project_id, version=version.version)
    else:
        response.status_code = 200
    changed = await find_policy(session, principal, policy_id)
    return await _saved(session, principal, changed, version, checked)


@router.get("/{policy_id}/versions/{version}", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def get_policy_version(
    policy_id: UUID, version: VersionNumber, principal: PrincipalDep, session: SessionDep
) -> views.PolicyVersion:
    """Return one version of a policy."""
    return await policy_views.policy_version(session, await find_text(session, principal, policy_id, version))


@router.get(
    "/{policy_id}/versions/{version}/changes", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ)
)
async def get_policy_changes(
    policy_id: UUID,
    version: VersionNumber,
    principal: PrincipalDep,
    session: SessionDep,
    since: Annotated[VersionNumber | None, Query(description="None: the version before.")] = None,
) -> views.PolicyChanges:
    """Return what a version says that another one did not, rule by rule."""
    base = since or max(version - 1, 1)
    after = await find_text(session, principal, policy_id, version)
    before = await find_text(session, principal, policy_id, base)
    found = changes(before.document, after.document)
    return views.PolicyChanges(
        since=base,
        version=version,
        whole=list(found.whole),
        rules=[_change(one) for one in found.rules],
        tests=[_change(one) for one in found.tests],
    )


def _change(one: Change) -> views.RuleChange:
    return views.RuleChange(rule=one.name, kind=one.kind, keys=list(one.keys))


@router.get("/{policy_id}/publications", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def list_publications(
    policy_id: UUID, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.PublicationList:
    """List who put which version of a policy in force, or withdrew it, and why, newest first."""
    await find_policy(session, principal, policy_id)
    found = page_of(await queries.publications(session, principal, policy_id=policy_id, page=page), page)
    items = await policy_views.publication_views(session, found.items)
    return views.PublicationList(items=items, next_cursor=found.next_cursor)


@router.post("/{policy_id}/publish", responses=problems(403, 404, 409), openapi_extra=needs(Permission.POLICY_PUBLISH))
async def publish_policy(
    policy_id: UUID,
    body: views.Publish,
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    audit: AuditDep,
) -> views.PolicyDetail:
    """Put a version in force, whose tests have to pass. Once this is answered, all is decided under it.

    What waits for a person is judged again, too, before it goes on.
    """
    policy = await _read(door, principal, policy_id)
    async with door.reads(principal) as reading:
        text = await find_text(reading, principal, policy_id, body.version)
    default = await _default_of(door, principal, policy)
    checked = await aside(lambda: service.check(text.source, default))
    service.refuse_failing(checked.report)
    changed = await service.publish(
        session,
        principal,
        policy_id=policy_id,
        version=body.version,
        note=body.note,
        backtest_id=body.backtest_id,
    )
    await audit(
        "policy.publish",
        f"policy:{policy_id}",
        policy.project_id,
        before={"version": policy.active_version},
        after={"version": body.version},
        note=body.note,
    )
    return await _detail(session, principal, changed)


@router.post("/{policy_id}/withdraw", responses=problems(403, 404), openapi_extra=needs(Permission.POLICY_PUBLISH))
async def withdraw_policy(
    policy_id: UUID, body: views.Withdraw, principal: PrincipalDep, session: SessionDep, audit: AuditDep
) -> views.PolicyDetail:
    """Let nothing be judged by a policy any more; its versions stay. Withdrawing it again changes nothing."""
    before = (await find_policy(session, principal, policy_id)).active_version
    changed = await service.withdraw(session, principal, policy_id=policy_id, note=body.note)
    await audit(
        "policy.withdraw",
        f"policy:{policy_id}",
        changed.project_id,
        before={"version": before},
        after={"version": None},
        note=body.note,
    )
    return await _detail(session, principal, changed)


@schemas.get("/policy", openapi_extra=signed_in())
async def get_policy_schema() -> JsonObject:
    """Return the JSON Schema of policies, for editors."""
    return policy_schema()


@schemas.get("/policy-facts", openapi_extra=signed_in())
async def get_policy_facts() -> views.PolicyFacts:
    """Return what the conditions of rules may ask for, for editors."""
    return policy_views.policy_facts()
