"""Budgets, what is held against them, and the ledger whose lines never change."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class Budget(Base):
    """An allowance for one scope and period. The limit may be lowered below what is spent; then nothing more fits."""

    __tablename__ = "budgets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    scope: Mapped[str]
    scope_id: Mapped[UUID]
    period: Mapped[str]
    limit_micros: Mapped[int]
    spent_micros: Mapped[int] = mapped_column(default=0, server_default="0")
    reserved_micros: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        UniqueConstraint("scope", "scope_id", "period"),
        CheckConstraint("spent_micros >= 0 AND reserved_micros >= 0", name="amounts"),
        CheckConstraint("limit_micros >= 0", name="limit"),
    )


class Reservation(Base):
    """What one send of one call holds, over all budgets that it counts against."""

    __tablename__ = "reservations"

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    send_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    run_id: Mapped[UUID] = mapped_column(index=True)
    budget_ids: Mapped[list[UUID]] = mapped_column(ARRAY(PgUUID(as_uuid=True)))
    amount_micros: Mapped[int]
    status: Mapped[str]
    actual_micros: Mapped[int | None]
    held_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('held', 'settled', 'released')", name="status"),
        CheckConstraint("amount_micros >= 0", name="amount"),
        CheckConstraint("(status = 'settled') = (actual_micros IS NOT NULL)", name="actual"),
    )


class LedgerEntry(Base):
    """One line of money: what one send of one call was charged to one budget."""

    __tablename__ = "ledger_entries"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    budget_id: Mapped[UUID] = mapped_column(ForeignKey("budgets.id", ondelete="CASCADE"))
    run_id: Mapped[UUID] = mapped_column(index=True)
    call_id: Mapped[UUID]
    send_no: Mapped[int]
    amount_micros: Mapped[int]
    kind: Mapped[str]
    """`actual`: as the provider reported; `presumed`: the answer was lost, so the bound is charged."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        CheckConstraint("kind IN ('actual', 'presumed')", name="kind"),
        UniqueConstraint("budget_id", "call_id", "send_no"),
        Index("ix_ledger_entries_project_id_id", "project_id", "id"),
    )
