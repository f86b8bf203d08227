"""Live updates: tickets, and the WebSocket that they open."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, WebSocket

from sparkops.api.access import check_second_factor, people_only
from sparkops.api.deps import Door, DoorDep, PrincipalDep, check_origin, door_of
from sparkops.api.responses import problems
from sparkops.api.subscriber import serve
from sparkops.api.tickets import LIFETIME_SECONDS, Bearer, issue, redeem
from sparkops.api.views.identity import Ticket
from sparkops.core.errors import SparkOpsError, Unauthenticated
from sparkops.core.principal import Principal
from sparkops.domains.identity.queries import principal_of

router = APIRouter(prefix="/live", tags=["live"])
sockets = APIRouter()

POLICY_VIOLATION = 1008


@router.post("/tickets", status_code=201, responses=problems(503), openapi_extra=people_only())
async def create_live_ticket(
    principal: PrincipalDep, door: DoorDep, origin: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Ticket:
    """Return a ticket that opens one WebSocket at `/api/v1/ws?ticket=`, from a page of the origin that asks for it."""
    return Ticket(ticket=await issue(door.redis, principal, origin=origin), expires_in=LIFETIME_SECONDS)


@sockets.websocket("/ws")
async def live_socket(socket: WebSocket, ticket: Annotated[str, Query(max_length=200)] = "") -> None:
    """Serve one subscriber until it goes; a wrong ticket or a foreign page is turned away before the handshake."""
    door = door_of(socket)
    try:
        origin = socket.headers.get("origin")
        check_origin(origin, socket.headers.get("host"), door.settings)
        bearer = await redeem(door.redis, ticket, origin=origin)
        principal = await _principal(door, bearer)
        check_second_factor(door.settings, principal)
    except SparkOpsError:
        await socket.close(POLICY_VIOLATION)
        return
    await serve(socket, door.hub, principal)


async def _principal(door: Door, bearer: Bearer) -> Principal:
    found = await principal_of(door.database.pool, session_id=bearer.session_id, user_id=bearer.user_id)
    if found is None:
        raise Unauthenticated("The session has ended; sign in again.")
    return found
