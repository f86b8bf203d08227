"""Workflows and their versions."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

import anyio
import anyio.to_thread
from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.access import needs, signed_in
from sparkops.api.compose import outline
from sparkops.api.deps import AuditDep, Door, DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep, find_project
from sparkops.api.responses import problems
from sparkops.api.views import catalogue as views
from sparkops.api.views.base import ProblemError, VersionNumber
from sparkops.api.views.control import Limits
from sparkops.core.errors import NotFound
from sparkops.core.json import Json
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.agents.queries import agent_names
from sparkops.domains.projects.models import Project
from sparkops.domains.projects.queries import slugs_of
from sparkops.domains.tools.queries import tool_parameters
from sparkops.domains.workflows import queries, service
from sparkops.domains.workflows.definition import workflow_schema
from sparkops.domains.workflows.models import Workflow, WorkflowVersion

T = TypeVar("T")
router = APIRouter(prefix="/workflows", tags=["workflows"])
schemas = APIRouter(prefix="/schemas", tags=["workflows"])


def _summary(workflow: Workflow, latest: WorkflowVersion, project: str) -> views.WorkflowSummary:
    return views.WorkflowSummary(
        id=workflow.id,
        project=project,
        name=workflow.name,
        description=latest.definition.get("description"),
        latest_version=latest.version,
        steps_total=len(latest.definition["steps"]),
        created_at=workflow.created_at,
        updated_at=latest.created_at,
        max_running_runs=workflow.max_running_runs,
    )


def _version(version: WorkflowVersion) -> views.WorkflowVersion:
    return views.WorkflowVersion(
        id=version.id,
        version=version.version,
        source=version.source,
        definition=version.definition,
        input_schema=version.definition.get("input"),
        steps=outline(version.definition),
        digest=version.digest,
        created_at=version.created_at,
    )


def _whole(workflow: Workflow, latest: WorkflowVersion, project: str) -> views.Workflow:
    return views.Workflow(**_summary(workflow, latest, project).model_dump(), latest=_version(latest))


_one_at_a_time = anyio.CapacityLimiter(1)
"""Reading a large definition takes seconds of processor time; ten at once would leave none for anybody else."""


async def _aside(read: Callable[[str, service.Known], T], source: str, known: service.Known) -> T:
    """Read a definition in a thread of its own, so that neither requests nor password checks wait for it."""
    return await anyio.to_thread.run_sync(read, source, known, limiter=_one_at_a_time)


async def _known(session: AsyncSession, door: Door, principal: Principal, project_id: UUID) -> service.Known:
    return service.Known(
        agents=await agent_names(session, project_id=project_id),
        tools=await tool_parameters(session, project_id=project_id),
        models=door.settings.models_of(principal.places[project_id].slug).keys(),
        workflows=await queries.workflow_names(session, project_id=project_id),
    )


async def _known_in(door: Door, principal: Principal, slug: str) -> tuple[Project, service.Known]:
    """Read what a new definition may name, in a transaction of its own: parsing must not hold one open."""
    async with door.reads(principal) as session:
        project = await find_project(session, principal, slug)
        return project, await _known(session, door, principal, project.id)


async def _workflow(session: AsyncSession, principal: Principal, workflow_id: UUID) -> tuple[Workflow, WorkflowVersion]:
    found = await queries.workflow(session, principal, workflow_id=workflow_id)
    if found is None:
        raise NotFound("There is no such workflow here.")
    return found


@router.get("", responses=problems(404), openapi_extra=needs(Permission.WORKFLOW_READ))
async def list_workflows(
    project: QueriedProject, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.WorkflowList:
    """List the workflows of a project, newest first."""
    rows = await queries.workflows(session, principal, project_id=project.id, page=page)
    latest = {workflow.id: version for workflow, version in rows}
    found = page_of([workflow for workflow, _ in rows], page)
    items = [_summary(workflow, latest[workflow.id], project.slug) for workflow in found.items]
    return views.WorkflowList(items=items, next_cursor=found.next_cursor)


@router.post("", status_code=201, responses=problems(404, 409), openapi_extra=needs(Permission.WORKFLOW_WRITE))
async def create_workflow(
    body: views.NewWorkflow, principal: PrincipalDep, session: SessionDep, door: DoorDep, audit: AuditDep
) -> views.Workflow:
    """Create a workflow with its first version; the name comes from the definition."""
    project, known = await _known_in(door, principal, body.project)
    definition = await _aside(service.parse, body.source, known)
    workflow, version = await service.create_workflow(
        session, principal, project_id=project.id, source=body.source, definition=definition
    )
    await audit("workflow.create", f"workflow:{workflow.id}", project.id, name=workflow.name)
    return _whole(workflow, version, project.slug)


@router.post("/validate", responses=problems(404), openapi_extra=needs(Permission.WORKFLOW_WRITE))
async def validate_workflow(body: views.NewWorkflow, principal: PrincipalDep, door: DoorDep) -> views.Verdict:
    """Say whether a definition would be accepted, and everything that is wrong with it. Nothing is stored."""
    _, known = await _known_in(door, principal, body.project)
    errors = await _aside(service.mistakes, body.source, known)
    return views.Verdict(valid=not errors, errors=[ProblemError.model_validate(one) for one in errors])


@router.get("/{workflow_id}", responses=problems(404), openapi_extra=needs(Permission.WORKFLOW_READ))
async def get_workflow(workflow_id: UUID, principal: PrincipalDep, session: SessionDep) -> views.Workflow:
    """Return a workflow with its latest version."""
    workflow, latest = await _workflow(session, principal, workflow_id)
    slugs = await slugs_of(session, principal, project_ids=[workflow.project_id])
    return _whole(workflow, latest, slugs[workflow.project_id])


@router.patch("/{workflow_id}", responses=problems(404), openapi_extra=needs(Permission.WORKFLOW_WRITE))
async def update_workflow(
    workflow_id: UUID, body: Limits, principal: PrincipalDep, session: SessionDep, audit: AuditDep
) -> views.Workflow:
    """Set how many runs of a workflow go on at once. Those that do go on; a raised limit moves the queue in seconds."""
    limit = body.max_running_runs
    workflow, latest = await _workflow(session, principal, workflow_id)
    before: dict[str, Json] = {"max_running_runs": workflow.max_running_runs}
    if not await queries.limit_runs(session, principal, workflow_id=workflow_id, max_running_runs=limit):
        raise NotFound("There is no such workflow here.")
    await session.refresh(workflow)
    after: dict[str, Json] = {"max_running_runs": limit}
    await audit("workflow.limits", f"workflow:{workflow_id}", workflow.project_id, before=before, after=after)
    slugs = await slugs_of(session, principal, project_ids=[workflow.project_id])
    return _whole(workflow, latest, slugs[workflow.project_id])


@router.get("/{workflow_id}/versions", responses=problems(404), openapi_extra=needs(Permission.WORKFLOW_READ))
async def list_workflow_versions(
    workflow_id: UUID, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.WorkflowVersionList:
    """List the versions of a workflow, newest first."""
    await _workflow(session, principal, workflow_id)
    found = page_of(await queries.workflow_versions(session, principal, workflow_id=workflow_id, page=page), page)
    items = [views.WorkflowVersionSummary.model_validate(one) for one in found.items]
    return views.WorkflowVersionList(items=items, next_cursor=found.next_cursor)


@router.get("/{workflow_id}/versions/{version}", responses=problems(404), openapi_extra=needs(Permission.WORKFLOW_READ))
async def get_workflow_version(
    workflow_id: UUID, version: VersionNumber, principal: PrincipalDep, session: SessionDep
) -> views.WorkflowVersion:
    """Return one version of a workflow."""
    found = await queries.workflow_version(session, principal, workflow_id=workflow_id, version=version)
    if found is None:
        raise NotFound("There is no such version here.")
    return _version(found)


@router.post(
    "/{workflow_id}/versions",
    status_code=201,
    responses={200: {"model": views.WorkflowVersion}, **problems(404)},
    openapi_extra=needs(Permission.WORKFLOW_WRITE),
)
async def create_workflow_version(
    workflow_id: UUID,
    body: views.NewWorkflowVersion,
    response: Response,
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    audit: AuditDep,
) -> views.WorkflowVersion:
    """Add a version; an unchanged text answers 200 with the latest one."""
    async with door.reads(principal) as reading:
        workflow, _ = await _workflow(reading, principal, workflow_id)
        known = await _known(reading, door, principal, workflow.project_id)
    definition = await _aside(service.parse, body.source, known)
    version, created = await service.add_version(
        session, principal, workflow_id=workflow_id, source=body.source, definition=definition
    )
    if created:
        await audit(
            "workflow.version",
            f"workflow:{workflow_id}",
            workflow.project_id,
            version=version.version,
            digest=version.digest,
        )
    else:
        response.status_code = 200
    return _version(version)


@schemas.get("/workflow", openapi_extra=signed_in())
async def get_workflow_schema() -> views.JsonObject:
    """Return the JSON Schema of workflow definitions, for editors."""
    return workflow_schema()
