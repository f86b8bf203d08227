"""Projects: the tenant boundary. Every other row names one."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, func
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
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        CheckConstraint(r"slug ~ '^[a-z][a-z0-9-]{1,62}$'", name="slug"),
        CheckConstraint("default_effect IN ('allow', 'deny')", name="default_effect"),
    )
