"""Events from outside, for steps that wait."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, JsonValue

from sparkops.api.views.base import Body, Kept, Slug, View

EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,99}$", examples=["payment.received"])]


class NewEvent(Body):
    """What has happened. The same `id` means the same event, however often it is sent."""

    project: Slug
    id: Annotated[str, Field(min_length=1, max_length=200)]
    name: EventName
    data: Kept = None

    model_config = Body.model_config | {"str_strip_whitespace": False}


class ReceivedEvent(View):
    """An event as it was received. `id` is the sender's."""

    received_id: UUID
    id: str
    name: str
    data: JsonValue
    received_at: datetime


class ReceivedEventList(View):
    items: list[ReceivedEvent]
    next_cursor: str | None
