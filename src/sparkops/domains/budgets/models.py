"""Budgets: what people define, the windows that are counted on, what is held against them, and the ledger whose lines
never change."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base

_SCOPES = "'installation', 'project', 'workflow', 'agent', 'api_key', 'user', 'run'"
_PERIODS = "'run', 'hour', 'day', 'week', 'month', 'total'"
_ACTIONS = "'notify', 'require_approval', 'pause', 'deny'"
_LIMITED = "limit_micros IS NOT NULL OR limit_tokens IS NOT NULL OR limit_calls IS NOT NULL OR limit_runs IS NOT NULL"


class BudgetDefinition(Base):
    """What somebody defined: for whom, how much, for how long, and what happens on the way there.

    `project_id` None: of the installation. `scope_id` None: each member of the scope has a budget of its own.
    """

    __tablename__ = "budget_definitions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    scope: Mapped[str]
    scope_id: Mapped[UUID | None]
    period: Mapped[str]
    time_zone: Mapped[str]
    """Whose clocks the period goes by: an IANA name."""
    limit_micros: Mapped[int | None]
    limit_tokens: Mapped[int | None]
    limit_calls: Mapped[int | None]
    limit_runs: Mapped[int | None]
    thresholds: Mapped[list[Any]]
    """{percent, action} each, as they were stated: what is done at the limit need not be."""
    admission: Mapped[str | None]
    """What is done with a run whose forecast cost does not fit: ask, refuse; None: nothing."""
    admission_by: Mapped[str] = mapped_column(default="p95", server_default="p95")
    """Which forecast has to fit: median or p95."""
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    archived_at: Mapped[datetime | None]
    """Since then nothing is counted on it any more."""

    __table_args__ = (
        Index(
            "uq_budget_definitions_name",
            "project_id",
            "name",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("archived_at IS NULL"),
        ),
        CheckConstraint(f"scope IN ({_SCOPES})", name="scope"),
        CheckConstraint(f"period IN ({_PERIODS})", name="period"),
        CheckConstraint("admission IN ('ask', 'refuse')", name="admission"),
        CheckConstraint("admission_by IN ('median', 'p95')", name="admission_by"),
        CheckConstraint(_LIMITED, name="limits"),
        CheckConstraint("least(limit_micros, limit_tokens, limit_calls, limit_runs) >= 0", name="amounts"),
    )


class Budget(Base):
    """What is counted on: the allowance of one run (`definition_id` None), or one window of a definition, for one
    member of its scope and one period, with the terms of the definition.

    The limit may be lowered below what is spent; then nothing more fits.
    """

    __tablename__ = "budgets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    definition_id: Mapped[UUID | None] = mapped_column(ForeignKey("budget_definitions.id", ondelete="CASCADE"))
    scope: Mapped[str]
    scope_id: Mapped[UUID]
    period: Mapped[str]
    window_key: Mapped[str | None]
    """Names the period among those of its definition and member."""
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    """None: no time ends it."""
    limit_micros: Mapped[int | None]
    limit_tokens: Mapped[int | None]
    limit_calls: Mapped[int | None]
    limit_runs: Mapped[int | None]
    thresholds: Mapped[list[Any] | None]
    """{percent, action} each, with what is done at the limit; None: nothing goes beyond the limit."""
    top_micros: Mapped[int | None]
    """The most that was ever let in without somebody's consent, so that a limit may be lowered; None: the limit."""
    top_tokens: Mapped[int | None]
    top_calls: Mapped[int | None]
    top_runs: Mapped[int | None]
    spent_micros: Mapped[int] = mapped_column(default=0, server_default="0")
    reserved_micros: Mapped[int] = mapped_column(default=0, server_default="0")
    spent_tokens: Mapped[int] = mapped_column(default=0, server_default="0")
    reserved_tokens: Mapped[int] = mapped_column(default=0, server_default="0")
    calls: Mapped[int] = mapped_column(default=0, server_default="0")
    """The sends of calls that were held against it."""
    runs: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    turned_at: Mapped[datetime | None]
    """When its period was over and the window of the next one was seen to; None: not yet, or no time ends it."""

    __table_args__ = (
        Index("ix_budgets_turn", "ends_at", postgresql_where=text("turned_at IS NULL AND ends_at IS NOT NULL")),
        Index("uq_budgets_run", "scope_id", unique=True, postgresql_where=text("definition_id IS NULL")),
        Index(
            "uq_budgets_window",
            "definition_id",
            "scope_id",
            "window_key",
            unique=True,
            postgresql_where=text("definition_id IS NOT NULL"),
        ),
        CheckConstraint(
            "least(spent_micros, reserved_micros, spent_tokens, reserved_tokens, calls, runs) >= 0", name="amounts"
        ),
        CheckConstraint("limit_micros >= 0", name="limit"),
        CheckConstraint("(definition_id IS NULL) = (window_key IS NULL)", name="defined"),
    )


