"""The audit trail: every change that matters for trust, written in the same transaction as the change."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.orm import Base


class AuditEntry(Base):
    """One line. The application may only insert; `content_hash` covers the line itself."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    project_id: Mapped[UUID | None]
    actor: Mapped[str]
    """`user:<id>`, `worker`, `system`."""
    action: Mapped[str]
    object: Mapped[str]
    detail: Mapped[dict[str, Any]]
    request_id: Mapped[str | None]
    content_hash: Mapped[str]

    __table_args__ = (Index("ix_audit_project_id_id", "project_id", "id"),)


class SecurityEvent(Base):
    """Something that happened to the platform's safety. `kind` is a word such as `sign-in.failed`."""

    __tablename__ = "security_events"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    kind: Mapped[str]
    severity: Mapped[str]
    user_id: Mapped[UUID | None]
    email: Mapped[str | None]
    project_id: Mapped[UUID | None]
    address: Mapped[str | None]
    request_id: Mapped[str | None]
    detail: Mapped[dict[str, Any]]

    __table_args__ = (
        CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
        Index("ix_security_events_kind_id", "kind", "id"),
        Index("ix_security_events_user_id_id", "user_id", "id"),
    )
