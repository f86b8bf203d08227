"""Workflows and their versions. A version never changes; runs name versions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class Workflow(Base):
    """A named workflow; `latest_version` counts its versions."""

    __tablename__ = "workflows"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    latest_version: Mapped[int] = mapped_column(default=0)
    max_running_runs: Mapped[int | None]
    """How many runs of it go on at once, the others queue; None: any number."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (UniqueConstraint("project_id", "name"),)


class WorkflowVersion(Base):
    """One frozen definition: the text as it was given, and the document read from it."""

    __tablename__ = "workflow_versions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    workflow_id: Mapped[UUID] = mapped_column(ForeignKey("workflows.id", ondelete="CASCADE"))
    version: Mapped[int]
    source: Mapped[str]
    definition: Mapped[dict[str, Any]]
    digest: Mapped[str]
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (UniqueConstraint("workflow_id", "version"),)
