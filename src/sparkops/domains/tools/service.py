"""Use cases of tools."""

from collections.abc import Iterable, Mapping
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.json import Json
from sparkops.domains.tools import queries


class Definition(Protocol):
    """What this domain needs to know of a tool that runs elsewhere."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Json]: ...
    @property
    def effect_class(self) -> str: ...
    @property
    def hash(self) -> str: ...


async def install_tools(session: AsyncSession, *, project_id: UUID, tools: Iterable[Definition]) -> None:
    """Give a project these tools, each pinned by the digest of its definition; repeating renews them."""
    for tool in tools:
        await queries.put_tool(
            session,
            project_id=project_id,
            name=tool.name,
            description=tool.description,
            parameters=dict(tool.parameters),
            effect_class=tool.effect_class,
            digest=tool.hash,
        )
