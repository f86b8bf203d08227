"""The outbox, for administrators: what could not be delivered, and sending it again."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from sparkops.api.access import needs
from sparkops.api.deps import DoorDep, PageDep, PrincipalDep, SessionDep
from sparkops.api.responses import problems
from sparkops.api.views import outbox as views
from sparkops.core.errors import NotFound
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.domains.bus import queries
from sparkops.engine.outbox import redrive

router = APIRouter(prefix="/outbox", tags=["outbox"])


@router.get("", openapi_extra=needs(Permission.INSTALLATION_MANAGE))
async def list_outbox(
    session: SessionDep,
    page: PageDep,
    status: Annotated[Literal["dead"], Query(description="Which entries: those that were given up.")] = "dead",
) -> views.OutboxList:
    """List the events that used all their tries, newest first."""
    found = page_of(await queries.dead_entries(session, page=page), page)
    items = [views.OutboxEntry.model_validate(one) for one in found.items]
    return views.OutboxList(items=items, next_cursor=found.next_cursor)


@router.post("/{entry_id}/redrive", responses=problems(404, 409), openapi_extra=needs(Permission.INSTALLATION_MANAGE))
async def redrive_outbox_entry(entry_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.OutboxEntry:
    """Send an event again that was given up, with all its tries."""
    await redrive(door.engine, principal, entry_id)
    async with door.reads(principal) as session:
        found = await queries.entry(session, entry_id=entry_id)
        if found is None:
            raise NotFound("There is no such outbox entry here.")
        return views.OutboxEntry.model_validate(found)
