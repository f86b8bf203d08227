"""Events from outside: written down once, and found by every step that waits for them.

An event counts for a step if it was received since the step's run was created and before its wait is over. A step
looks at what has come before it waits; an event that comes later looks for the steps that wait. Both take the lock of
the event's name, so that one of the two always finds the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sparkops.core.errors import Conflict, NotFound
from sparkops.core.failpoints import failpoint
from sparkops.core.ids import new_id
from sparkops.core.json import Json, digest
from sparkops.core.principal import Principal
from sparkops.core.storable import storable
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine, call

PAGE = 100
"""Events that an attempt looks at in one go."""

_UNSEEN = """
SELECT e.event_id, e.name, e.data, e.received_at FROM received_events e
  JOIN steps s ON s.id = $1
  JOIN runs r ON r.id = s.run_id
 WHERE e.project_id = s.project_id AND e.name = $2
   AND e.received_at >= r.created_at AND e.received_at <= s.started_at + $3::interval
   AND ($4::timestamptz IS NULL OR e.received_at > $4)
 ORDER BY e.received_at LIMIT $5
"""


class EventMismatch(Conflict):
    code, title = "event-mismatch", "The event's id was used for another event"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What a sender says: `event_id` is theirs, and the same one means the same event."""

    event_id: str
    name: str
    data: Json


@dataclass(frozen=True, slots=True)
class Receipt:
    """`created` is False when the event had been received before: `id` and `received_at` are those of the first."""

    id: UUID
    received_at: datetime
    created: bool


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as steps see it."""

    event_id: str
    name: str
    data: Json
    received_at: datetime

    def to_json(self) -> dict[str, Json]:
        """Return what a step gives as its output."""
        received = self.received_at.isoformat().replace("+00:00", "Z")
        return {"id": self.event_id, "name": self.name, "data": self.data, "received_at": received}


async def receive_event(engine: Engine, principal: Principal, project_id: UUID, event: NewEvent) -> Receipt:
    """Write an event down; when this returns it is committed, and no step that waits for it can miss it.

    Raises:
        NotFound: no such project of this person.
        EventMismatch: the id was used for another name or other data.
    """
    data = storable(event.data)
    answer = await call(
        engine.database.pool,
        "receive_event",
        {
            "id": str(new_id()),
            "project_id": str(project_id),
            "event_id": event.event_id,
            "name": event.name,
            "data": data,
            "data_hash": digest(data),
            "created_by": str(principal.user_id),
        },
    )
    match answer["result"]:
        case "not_found":
            raise NotFound("There is no such project here.")
        case "other":
            raise EventMismatch("This id belongs to an event with another name or other data; use a fresh id.")
    failpoint("after_event_received")
    received_at = datetime.fromisoformat(answer["received_at"])
    return Receipt(UUID(answer["id"]), received_at, answer["result"] == "created")


async def unseen_events(
    engine: Engine, claim: Claim, name: str, *, after: datetime | None, within: timedelta
) -> Sequence[ReceivedEvent]:
    """Return the next page of events of this name that count for a step, in the order in which they came.

    `after`: when the last one of the page before was received; None for the first page.
    """
    rows = await engine.database.pool.fetch(_UNSEEN, claim.lease.step_id, name, within, after, PAGE)
    return [ReceivedEvent(row["event_id"], row["name"], row["data"], row["received_at"]) for row in rows]
