"""Calls: the ledger of effects. One row holds intent, decision, outcome and cost of one effect."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.orm import Base

_STATUSES = "'proposed', 'denied', 'waiting_approval', 'expired', 'prepared', 'done', 'failed', 'unknown'"


class Call(Base):
    """One effect of one step: a model call or a tool call. `id` is also the idempotency key that the target sees."""

    __tablename__ = "calls"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    step_id: Mapped[UUID]
    seq: Mapped[int]
    """The place in the step's own order of effects, from 1."""
    kind: Mapped[str]
    name: Mapped[str]
    """The tool, or the model as the agent names it."""
    tool_hash: Mapped[str | None]
    request_hash: Mapped[str]
    request: Mapped[Any]
    effect_class: Mapped[str]
    status: Mapped[str]
    decision_id: Mapped[UUID | None]
    approval_id: Mapped[UUID | None]
    attempt: Mapped[int]
    sends: Mapped[int] = mapped_column(default=0, server_default="0")
    response: Mapped[Any | None]
    error: Mapped[dict[str, Any] | None]
    usage: Mapped[dict[str, Any] | None]
    cost_micros: Mapped[int] = mapped_column(default=0, server_default="0")
    """What its sends were charged, failed and lost ones too."""
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """Of its response."""
    proposed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    prepared_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("run_id", "step_id", "seq"),
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        CheckConstraint("kind IN ('llm', 'tool')", name="kind"),
        CheckConstraint("effect_class IN ('pure', 'idempotent', 'txn', 'unsafe')", name="effect_class"),
        CheckConstraint("cost_micros >= 0", name="cost"),
        Index("ix_calls_project_id_id", "project_id", "id"),
        {"postgresql_partition_by": "RANGE (run_id)"},
    )
