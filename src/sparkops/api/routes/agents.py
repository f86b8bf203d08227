"""Agents and their versions."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.access import needs
from sparkops.api.deps import AuditDep, Door, DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep, find_project
from sparkops.api.responses import problems
from sparkops.api.views import catalogue as views
from sparkops.core.errors import NotFound
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.agents import queries, service
from sparkops.domains.agents.models import Agent, AgentVersion
from sparkops.domains.projects.queries import slugs_of
from sparkops.domains.tools.queries import tool_names

router = APIRouter(prefix="/agents", tags=["agents"])


def _view(agent: Agent, latest: AgentVersion, project: str) -> views.Agent:
    version = views.AgentVersion.model_validate(latest)
    return views.Agent(id=agent.id, project=project, name=agent.name, created_at=agent.created_at, latest=version)


async def _known(session: AsyncSession, door: Door, principal: Principal, project_id: UUID) -> service.Known:
    models = door.settings.models_of(principal.places[project_id].slug)
    return service.Known(models=models.keys(), tools=await tool_names(session, project_id=project_id))


async def _agent(session: AsyncSession, principal: Principal, agent_id: UUID) -> tuple[Agent, AgentVersion]:
    found = await queries.agent(session, principal, agent_id=agent_id)
    if found is None:
        raise NotFound("There is no such agent here.")
    return found


@router.get("", responses=problems(404), openapi_extra=needs(Permission.AGENT_READ))
async def list_agents(
    project: QueriedProject, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.AgentList:
    """List the agents of a project, newest first."""
    rows = await queries.agents(session, principal, project_id=project.id, page=page)
    latest = {agent.id: version for agent, version in rows}
    found = page_of([agent for agent, _ in rows], page)
    items = [_view(agent, latest[agent.id], project.slug) for agent in found.items]
    return views.AgentList(items=items, next_cursor=found.next_cursor)


@router.post("", status_code=201, responses=problems(404, 409), openapi_extra=needs(Permission.AGENT_WRITE))
async def create_agent(
    body: views.NewAgent, principal: PrincipalDep, session: SessionDep, door: DoorDep, audit: AuditDep
) -> views.Agent:
    """Create an agent with its first version."""
    project = await find_project(session, principal, body.project)
    known = await _known(session, door, principal, project.id)
    agent, version = await service.create_agent(
        session, principal, project_id=project.id, name=body.name, definition=body.definition, known=known
    )
    await audit("agent.create", f"agent:{agent.id}", project.id, name=agent.name)
    return _view(agent, version, project.slug)


@router.get("/{agent_id}", responses=problems(404), openapi_extra=needs(Permission.AGENT_READ))
async def get_agent(agent_id: UUID, principal: PrincipalDep, session: SessionDep) -> views.Agent:
    """Return an agent with its latest version."""
    agent, latest = await _agent(session, principal, agent_id)
    slugs = await slugs_of(session, principal, project_ids=[agent.project_id])
    return _view(agent, latest, slugs[agent.project_id])


@router.get("/{agent_id}/versions", responses=problems(404), openapi_extra=needs(Permission.AGENT_READ))
async def list_agent_versions(
    agent_id: UUID, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.AgentVersionList:
    """List the versions of an agent, newest first."""
    await _agent(session, principal, agent_id)
    found = page_of(await queries.agent_versions(session, principal, agent_id=agent_id, page=page), page)
    items = [views.AgentVersion.model_validate(one) for one in found.items]
    return views.AgentVersionList(items=items, next_cursor=found.next_cursor)


@router.post(
    "/{agent_id}/versions",
    status_code=201,
    responses={200: {"model": views.AgentVersion}, **problems(404)},
    openapi_extra=needs(Permission.AGENT_WRITE),
)
async def create_agent_version(
    agent_id: UUID,
    body: views.NewAgentVersion,
    response: Response,
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    audit: AuditDep,
) -> views.AgentVersion:
    """Add a version; an unchanged definition answers 200 with the latest one."""
    agent, _ = await _agent(session, principal, agent_id)
    known = await _known(session, door, principal, agent.project_id)
    version, created = await service.add_version(
        session, principal, agent_id=agent_id, definition=body.definition, known=known
    )
    if created:
        said: dict[str, Any] = {"version": version.version, "digest": version.digest}
        await audit("agent.version", f"agent:{agent_id}", agent.project_id, **said)
    else:
        response.status_code = 200
    return views.AgentVersion.model_validate(version)
