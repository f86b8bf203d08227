"""Halts: what holds work back, from one workflow to the whole installation."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class Halt(Base):
    """One halt, from its order to its release. At most one of each kind is in force for a scope.

    `pause`: nothing new starts there, what runs goes on. `stop` (the kill switch): nothing new starts, and no effect
    is prepared any more. The table is read by every claim, and all but empty.
    """

    __tablename__ = "halts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    scope: Mapped[str]
    scope_id: Mapped[UUID]
    """The project or workflow; for the installation the nil UUID."""
    project_id: Mapped[UUID | None]
    kind: Mapped[str]
    reason: Mapped[str | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    released_by: Mapped[UUID | None]
    released_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("scope IN ('installation', 'project', 'workflow')", name="scope"),
        CheckConstraint("kind IN ('pause', 'stop')", name="kind"),
        CheckConstraint("(scope = 'installation') = (project_id IS NULL)", name="project"),
        CheckConstraint("kind = 'pause' OR scope <> 'workflow'", name="stop"),
        Index("ix_halts_scope_id", "scope_id", "released_at"),
        Index("uq_halts_in_force", "scope_id", "kind", unique=True, postgresql_where=text("released_at IS NULL")),
    )
