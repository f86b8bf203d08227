"""Projects: the tenant boundary. Every other row names one."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class Project(Base):
    """A tenant. `slug` is its name in addresses and never changes."""

    __tablename__ = "projects"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    max_running_runs: Mapped[int | None]
    """How many of its runs go on at once, the others queue; None: any number."""
    time_zone: Mapped[str] = mapped_column(default="UTC", server_default="UTC")
    """Whose clocks rules and budgets go by: an IANA name."""
    default_effect: Mapped[str] = mapped_column(default="allow", server_default="allow")
    """What holds where no rule matches: allow or deny."""
    keep_runs_days: Mapped[int | None]
    """Runs that ended longer ago are removed; None: they are kept for ever."""
    keep_log_days: Mapped[int | None]
    """As above, of the logs of runs and of events from outside."""
    keep_values_days: Mapped[int | None]
    """As above, of what runs worked with: inputs, outputs, requests, responses, files."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        CheckConstraint(r"slug ~ '^[a-z][a-z0-9-]{1,62}$'", name="slug"),
        CheckConstraint("default_effect IN ('allow', 'deny')", name="default_effect"),
        CheckConstraint("keep_runs_days BETWEEN 1 AND 36500", name="keep_runs_days"),
        CheckConstraint("keep_log_days BETWEEN 1 AND 36500", name="keep_log_days"),
        CheckConstraint("keep_values_days BETWEEN 1 AND 36500", name="keep_values_days"),
    )


class ProjectDeletion(Base):
    """That somebody wants a project deleted, with what became of it; when all is done, its tombstone.

    Only functions of the database write it: the application may read it.
    """

    __tablename__ = "project_deletions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID]
    """No foreign key: it outlives the project."""
    slug: Mapped[str]
    name: Mapped[str]
    reason: Mapped[str]
    status: Mapped[str] = mapped_column(default="asked", server_default="asked")
    halt_id: Mapped[UUID | None]
    """The stop that was ordered for it; None: the project was stopped before."""
    asked_by: Mapped[UUID]
    asked_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    due_at: Mapped[datetime]
    """From then on a worker removes the data, and nothing can be taken back."""
    cancelled_by: Mapped[UUID | None]
    cancelled_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    removed: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    """How many rows of each table are gone, and how many objects."""
    claim_token: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('asked', 'cancelled', 'removing', 'done')", name="status"),
        CheckConstraint("(status = 'cancelled') = (cancelled_at IS NOT NULL)", name="cancelled"),
        CheckConstraint("(status = 'done') = (finished_at IS NOT NULL)", name="finished"),
        Index(
            "uq_project_deletions_open",
            "project_id",
            unique=True,
            postgresql_where=text("status IN ('asked', 'removing')"),
        ),
        Index("ix_project_deletions_project_id_id", "project_id", "id"),
    )
