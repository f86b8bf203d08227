"""Statements that read maps, loops and what lies in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.runs.models import Event, Frame

VALUE_CHARS = 300
"""So much of an item's JSON text is read for a list."""


@dataclass(frozen=True, slots=True)
class FrameRow:
    """A frame as lists show it: `value` is the beginning of its JSON text."""

    no: int
    status: str
    value: str | None
    error: Mapping[str, Any] | None
    finished_at: datetime | None


async def frames(
    session: AsyncSession, principal: Principal, *, step_id: UUID, status: str | None, after: int | None, limit: int
) -> Sequence[FrameRow]:
    """Return up to `limit` frames of a map or loop behind number `after`, in order. `status` None: of any."""
    value = func.left(Frame.value.cast(Text), VALUE_CHARS)
    statement = select(Frame.frame_no, Frame.status, value, Frame.error, Frame.finished_at).where(
        Frame.parent_id == step_id, visible_to(principal, Frame.project_id)
    )
    if status is not None:
        statement = statement.where(Frame.status == status)
    if after is not None:
        statement = statement.where(Frame.frame_no > after)
    rows = await session.execute(statement.order_by(Frame.frame_no).limit(limit))
    return [FrameRow(*row) for row in rows.tuples()]


async def skip_reason(session: AsyncSession, *, run_id: UUID, step_id: UUID) -> str | None:
    """Return why a step was skipped, as the log of its run says; None where it does not."""
    found = await session.scalar(
        # lint: allow unscoped-query -- the caller has checked the run
        select(Event.data["reason"].astext)
        .where(Event.run_id == run_id, Event.step_id == step_id, Event.kind == "step.skipped")
        .limit(1)
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any
