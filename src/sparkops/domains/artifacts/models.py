"""Artifacts: named files of a run, whose bytes lie in object storage under their SHA-256."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class Artifact(Base):
    """One version of one file of a run. Writing the same name again makes the next version."""

    __tablename__ = "artifacts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    run_id: Mapped[UUID]
    step_id: Mapped[UUID]
    call_id: Mapped[UUID]
    name: Mapped[str]
    version: Mapped[int]
    media_type: Mapped[str]
    size_bytes: Mapped[int]
    sha256: Mapped[str]
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """Of its content: all that the step had seen which wrote it."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        UniqueConstraint("run_id", "name", "version"),
        UniqueConstraint("call_id", "name"),
        CheckConstraint("size_bytes >= 0", name="size"),
        Index("ix_artifacts_project_id_id", "project_id", "id"),
        Index("ix_artifacts_sha256", "sha256"),
    )
