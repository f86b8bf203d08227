"""Events from outside: written down once, and found by every step that waits for them.

An event counts for a step if it was received since the step's run was created and before its wait is over. A step
looks at what has come before it waits; an event that comes later looks for the steps that wait. Both take the lock of
the event's name, so that one of the two always finds the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import Conflict, NotFound, Unavailable
from sparkops.core.expressions import ExpressionError
from sparkops.core.failpoints import failpoint
from sparkops.core.ids import new_id
from sparkops.core.json import Json, digest
from sparkops.core.payloads import ValueLost, ValueTooLarge
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.core.storable import storable
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine, call
from sparkops.engine.graph import Node
from sparkops.engine.params import Context, EventView, FrameView, StepView, evaluate_filter
from sparkops.engine.wake import wake_steps

log = structlog.get_logger()

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
WAITING_PAGE = 100
"""Waiting steps whose filters are evaluated between two looks at the database, some milliseconds."""
UNMATCHED_BATCH = 20

_EVENT = "SELECT event_id, name, data, received_at FROM received_events WHERE id = $1"
_MATCHED = "UPDATE received_events SET matched_at = clock_timestamp() WHERE id = $1 AND matched_at IS NULL"
_UNMATCHED = """
SELECT id FROM received_events WHERE matched_at IS NULL AND received_at < clock_timestamp() - interval '1 second'
 ORDER BY received_at LIMIT $1
"""
_FIRST = UUID(int=0)


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
    if project_id not in principal.reach(Permission.EVENT_SEND):
        raise NotFound("There is no such project here.")
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
    receipt = Receipt(UUID(answer["id"]), datetime.fromisoformat(answer["received_at"]), answer["result"] == "created")
    if receipt.created:
        await _match_at_once(engine, receipt.id)
    return receipt


async def _match_at_once(engine: Engine, row_id: UUID) -> None:
    """Wake the first steps that wait for the event. It is received, whatever becomes of this: the sweep matches it."""
    try:
        await match_event(engine, row_id, pages=1)
    except (*LOST_CONNECTION, Unavailable) as error:
        log.warning("event.unmatched", id=str(row_id), error=str(error) or type(error).__name__)


async def match_event(engine: Engine, row_id: UUID, *, pages: int | None = None) -> int:
    """Wake the steps that wait for a received event and whose filters it fits. Returns how many became ready.

    `pages`: how many to look at, None for all. Once all were looked at the event counts as matched.

    Raises:
        Unavailable: a filter reads a large value and the object storage does not answer; what was woken stays woken.
    """
    row = await engine.database.pool.fetchrow(_EVENT, row_id)
    event = ReceivedEvent(**dict(row))
    after, looked, woken = _FIRST, 0, 0
    while pages is None or looked < pages:
        waiting = await engine.database.pool.fetchval(
            "SELECT engine.waiting_for_event($1, $2, $3)", row_id, after, WAITING_PAGE
        )
        fitting = [UUID(step["step_id"]) for step in waiting if await _waits_for(engine, step, event)]
        woken += await wake_steps(engine, fitting, "event")
        if len(waiting) < WAITING_PAGE:
            await engine.database.pool.execute(_MATCHED, row_id)
            return woken
        after, looked = UUID(waiting[-1]["step_id"]), looked + 1
    return woken


async def match_unmatched(engine: Engine) -> int:
    """Match events whose receiver died before it did, or had more to match than a request may. Returns how many
    steps became ready."""
    rows = await engine.database.pool.fetch(_UNMATCHED, UNMATCHED_BATCH)
    woken = 0
    for row in rows:
        try:
            woken += await match_event(engine, row["id"])
        except Unavailable as error:  # the rest of the sweep does not need the object storage
            log.warning("event.unmatched", id=str(row["id"]), error=error.detail)
    return woken


async def _waits_for(engine: Engine, step: Mapping[str, Any], event: ReceivedEvent) -> bool:
    graph = await engine.graphs.get(engine.database.pool, UUID(step["workflow_version_id"]))
    views = {key: StepView(view["output"], view["status"]) for key, view in step["steps"].items()}
    frame = None if step["frame"] is None else FrameView(**step["frame"])
    node, desk = graph.find(step["key"]), engine.payloads.desk(UUID(step["project_id"]))
    context = Context(step["input"] or {}, views, step["run_id"], frame, load=desk.load)

    async def act() -> bool:
        return fits(node, context, event)

    return await desk.decide(act)


def fits(node: Node, context: Context, event: ReceivedEvent) -> bool:
    """Return whether a wait counts an event; one on which its filter cannot be evaluated is somebody else's.

    Raises:
        NotAtHand: as `Context.load` does.
    """
    try:
        return evaluate_filter(node, replace(context, event=EventView(event.event_id, event.name, event.data)))
    except (ExpressionError, ValueLost, ValueTooLarge) as error:
        log.info("event.unfit", event_id=event.event_id, step=node.key, reason=error.detail)
        return False


async def unseen_events(
    engine: Engine, claim: Claim, name: str, *, after: datetime | None, within: timedelta
) -> Sequence[ReceivedEvent]:
    """Return the next page of events of this name that count for a step, in the order in which they came.

    `after`: when the last one of the page before was received; None for the first page.
    """
    rows = await engine.database.pool.fetch(_UNSEEN, claim.lease.step_id, name, within, after, PAGE)
    return [ReceivedEvent(row["event_id"], row["name"], row["data"], row["received_at"]) for row in rows]
