"""Policies and the decisions taken under them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.db import Base
from sparkops.core.ids import new_id


class Policy(Base):
    """The rules of one project. `version` rises with every change, and every decision names it."""

    __tablename__ = "policies"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int]
    rules: Mapped[list[Any]]
    updated_by: Mapped[UUID | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class PolicyDecision(Base):
    """The recorded verdict for one effect. Never changed."""

    __tablename__ = "policy_decisions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    run_id: Mapped[UUID] = mapped_column(index=True)
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    request_hash: Mapped[str]
    policy_version: Mapped[int]
    outcome: Mapped[str]
    rule: Mapped[str | None]
    """The name of the rule that decided; None: no rule matched."""
    reason: Mapped[str | None]
    facts: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        CheckConstraint("outcome IN ('allow', 'deny', 'require_approval')", name="outcome"),
        CheckConstraint("subject_kind IN ('run', 'step', 'call')", name="subject_kind"),
        Index("ix_policy_decisions_project_id_id", "project_id", "id"),
    )
