"""Live updates: tickets, and the WebSocket that they open."""

from typing import Annotated

from fastapi import APIRouter, Query, WebSocket

from sparkops.api.access import people_only
from sparkops.api.deps import DoorDep, PrincipalDep, check_origin, door_of
from sparkops.api.responses import problems
from sparkops.api.subscriber import serve
from sparkops.api.tickets import LIFETIME_SECONDS, issue, redeem
from sparkops.api.views.identity import Ticket
from sparkops.core.errors import SparkOpsError

router = APIRouter(prefix="/live", tags=["live"])
sockets = APIRouter()

POLICY_VIOLATION = 1008


@router.post("/tickets", status_code=201, responses=problems(503), openapi_extra=people_only())
async def create_live_ticket(principal: PrincipalDep, door: DoorDep) -> Ticket:
    """Return a ticket that opens one WebSocket at `/api/v1/ws?ticket=`."""
    return Ticket(ticket=await issue(door.redis, principal), expires_in=LIFETIME_SECONDS)


@sockets.websocket("/ws")
async def live_socket(socket: WebSocket, ticket: Annotated[str, Query(max_length=200)] = "") -> None:
    """Serve one subscriber until it goes; a wrong ticket or a foreign page is turned away before the handshake."""
    door = door_of(socket)
    try:
        check_origin(socket.headers.get("origin"), socket.headers.get("host"), door.settings)
        principal = await redeem(door.redis, ticket)
    except SparkOpsError:
        await socket.close(POLICY_VIOLATION)
        return
    await serve(socket, door.hub, principal)
