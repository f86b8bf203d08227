"""Halts: pausing a project or a workflow, and the kill switch."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from sparkops.api.access import NIL, allowed, check_in_body, needs
from sparkops.api.compose import halt_views
from sparkops.api.deps import Door, DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep
from sparkops.api.responses import problems
from sparkops.api.views import control as views
from sparkops.core.errors import NotFound
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.control import queries
from sparkops.domains.workflows.queries import project_of_workflow
from sparkops.engine import halts

router = APIRouter(prefix="/halts", tags=["halts"])


@router.get("", responses=problems(404), openapi_extra=needs(Permission.HALT_READ))
async def list_halts(
    project: QueriedProject,
    principal: PrincipalDep,
    session: SessionDep,
    page: PageDep,
    in_force: Annotated[bool | None, Query(description="None: also those that were released.")] = None,
) -> views.HaltList:
    """List the halts of a project and of the installation, newest first."""
    rows = await queries.halts(session, principal, project_id=project.id, in_force=in_force, page=page)
    found = page_of(rows, page)
    return views.HaltList(items=await halt_views(session, principal, found.items), next_cursor=found.next_cursor)


@router.post(
    "",
    status_code=201,
    responses={200: {"model": views.Halt}, **problems(403, 404, 503)},
    openapi_extra=needs(Permission.HALT_ORDER),
)
async def order_halt(body: views.NewHalt, response: Response, principal: PrincipalDep, door: DoorDep) -> views.Halt:
    """Halt a workflow, a project, or (administrators) the installation; where it is halted so already, answer 200.

    Once a `stop` is answered no call is prepared there any more. 503: it is not in force, order it again.
    """
    scope_id = body.workflow_id
    if body.project is not None:
        scope_id = allowed(principal, body.project).id
    order = halts.HaltOrder(body.kind, body.scope, scope_id, body.reason)
    halts.check_order(order)
    if order.scope is halts.Scope.WORKFLOW and body.workflow_id is not None:
        async with door.reads(principal) as session:
            project_id = await project_of_workflow(session, principal, workflow_id=body.workflow_id)
        check_in_body(principal, project_id, "workflow")
    if order.scope is halts.Scope.INSTALLATION:
        check_in_body(principal, NIL, "installation")
    ordered = await halts.order_halt(door.engine, principal, order)
    if not ordered.created:
        response.status_code = 200
    return await _read(door, principal, ordered.halt_id)


@router.post("/{halt_id}/release", responses=problems(403, 404, 409), openapi_extra=needs(Permission.HALT_ORDER))
async def release_halt(halt_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Halt:
    """End a halt: what it held back goes on. Releasing it again changes nothing."""
    await halts.release_halt(door.engine, principal, halt_id)
    return await _read(door, principal, halt_id)


async def _read(door: Door, principal: Principal, halt_id: UUID) -> views.Halt:
    async with door.reads(principal) as session:
        found = await queries.halt(session, principal, halt_id=halt_id)
        if found is None:
            raise NotFound("There is no such halt here.")
        return (await halt_views(session, principal, [found]))[0]