class BudgetNotice(Base):
    """A window of a definition reached a threshold, for the first time, or (action `forecast`) its spending leads
    beyond 100 percent. Never changed."""

    __tablename__ = "budget_notices"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID | None]
    definition_id: Mapped[UUID] = mapped_column(ForeignKey("budget_definitions.id", ondelete="CASCADE"))
    budget_id: Mapped[UUID]
    kind: Mapped[str]
    """What was counted: money, tokens, calls or runs."""
    percent: Mapped[int]
    action: Mapped[str]
    run_id: Mapped[UUID]
    """The run that reached it, or was charged last; of its project the caller may know nothing."""
    step_id: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        CheckConstraint("kind IN ('money', 'tokens', 'calls', 'runs')", name="kind"),
        CheckConstraint(f"action IN ({_ACTIONS}, 'forecast')", name="action"),
        UniqueConstraint("budget_id", "kind", "percent", "action"),
        Index("ix_budget_notices_definition_id_at", "definition_id", "at"),
    )


class Reservation(Base):
    """What one send of one call holds, over all budgets that it counts against."""

    __tablename__ = "reservations"

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    send_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[UUID] = mapped_column(index=True)
    """No foreign key: what a budget of the installation has counted outlives the project."""
    run_id: Mapped[UUID] = mapped_column(index=True)
    budget_ids: Mapped[list[UUID]] = mapped_column(ARRAY(PgUUID(as_uuid=True)))
    amount_micros: Mapped[int]
    amount_tokens: Mapped[int] = mapped_column(default=0, server_default="0")
    status: Mapped[str]
    actual_micros: Mapped[int | None]
    actual_tokens: Mapped[int | None]
    consented: Mapped[bool] = mapped_column(default=False, server_default="false")
    """A person let this one call pass where a budget asks."""
    held_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('held', 'settled', 'released')", name="status"),
        CheckConstraint("amount_micros >= 0", name="amount"),
        CheckConstraint("(status = 'settled') = (actual_micros IS NOT NULL)", name="actual"),
    )


class LedgerEntry(Base):
    """One line of money: what one send of one call was charged to one budget, or that one run was counted."""

    __tablename__ = "ledger_entries"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID]
    """No foreign key, as above."""
    budget_id: Mapped[UUID] = mapped_column(ForeignKey("budgets.id", ondelete="CASCADE"))
    run_id: Mapped[UUID] = mapped_column(index=True)
    call_id: Mapped[UUID]
    """Of a run that was counted: the run."""
    send_no: Mapped[int]
    amount_micros: Mapped[int]
    tokens: Mapped[int] = mapped_column(default=0, server_default="0")
    kind: Mapped[str]
    """`actual`: as the provider reported; `presumed`: the answer was lost, so the bound is charged; `run`: a run."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        CheckConstraint("kind IN ('actual', 'presumed', 'run')", name="kind"),
        UniqueConstraint("budget_id", "call_id", "send_no"),
        Index("ix_ledger_entries_project_id_id", "project_id", "id"),
        Index("ix_ledger_entries_budget_id_at", "budget_id", "at"),
    )
