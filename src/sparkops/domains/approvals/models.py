"""Approvals: questions to people, each bound to the digest of one exact action."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base

_STATUSES = "'pending', 'approved', 'rejected', 'expired', 'withdrawn', 'consumed'"

ANYBODY: Final = '{"approvers": [], "quorum": 1, "escalate_after_seconds": null, "escalate_to": [], "may_edit": false}'
"""The demands of a question that no rule put: any one person who may approve at all."""


class Approval(Base):
    """One question. `requested_by` is the person on whose behalf the run acts, who may not answer it.

    A question is bound to the digests of the request and of the tool, to the agent's version, and to what the rules
    demanded. At most one question about a thing is open; when the rules demand something else, another one is asked.
    """

    __tablename__ = "approvals"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    run_id: Mapped[UUID] = mapped_column(index=True)
    step_id: Mapped[UUID | None]
    """None where the question is about the run itself: its beginning, or its output."""
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    request_hash: Mapped[str]
    tool_hash: Mapped[str | None]
    title: Mapped[str]
    """The question in one sentence."""
    proposed_request: Mapped[Any]
    status: Mapped[str]
    reason: Mapped[str | None]
    """Why it was held: the words of the rules that ask."""
    rule: Mapped[str | None]
    requested_by: Mapped[UUID | None]
    requested_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    comment: Mapped[str | None]
    consumed_at: Mapped[datetime | None]
    name: Mapped[str | None]
    """The tool or the model; None where a workflow asks."""
    agent_version_id: Mapped[UUID | None]
    decision_id: Mapped[UUID | None]
    """The decision that asked for it; None where a workflow asks."""
    demands: Mapped[dict[str, Any]] = mapped_column(server_default=ANYBODY)
    """What consent takes: {approvers: groups of roles and e-mail addresses, of each of which somebody has to agree,
    quorum, escalate_after_seconds, escalate_to, may_edit, rules: [{policy_id, rule, reason}] that ask; missing where an
    earlier release put the question}."""
    edited_request: Mapped[Any | None]
    """What an approver made of the request: this is what is asked about then, and what goes out."""
    edited_hash: Mapped[str | None]
    edited_by: Mapped[UUID | None]
    edited_at: Mapped[datetime | None]
    escalate_at: Mapped[datetime | None]
    """When others are asked as well, if nobody has answered; None: never."""
    escalated_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    """When half of its time had gone by without an answer, and the run's log said so; None: not yet."""
    revision: Mapped[int] = mapped_column(server_default="0")
    """Counts what was said about the question while it was open, and what became known about the call."""
    outlook: Mapped[dict[str, Any] | None]
    """What the call would do, as its target told when the question was put: {what, rows: {count, basis, why}, besides,
    plan, made_at, request_hash: of the request that this is about}."""
    budgets: Mapped[list[Any]] = mapped_column(server_default="[]")
    """The budgets that ask whether a run may begin, or a call leave: [{budget_id, name, about: runs | forecast | call,
    reason, resets_at, and figures}]. Consent lets it pass these, and no others."""
    reassigned: Mapped[list[Any]] = mapped_column(server_default="[]")
    """Who has given their voice away: [{by, to: a role or an e-mail address, voices: whose they were at first, at,
    comment}], one for each who has."""

    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        CheckConstraint("subject_kind IN ('run', 'step', 'call', 'output')", name="subject_kind"),
        CheckConstraint("(status = 'consumed') = (consumed_at IS NOT NULL)", name="consumed"),
        CheckConstraint("(step_id IS NULL) = (subject_kind IN ('run', 'output'))", name="step"),
        CheckConstraint(
            "num_nulls(edited_request, edited_hash, edited_by, edited_at) IN (0, 4)",
            name="edited",
        ),
        Index("ix_approvals_project_id_status_id", "project_id", "status", "id"),
        Index(
            "uq_approvals_open",
            "subject_id",
            "request_hash",
            unique=True,
            postgresql_where=text("status IN ('pending', 'approved')"),
        ),
        Index("ix_approvals_subject_id", "subject_id", "id"),
        Index("ix_approvals_kind", "project_id", "name", "rule", "id", postgresql_where=text("name IS NOT NULL")),
        Index(
            "ix_approvals_escalation",
            "escalate_at",
            postgresql_where=text("status = 'pending' AND escalated_at IS NULL"),
        ),
        Index(
            "ix_approvals_reminder",
            "expires_at",
            postgresql_where=text("status = 'pending' AND reminded_at IS NULL"),
        ),
        Index("ix_approvals_expiry", "expires_at", postgresql_where=text("status IN ('pending', 'approved')")),
    )


class ApprovalVote(Base):
    """What one person said to one question. `request_hash` is that of the request they were shown. Never changed."""

    __tablename__ = "approval_votes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    approval_id: Mapped[UUID] = mapped_column(ForeignKey("approvals.id", ondelete="CASCADE"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    user_id: Mapped[UUID]
    vote: Mapped[str]
    request_hash: Mapped[str]
    comment: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        CheckConstraint("vote IN ('approve', 'reject')", name="vote"),
        UniqueConstraint("approval_id", "user_id", "request_hash", "vote"),
    )


class ApprovalMessage(Base):
    """What somebody asked or told about a question before it was answered. Never changed."""

    __tablename__ = "approval_messages"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    approval_id: Mapped[UUID] = mapped_column(ForeignKey("approvals.id", ondelete="CASCADE"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    author_id: Mapped[UUID]
    text: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (Index("ix_approval_messages_approval_id", "approval_id", "id"),)
