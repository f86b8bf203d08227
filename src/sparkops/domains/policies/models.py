"""Policies and their versions, the decisions taken under them, and what broke them."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base

INSTALLATION: Final = UUID(int=0)
"""The scope of what holds for every project."""

_SUBJECTS = "'run.create', 'step.start', 'llm.call', 'tool.call', 'output'"
_SEVERITIES = "'info', 'low', 'medium', 'high', 'critical'"


class PolicyStamp(Base):
    """Counts what changes the rules of one project, or of the installation: policies, their default, budgets.

    A decision is only written down if the stamps of its project and of the installation, added up, are those under
    which it was made.
    """

    __tablename__ = "policy_stamps"

    scope_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]


class Policy(Base):
    """A policy of a project, or (`project_id` None) of the installation, which holds for every project.

    `active_version` is the one that decides; None: none does.
    """

    __tablename__ = "policies"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    active_version: Mapped[int | None]
    latest_version: Mapped[int]
    subjects: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """What the rules of the active version are on; kept by a trigger."""
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        UniqueConstraint("project_id", "name", postgresql_nulls_not_distinct=True),
        CheckConstraint("active_version BETWEEN 1 AND latest_version", name="active"),
        Index("ix_policies_on_output", "project_id", postgresql_where=text("'output' = ANY (subjects)")),
    )


class PolicyVersion(Base):
    """One frozen text of a policy. `document` is the same, read. Never changed."""

    __tablename__ = "policy_versions"

    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str]
    document: Mapped[dict[str, Any]]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class PolicyDecision(Base):
    """The recorded verdict on one thing. Never changed."""

    __tablename__ = "policy_decisions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    run_id: Mapped[UUID] = mapped_column(index=True)
    step_id: Mapped[UUID | None]
    subject: Mapped[str]
    """What the rules were asked on: `tool.call`, …"""
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    name: Mapped[str | None]
    """The tool, or the model; None where there is none."""
    request_hash: Mapped[str]
    policy_version: Mapped[int]
    """The stamps of the project and the installation when it was made."""
    outcome: Mapped[str]
    policy_id: Mapped[UUID | None]
    rule_version: Mapped[int | None]
    """The version of that policy."""
    rule: Mapped[str | None]
    """The name of the rule that decided; None: no rule matched."""
    severity: Mapped[str | None]
    reason: Mapped[str | None]
    facts: Mapped[dict[str, Any]]
    facts_digest: Mapped[str | None]
    """Of all facts that it was judged by, also `args`, `input` and `output`, which are kept with what it is about."""
    monitored: Mapped[list[Any] | None]
    """What rules in mode monitor would have decided: {policy_id, version, rule, effect, reason, severity} each."""
    duration_us: Mapped[int | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        CheckConstraint("outcome IN ('allow', 'deny', 'require_approval')", name="outcome"),
        CheckConstraint("subject_kind IN ('run', 'step', 'call')", name="subject_kind"),
        CheckConstraint(f"subject IN ({_SUBJECTS})", name="subject"),
        CheckConstraint(f"severity IN ({_SEVERITIES})", name="severity"),
        Index("ix_policy_decisions_project_id_id", "project_id", "id"),
        Index("ix_policy_decisions_not_allowed", "project_id", "id", postgresql_where=text("outcome <> 'allow'")),
        Index("ix_policy_decisions_rule", "project_id", "policy_id", "rule", "id"),
    )


class Violation(Base):
    """A rule was broken, or would have been: a decision denied, or a rule in mode monitor would have."""

    __tablename__ = "violations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    run_id: Mapped[UUID] = mapped_column(index=True)
    step_id: Mapped[UUID | None]
    decision_id: Mapped[UUID]
    policy_id: Mapped[UUID | None]
    rule_version: Mapped[int | None]
    rule: Mapped[str | None]
    """None: no rule allowed it, and the project denies by default."""
    severity: Mapped[str]
    monitored: Mapped[bool]
    """It was not stopped: the rule is in mode monitor."""
    subject: Mapped[str]
    name: Mapped[str | None]
    reason: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="open", server_default="open")
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    changed_by: Mapped[UUID | None]
    changed_at: Mapped[datetime | None]
    overdue_at: Mapped[datetime | None]
    """When it had been open for longer than its severity allows; opening it again forgets that."""

    __table_args__ = (
        CheckConstraint("status IN ('open', 'acknowledged', 'resolved')", name="status"),
        CheckConstraint(f"severity IN ({_SEVERITIES})", name="severity"),
        Index(
            "ix_violations_follow_up",
            "severity",
            "at",
            postgresql_where=text("status = 'open' AND overdue_at IS NULL"),
        ),
        Index("ix_violations_project_id_status_id", "project_id", "status", "id"),
        Index("ix_violations_decision_id", "decision_id"),
    )


class ViolationNote(Base):
    """What somebody said about a violation, or did with it. Never changed."""

    __tablename__ = "violation_notes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    violation_id: Mapped[UUID] = mapped_column(ForeignKey("violations.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    author_id: Mapped[UUID]
    text: Mapped[str | None]
    status: Mapped[str | None]
    """What it was set to; None: it was left."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class PolicyPublication(Base):
    """Somebody put a version of a policy in force, or withdrew the policy (`version` None). Never changed."""

    __tablename__ = "policy_publications"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id", ondelete="CASCADE"))
    version: Mapped[int | None]
    note: Mapped[str | None]
    backtest_id: Mapped[UUID | None]
    """The backtest that was looked at before; None: none was."""
    published_by: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (Index("ix_policy_publications_policy_id_id", "policy_id", "id"),)


