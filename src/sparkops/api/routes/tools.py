"""Tools of a project."""

from uuid import UUID

from fastapi import APIRouter

from sparkops.api.access import needs
from sparkops.api.deps import PageDep, PrincipalDep, QueriedProject, SessionDep
from sparkops.api.responses import problems
from sparkops.api.views import catalogue as views
from sparkops.core.errors import NotFound
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.projects.queries import slugs_of
from sparkops.domains.tools import queries
from sparkops.domains.tools.models import Tool

router = APIRouter(prefix="/tools", tags=["tools"])


def _view(tool: Tool, project: str) -> views.Tool:
    return views.Tool(
        id=tool.id,
        project=project,
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        effect_class=EffectClass(tool.effect_class),
        digest=tool.digest,
        created_at=tool.created_at,
    )


@router.get("", responses=problems(404), openapi_extra=needs(Permission.TOOL_READ))
async def list_tools(
    project: QueriedProject, principal: PrincipalDep, session: SessionDep, page: PageDep
) -> views.ToolList:
    """List the tools of a project, newest first."""
    found = page_of(await queries.tools(session, principal, project_id=project.id, page=page), page)
    return views.ToolList(items=[_view(one, project.slug) for one in found.items], next_cursor=found.next_cursor)


@router.get("/{tool_id}", responses=problems(404), openapi_extra=needs(Permission.TOOL_READ))
async def get_tool(tool_id: UUID, principal: PrincipalDep, session: SessionDep) -> views.Tool:
    """Return one tool."""
    found = await queries.tool(session, principal, tool_id=tool_id)
    if found is None:
        raise NotFound("There is no such tool here.")
    slugs = await slugs_of(session, principal, project_ids=[found.project_id])
    return _view(found, slugs[found.project_id])
