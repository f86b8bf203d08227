"""Events from outside: sending one, and looking at what was sent."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from sparkops.api.access import needs
from sparkops.api.deps import DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep, find_project
from sparkops.api.responses import problems
from sparkops.api.views import events as views
from sparkops.core.errors import TooLarge
from sparkops.core.json import dumps
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.domains.bus import received as queries
from sparkops.domains.bus.models import ReceivedEvent
from sparkops.engine.events import NewEvent, receive_event

router = APIRouter(prefix="/events", tags=["events"])

MAX_DATA_BYTES = 256 * 1024
"""Every step that waits for the event reads it."""


@router.post(
    "",
    status_code=201,
    responses={200: {"model": views.ReceivedEvent}, **problems(404, 409, 413)},
    openapi_extra=needs(Permission.EVENT_SEND),
)
async def send_event(
    body: views.NewEvent, response: Response, principal: PrincipalDep, door: DoorDep
) -> views.ReceivedEvent:
    """Tell waiting steps that something has happened. The same event again answers 200 with the first one."""
    size = len(dumps(body.data))
    if size > MAX_DATA_BYTES:
        raise TooLarge(f"The data of an event may take {MAX_DATA_BYTES:,} bytes, not {size:,}.")
    async with door.reads(principal) as session:
        project = await find_project(session, principal, body.project)
    receipt = await receive_event(door.engine, principal, project.id, NewEvent(body.id, body.name, body.data))
    if not receipt.created:
        response.status_code = 200
    return views.ReceivedEvent(
        received_id=receipt.id, id=body.id, name=body.name, data=body.data, received_at=receipt.received_at
    )


@router.get("", responses=problems(404), openapi_extra=needs(Permission.EVENT_READ))
async def list_received_events(
    project: QueriedProject,
    principal: PrincipalDep,
    session: SessionDep,
    page: PageDep,
    name: Annotated[str | None, Query(max_length=100, description="Only events of this name.")] = None,
) -> views.ReceivedEventList:
    """List the events that a project has received, newest first."""
    rows = await queries.received_events(session, principal, project_id=project.id, name=name, page=page)
    found = page_of(rows, page)
    return views.ReceivedEventList(items=[_view(row) for row in found.items], next_cursor=found.next_cursor)


def _view(row: ReceivedEvent) -> views.ReceivedEvent:
    return views.ReceivedEvent(
        received_id=row.id, id=row.event_id, name=row.name, data=row.data, received_at=row.received_at
    )