class BacktestJob(Base):
    """What a draft of a policy would have said to the decisions of a project, or of all, in a window of time.

    It is judged from the newest decision back to the oldest, page by page; `after_id` is the last that was judged, so
    that another process can go on where one has died. All that it depends on is frozen: the draft, and the versions of
    the other policies that were in force beside it.
    """

    __tablename__ = "backtests"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    """None: it is over all projects, and the draft is one of the installation."""
    places: Mapped[list[Any] | None]
    """Over all projects, what each is judged by: {project_id, slug, default_effect, time_zone, beside}. `beside`,
    `default_effect` and `time_zone` of the row say nothing about decisions then."""
    policy_id: Mapped[UUID | None]
    """The policy that the draft is of, and in whose place it was judged; None: it is new."""
    policy_name: Mapped[str]
    source: Mapped[str]
    document: Mapped[dict[str, Any]]
    beside: Mapped[list[Any]]
    """The other policies, in their order: {id, version, name}, and null at the place of the draft."""
    default_effect: Mapped[str]
    time_zone: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime]
    subjects: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Only decisions on these; None: on all."""
    names: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Only decisions about these tools and models; None: about all."""
    status: Mapped[str] = mapped_column(default="queued", server_default="queued")
    cancel_requested: Mapped[bool] = mapped_column(default=False, server_default="false")
    claim_token: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often a process has taken it."""
    total: Mapped[int | None]
    """How many decisions there are to judge; None: not counted yet, or too many to count."""
    judged: Mapped[int] = mapped_column(default=0, server_default="0")
    listed: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many flips have a row; it counts all."""
    counts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    lacking: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    """Facts that were not recorded, with how many decisions depend on each."""
    days: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    """By the date in `time_zone`, which is that of the project, or over all projects UTC: see `backtest.Day`."""
    after_id: Mapped[UUID | None]
    error: Mapped[dict[str, Any] | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="status"),
        CheckConstraint("default_effect IN ('allow', 'deny')", name="default_effect"),
        CheckConstraint("(project_id IS NULL) = (places IS NOT NULL)", name="places"),
        Index("ix_backtests_project_id_id", "project_id", "id"),
        Index("ix_backtests_open", "id", postgresql_where=text("status IN ('queued', 'running')")),
    )


class BacktestFlip(Base):
    """A decision of the past that would have been another. Never changed."""

    __tablename__ = "backtest_flips"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    backtest_id: Mapped[UUID] = mapped_column(ForeignKey("backtests.id", ondelete="CASCADE"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    decision_id: Mapped[UUID]
    run_id: Mapped[UUID]
    subject: Mapped[str]
    name: Mapped[str | None]
    at: Mapped[datetime]
    change: Mapped[str]
    was: Mapped[str]
    old_rule: Mapped[str | None]
    new_policy: Mapped[str | None]
    """The name of the policy whose rule would have decided; None: the default would have held."""
    new_rule: Mapped[str | None]
    reason: Mapped[str | None]
    cost_micros: Mapped[int] = mapped_column(default=0, server_default="0")
    """What the call cost."""

    __table_args__ = (Index("ix_backtest_flips_backtest_id_id", "backtest_id", "id"),)
