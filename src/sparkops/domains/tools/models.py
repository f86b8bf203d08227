"""Tools that a project may use. The definition is pinned by its digest."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class Tool(Base):
    """A tool as one project sees it: a built-in implementation under a name, with its settings."""

    __tablename__ = "tools"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    description: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    effect_class: Mapped[str]
    settings: Mapped[dict[str, Any]]
    digest: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (UniqueConstraint("project_id", "name"),)
