"""Approvals: questions to people, each bound to the digest of one exact action."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base

_STATUSES = "'pending', 'approved', 'rejected', 'expired', 'withdrawn', 'consumed'"


class Approval(Base):
    """One question. `requested_by` is the person on whose behalf the run acts, who may not answer it."""

    __tablename__ = "approvals"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    run_id: Mapped[UUID] = mapped_column(index=True)
    step_id: Mapped[UUID]
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    request_hash: Mapped[str]
    tool_hash: Mapped[str | None]
    title: Mapped[str]
    """The question in one sentence."""
    proposed_request: Mapped[Any]
    status: Mapped[str]
    reason: Mapped[str | None]
    """Why it was held: the rule's words."""
    rule: Mapped[str | None]
    requested_by: Mapped[UUID | None]
    requested_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    comment: Mapped[str | None]
    consumed_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("subject_kind", "subject_id", "request_hash"),
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        CheckConstraint("subject_kind IN ('run', 'step', 'call')", name="subject_kind"),
        CheckConstraint("(status = 'consumed') = (consumed_at IS NOT NULL)", name="consumed"),
        Index("ix_approvals_project_id_status_id", "project_id", "status", "id"),
        Index("ix_approvals_expiry", "expires_at", postgresql_where=text("status IN ('pending', 'approved')")),
    )
