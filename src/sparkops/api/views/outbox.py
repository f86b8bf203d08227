"""Events on their way to subscribers."""

from datetime import datetime
from uuid import UUID

from sparkops.api.views.base import View
from sparkops.api.views.runs import Failure
from sparkops.domains.bus.state import OutboxStatus


class OutboxEntry(View):
    """One event for one subscription, without what it says. `attempt` counts the tries so far."""

    id: UUID
    subscription: str
    project_id: UUID
    run_id: UUID
    seq: int
    kind: str
    status: OutboxStatus
    attempt: int
    error: Failure | None
    """Why the last try failed."""
    created_at: datetime
    next_at: datetime
    ended_at: datetime | None


class OutboxList(View):
    items: list[OutboxEntry]
    next_cursor: str | None
