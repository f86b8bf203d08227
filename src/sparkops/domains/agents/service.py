"""Use cases of agents."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict, NotFound
from sparkops.core.json import Json, digest
from sparkops.core.principal import Principal
from sparkops.domains.agents import queries
from sparkops.domains.agents.definition import parse_agent
from sparkops.domains.agents.models import Agent, AgentVersion


@dataclass(frozen=True, slots=True)
class Known:
    """What a definition may name: models of the settings and tools of the project."""

    models: Collection[str]
    tools: Collection[str]


async def create_agent(
    session: AsyncSession,
    principal: Principal,
    *,
    project_id: UUID,
    name: str,
    definition: dict[str, Json],
    known: Known,
) -> tuple[Agent, AgentVersion]:
    """Add an agent with its first version. The caller has checked the project.

    Raises:
        Invalid: the definition is not valid.
        Conflict: the project has an agent of this name.
    """
    parse_agent(definition, models=known.models, tools=known.tools)
    agent = await queries.add_agent(session, project_id=project_id, name=name)
    if agent is None:
        raise Conflict(f"There is an agent called {name} already; add a version to it or choose another name.")
    version = await queries.add_version(
        session, agent, definition=definition, digest=digest(definition), created_by=principal.user_id
    )
    return agent, version


async def add_version(
    session: AsyncSession, principal: Principal, *, agent_id: UUID, definition: dict[str, Json], known: Known
) -> tuple[AgentVersion, bool]:
    """Return the version with this definition and whether it is new: the latest is kept if nothing changed.

    Raises:
        NotFound: there is no such agent in a project of the principal.
        Invalid: the definition is not valid.
    """
    parse_agent(definition, models=known.models, tools=known.tools)
    agent = await queries.locked_agent(session, principal, agent_id=agent_id)
    if agent is None:
        raise NotFound("There is no such agent here.")
    latest = await queries.latest_version(session, agent)
    fresh = digest(definition)
    if latest.digest == fresh:
        return latest, False
    version = await queries.add_version(
        session, agent, definition=definition, digest=fresh, created_by=principal.user_id
    )
    return version, True
