"""Approvals: questions to people, and their answers."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from sparkops.api.compose import approval_views
from sparkops.api.deps import Door, DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep
from sparkops.api.responses import problems
from sparkops.api.views import approvals as views
from sparkops.core.errors import NotFound
from sparkops.core.paging import page_of
from sparkops.core.principal import Principal
from sparkops.domains.approvals import queries
from sparkops.domains.approvals.state import ApprovalStatus
from sparkops.engine.answer import answer_approval

router = APIRouter(prefix="/approvals", tags=["approvals"])

_STATES = {"open": queries.OPEN, "done": queries.DONE, None: frozenset(ApprovalStatus)}


@router.get("", responses=problems(404))
async def list_approvals(
    project: QueriedProject,
    principal: PrincipalDep,
    session: SessionDep,
    page: PageDep,
    state: Annotated[Literal["open", "done"] | None, Query(description="None: both.")] = None,
) -> views.ApprovalList:
    """List the questions of a project, newest first."""
    rows = await queries.approvals(session, principal, project_id=project.id, statuses=_STATES[state], page=page)
    found = page_of(rows, page)
    items = await approval_views(session, principal, found.items)
    return views.ApprovalList(items=items, next_cursor=found.next_cursor)


@router.get("/{approval_id}", responses=problems(404))
async def get_approval(approval_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Approval:
    """Return one question."""
    return await _read(door, principal, approval_id)


@router.post("/{approval_id}/approve", responses=problems(403, 404, 409))
async def approve(approval_id: UUID, body: views.Approve, principal: PrincipalDep, door: DoorDep) -> views.Approval:
    """Allow the one action that the question shows. Who started the run may not."""
    await answer_approval(door.engine, principal, approval_id, approve=True, comment=body.comment)
    return await _read(door, principal, approval_id)


@router.post("/{approval_id}/reject", responses=problems(403, 404, 409))
async def reject(approval_id: UUID, body: views.Reject, principal: PrincipalDep, door: DoorDep) -> views.Approval:
    """Refuse the action that the question shows. Who started the run may not."""
    await answer_approval(door.engine, principal, approval_id, approve=False, comment=body.reason)
    return await _read(door, principal, approval_id)


async def _read(door: Door, principal: Principal, approval_id: UUID) -> views.Approval:
    async with door.database.sessions.begin() as session:
        found = await queries.approval(session, principal, approval_id=approval_id)
        if found is None:
            raise NotFound("There is no such approval here.")
        return (await approval_views(session, principal, [found]))[0]
