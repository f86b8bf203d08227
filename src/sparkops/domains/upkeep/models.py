"""Chores that some worker does from time to time, and objects on their way out of the object storage."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.orm import Base


class Chore(Base):
    """One chore of the whole installation. Doing it twice at once is a waste and harms nothing."""

    __tablename__ = "chores"

    name: Mapped[str] = mapped_column(primary_key=True)
    next_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    claim_token: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    found: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    """What was done the last time, in numbers."""


class CondemnedObject(Base):
    """An object that nothing referred to. It was moved aside; after the grace it is removed, or put back if something
    refers to it by then. Written before it is moved, so that nothing lies aside that nobody knows of."""

    __tablename__ = "condemned_objects"

    path: Mapped[str] = mapped_column(primary_key=True)
    """Where it lay."""
    project_id: Mapped[UUID | None]
    """Whose values it was among; None: a file, which projects share."""
    condemned_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (Index("ix_condemned_objects_condemned_at", "condemned_at"),)
