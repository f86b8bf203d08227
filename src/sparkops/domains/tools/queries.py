"""Statements on tools."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.tools.models import Tool


async def tools(session: AsyncSession, principal: Principal, *, project_id: UUID, page: PageRequest) -> Sequence[Tool]:
    """Return the tools of a project, newest first, one more than the page holds."""
    statement = select(Tool).where(Tool.project_id == project_id, visible_to(principal, Tool.project_id))
    if page.after is not None:
        statement = statement.where(Tool.id < page.after)
    return (await session.scalars(statement.order_by(Tool.id.desc()).limit(page.limit + 1))).all()


async def tool(session: AsyncSession, principal: Principal, *, tool_id: UUID) -> Tool | None:
    """Return a tool of one of the principal's projects, or None."""
    found = await session.scalar(select(Tool).where(Tool.id == tool_id, visible_to(principal, Tool.project_id)))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def tool_named(session: AsyncSession, principal: Principal, *, project_id: UUID, name: str) -> Tool | None:
    """Return the tool of a project under this name, or None."""
    found = await session.scalar(
        select(Tool).where(Tool.project_id == project_id, Tool.name == name, visible_to(principal, Tool.project_id))
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def tool_names(session: AsyncSession, *, project_id: UUID) -> frozenset[str]:
    """Return what the definitions of a project may name."""
    return frozenset(await session.scalars(select(Tool.name).where(Tool.project_id == project_id)))


async def tool_parameters(session: AsyncSession, *, project_id: UUID) -> Mapping[str, dict[str, Json]]:
    """Return the JSON Schemas of the arguments of a project's tools, by name."""
    rows = await session.execute(select(Tool.name, Tool.parameters).where(Tool.project_id == project_id))
    return dict(rows.tuples().all())


async def put_tool(
    session: AsyncSession,
    *,
    project_id: UUID,
    name: str,
    description: str,
    parameters: dict[str, Json],
    effect_class: str,
    digest: str,
) -> None:
    """Give a project a tool under this name, or renew its definition."""
    values = {"description": description, "parameters": parameters, "effect_class": effect_class, "digest": digest}
    await session.execute(
        insert(Tool)
        .values(id=new_id(), project_id=project_id, name=name, settings={}, **values)
        .on_conflict_do_update(index_elements=[Tool.project_id, Tool.name], set_=values)
    )
