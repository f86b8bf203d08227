"""Approvals: questions to people, and their answers."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, status
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.access import needs
from sparkops.api.compose import approval_views
from sparkops.api.deps import Door, DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep
from sparkops.api.preview import preview_of
from sparkops.api.responses import problems
from sparkops.api.views import approvals as views
from sparkops.api.views.base import Ref
from sparkops.core.errors import Invalid, NotFound
from sparkops.core.json import Json, digest
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.core.schemas import compile_schema, schema_errors
from sparkops.core.storable import storable
from sparkops.domains.approvals import queries
from sparkops.domains.approvals.models import Approval
from sparkops.domains.approvals.state import ApprovalStatus
from sparkops.domains.identity.queries import names_of
from sparkops.domains.tools.queries import tool_named
from sparkops.engine.answer import Edit, EditRefused, answer_approval, discuss, reassign

router = APIRouter(prefix="/approvals", tags=["approvals"])

_STATES = {"open": queries.OPEN, "done": queries.DONE, None: frozenset(ApprovalStatus)}
_NOWHERE = "There is no such approval here."


@router.get("", responses=problems(404), openapi_extra=needs(Permission.APPROVAL_READ))
async def list_approvals(
    project: QueriedProject,
    principal: PrincipalDep,
    session: SessionDep,
    door: DoorDep,
    page: PageDep,
    state: Annotated[Literal["open", "done"] | None, Query(description="None: both.")] = None,
) -> views.ApprovalList:
    """List the questions of a project, newest first."""
    rows = await queries.approvals(session, principal, project_id=project.id, statuses=_STATES[state], page=page)
    found = page_of(rows, page)
    items = await approval_views(session, principal, door.signer, found.items)
    return views.ApprovalList(items=items, next_cursor=found.next_cursor)


@router.get("/{approval_id}", responses=problems(404), openapi_extra=needs(Permission.APPROVAL_READ))
async def get_approval(approval_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Approval:
    """Return one question."""
    return await _read(door, principal, approval_id)


@router.get("/{approval_id}/link", responses=problems(404), openapi_extra=needs(Permission.APPROVAL_READ))
async def follow_approval_link(
    approval_id: UUID,
    s: Annotated[str, Query(max_length=100, description="The mark that the link carries.")],
    principal: PrincipalDep,
    door: DoorDep,
) -> views.Approval:
    """Return the question that a signed link leads to. A link that we did not make leads nowhere."""
    if not door.signer.is_marked(approval_id, s):
        raise NotFound(_NOWHERE)
    return await _read(door, principal, approval_id)


@router.get("/{approval_id}/preview", responses=problems(404), openapi_extra=needs(Permission.APPROVAL_READ))
async def preview_approval(approval_id: UUID, principal: PrincipalDep, session: SessionDep) -> views.Preview:
    """Return the request as it will go out if people agree, and what they need to decide. Nothing is executed."""
    return await preview_of(session, principal, await _find(session, principal, approval_id))


@router.post(
    "/{approval_id}/approve", responses=problems(403, 404, 409), openapi_extra=needs(Permission.APPROVAL_ANSWER)
)
async def approve(approval_id: UUID, body: views.Approve, principal: PrincipalDep, door: DoorDep) -> views.Approval:
    """Allow the one action that the question shows. Who started the run may not."""
    await answer_approval(
        door.engine, principal, approval_id, approve=True, comment=body.comment, shown=body.request_hash
    )
    return await _read(door, principal, approval_id)


@router.post(
    "/{approval_id}/edit", responses=problems(403, 404, 409, 413, 422), openapi_extra=needs(Permission.APPROVAL_ANSWER)
)
async def edit_and_approve(
    approval_id: UUID, body: views.EditAndApprove, principal: PrincipalDep, door: DoorDep
) -> views.Approval:
    """Allow a call of a tool with other arguments, where the rules allow that. They are judged again before it is sent.

    The request that was proposed stays on record; who agreed to it before has not agreed to this one.
    """
    async with door.reads(principal) as session:
        found = await _find(session, principal, approval_id)
        edit = await _edit(door, session, principal, found, body.arguments)
    await answer_approval(
        door.engine, principal, approval_id, approve=True, comment=body.comment, shown=body.request_hash, edit=edit
    )
    return await _read(door, principal, approval_id)


@router.post(
    "/{approval_id}/reject", responses=problems(403, 404, 409), openapi_extra=needs(Permission.APPROVAL_ANSWER)
)
async def reject(approval_id: UUID, body: views.Reject, principal: PrincipalDep, door: DoorDep) -> views.Approval:
    """Refuse the action that the question shows. Who started the run may not."""
    await answer_approval(door.engine, principal, approval_id, approve=False, comment=body.reason)
    return await _read(door, principal, approval_id)


@router.post(
    "/{approval_id}/reassign",
    responses=problems(403, 404, 409, 422),
    openapi_extra=needs(Permission.APPROVAL_ANSWER),
)
async def reassign_approval(
    approval_id: UUID, body: views.Reassign, principal: PrincipalDep, door: DoorDep
) -> views.Approval:
    """Let another person, or a role, answer in your place. What others may do does not change."""
    await reassign(door.engine, principal, approval_id, to=body.to, comment=body.comment)
    return await _read(door, principal, approval_id)


@router.get("/{approval_id}/messages", responses=problems(404), openapi_extra=needs(Permission.APPROVAL_READ))
async def list_approval_messages(approval_id: UUID, principal: PrincipalDep, session: SessionDep) -> views.MessageList:
    """List what was asked and told about a question, oldest first; at most 200 belong to one."""
    await _find(session, principal, approval_id)
    said = await queries.messages(session, principal, approval_id=approval_id)
    people = await names_of(session, user_ids={one.author_id for one in said})
    return views.MessageList(
        items=[
            views.Message(
                id=one.id,
                by=Ref(id=one.author_id, name=people.get(one.author_id, "somebody")),
                text=one.text,
                at=one.at,
            )
            for one in said
        ]
    )


@router.post(
    "/{approval_id}/messages",
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
    openapi_extra=needs(Permission.APPROVAL_DISCUSS),
)
async def write_approval_message(
    approval_id: UUID, body: views.NewMessage, principal: PrincipalDep, door: DoorDep
) -> views.Message:
    """Ask or tell something about an open question. Who started the run may too."""
    message_id = await discuss(door.engine, principal, approval_id, body.text)
    async with door.reads(principal) as session:
        said = await queries.messages(session, principal, approval_id=approval_id)
    written = next(one for one in said if one.id == message_id)
    by = Ref(id=principal.user_id, name=principal.name)
    return views.Message(id=written.id, by=by, text=written.text, at=written.at)


async def _edit(
    door: Door, session: AsyncSession, principal: Principal, approval: Approval, arguments: dict[str, Json]
) -> Edit:
    """Return these arguments as a request of the tool that was asked about.

    Raises:
        EditRefused: no tool was.
        Invalid: they do not fit the tool.
        ValueTooLarge, Unavailable: the request cannot be kept.
    """
    name = approval.name if approval.tool_hash is not None else None
    tool = await tool_named(session, principal, project_id=approval.project_id, name=name) if name else None
    if tool is None:
        raise EditRefused("Only the arguments of a tool can be changed.")
    wanted = storable(arguments)
    wrong = schema_errors(compile_schema(tool.parameters), wanted)
    if wrong:
        raise Invalid(
            f"The arguments do not fit {tool.name}: {'; '.join(wrong)}",
            errors=[{"path": "arguments", "message": sentence} for sentence in wrong],
        )
    request: dict[str, Json] = {"tool": tool.name, "arguments": wanted}
    stored = await door.engine.payloads.store(approval.project_id, request)
    return Edit(stored.text, digest(request), tool.digest)


async def _read(door: Door, principal: Principal, approval_id: UUID) -> views.Approval:
    async with door.reads(principal) as session:
        found = await _find(session, principal, approval_id)
        return (await approval_views(session, principal, door.signer, [found]))[0]


async def _find(session: AsyncSession, principal: Principal, approval_id: UUID) -> Approval:
    found = await queries.approval(session, principal, approval_id=approval_id)
    if found is None:
        raise NotFound(_NOWHERE)
    return found
