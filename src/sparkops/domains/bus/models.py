"""What comes in for waiting steps, and what goes out to subscribers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class ReceivedEvent(Base):
    """A named event from outside, once however often it was sent: `event_id` is the sender's."""

    __tablename__ = "received_events"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    event_id: Mapped[str]
    name: Mapped[str]
    data: Mapped[Any]
    data_hash: Mapped[str]
    created_by: Mapped[UUID | None]
    received_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    matched_at: Mapped[datetime | None]
    """When the steps that waited for it were woken; None: the sweep still has to look."""

    __table_args__ = (
        UniqueConstraint("project_id", "event_id"),
        Index("ix_received_events_name", "project_id", "name", "received_at"),
        Index("ix_received_events_unmatched", "received_at", postgresql_where=text("matched_at IS NULL")),
    )


class Subscription(Base):
    """Who is told of events of runs: a part of the platform, by its name. `kinds` end in `*` to mean all of a group."""

    __tablename__ = "subscriptions"

    name: Mapped[str] = mapped_column(primary_key=True)
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    """None: the events of every project."""
    active: Mapped[bool] = mapped_column(default=True, server_default="true")
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class OutboxEntry(Base):
    """One event on its way to one subscription: written with the change that it tells of, delivered at least once."""

    __tablename__ = "outbox"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    subscription: Mapped[str]
    """No foreign key: it would lock the subscription's one row in every transaction that writes an event."""
    project_id: Mapped[UUID] = mapped_column(index=True)
    run_id: Mapped[UUID]
    seq: Mapped[int]
    """The event's place in the run's log; with `subscription` and `run_id` the stable id of the delivery."""
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(default="pending", server_default="pending")
    attempt: Mapped[int] = mapped_column(default=0, server_default="0")
    claim_token: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    next_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]

    __table_args__ = (
        UniqueConstraint("subscription", "run_id", "seq"),
        CheckConstraint("status IN ('pending', 'delivered', 'dead')", name="status"),
        Index("ix_outbox_due", "subscription", "next_at", postgresql_where=text("status = 'pending'")),
        Index("ix_outbox_dead", text("id DESC"), postgresql_where=text("status = 'dead'")),
        Index("ix_outbox_delivered", "ended_at", postgresql_where=text("status = 'delivered'")),
    )
