"""Statements on agents and their versions."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Select, and_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.agents.models import Agent, AgentVersion

WithLatest = tuple[Agent, AgentVersion]


def _with_latest(principal: Principal) -> Select[WithLatest]:
    return (
        select(Agent, AgentVersion)
        .join(AgentVersion, and_(AgentVersion.agent_id == Agent.id, AgentVersion.version == Agent.latest_version))
        .where(visible_to(principal, Agent.project_id))
    )


async def agents(
    session: AsyncSession, principal: Principal, *, project_id: UUID, page: PageRequest
) -> Sequence[WithLatest]:
    """Return the agents of a project with their latest versions, newest first, one more than the page holds."""
    statement = _with_latest(principal).where(Agent.project_id == project_id)
    if page.after is not None:
        statement = statement.where(Agent.id < page.after)
    rows = await session.execute(statement.order_by(Agent.id.desc()).limit(page.limit + 1))
    return rows.tuples().all()


async def agent(session: AsyncSession, principal: Principal, *, agent_id: UUID) -> WithLatest | None:
    """Return an agent of one of the principal's projects with its latest version, or None."""
    rows = await session.execute(_with_latest(principal).where(Agent.id == agent_id))
    return rows.tuples().one_or_none()


async def locked_agent(session: AsyncSession, principal: Principal, *, agent_id: UUID) -> Agent | None:
    """Return an agent, or None, and let nobody else add a version until the transaction ends.

    Its latest version is read by a statement of its own: a join would look at the version from before the wait.
    """
    found = await session.scalar(
        select(Agent).where(Agent.id == agent_id, visible_to(principal, Agent.project_id)).with_for_update()
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def latest_version(session: AsyncSession, agent: Agent) -> AgentVersion:
    """Return the newest version of an agent; there always is one."""
    statement = select(AgentVersion).where(
        AgentVersion.agent_id == agent.id, AgentVersion.version == agent.latest_version
    )
    return (await session.scalars(statement)).one()


async def agent_versions(
    session: AsyncSession, principal: Principal, *, agent_id: UUID, page: PageRequest
) -> Sequence[AgentVersion]:
    """Return the versions of an agent, newest first, one more than the page holds."""
    statement = select(AgentVersion).where(
        AgentVersion.agent_id == agent_id, visible_to(principal, AgentVersion.project_id)
    )
    if page.after is not None:
        statement = statement.where(AgentVersion.id < page.after)
    return (await session.scalars(statement.order_by(AgentVersion.id.desc()).limit(page.limit + 1))).all()


async def agent_names(session: AsyncSession, *, project_id: UUID) -> frozenset[str]:
    """Return what the workflows of a project may name."""
    return frozenset(await session.scalars(select(Agent.name).where(Agent.project_id == project_id)))


async def scripted_versions(session: AsyncSession, *, version_ids: Collection[UUID]) -> frozenset[UUID]:
    """Return which of these versions answer from a script instead of a model."""
    return frozenset(
        await session.scalars(
            # lint: allow unscoped-query -- the versions are those of runs that may be seen
            select(AgentVersion.id).where(
                AgentVersion.id.in_(version_ids), AgentVersion.definition["model"].astext == "scripted"
            )
        )
    )


async def add_agent(session: AsyncSession, *, project_id: UUID, name: str) -> Agent | None:
    """Insert an agent without versions; None if the project has one of this name."""
    agent = await session.scalar(
        insert(Agent)
        .values(id=new_id(), project_id=project_id, name=name, latest_version=0)
        .on_conflict_do_nothing(index_elements=[Agent.project_id, Agent.name])
        .returning(Agent)
    )
    return agent  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def add_version(
    session: AsyncSession, agent: Agent, *, definition: dict[str, Json], digest: str, created_by: UUID
) -> AgentVersion:
    """Insert the next version. The agent's row must be locked or new."""
    number = agent.latest_version + 1
    await session.execute(update(Agent).where(Agent.id == agent.id).values(latest_version=number))
    return (
        await session.scalars(
            insert(AgentVersion)
            .values(
                id=new_id(),
                project_id=agent.project_id,
                agent_id=agent.id,
                version=number,
                definition=definition,
                digest=digest,
                created_by=created_by,
            )
            .returning(AgentVersion)
        )
    ).one()
