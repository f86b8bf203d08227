"""Secrets, their encrypted versions, and the record of every use."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base
from sparkops.domains.secrets.reference import NAME


class Secret(Base):
    """A named secret of a project, or, without one, of the installation. Its name never changes."""

    __tablename__ = "secrets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="", server_default="")
    latest_version: Mapped[int] = mapped_column(default=0)
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    archived_at: Mapped[datetime | None]
    """Since then nothing can refer to it."""

    __table_args__ = (
        CheckConstraint(f"name ~ '^{NAME}$'", name="name"),
        Index("uq_secrets_project_id_name", "project_id", "name", unique=True, postgresql_nulls_not_distinct=True),
    )


class SecretVersion(Base):
    """One value, encrypted (`core/envelope.py`). Only its data key is ever wrapped anew; the value never changes."""

    __tablename__ = "secret_versions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    secret_id: Mapped[UUID] = mapped_column(ForeignKey("secrets.id", ondelete="CASCADE"))
    version: Mapped[int]
    kek_id: Mapped[str]
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (
        UniqueConstraint("secret_id", "version"),
        Index("ix_secret_versions_kek_id_id", "kek_id", "id"),
    )


class SecretUse(Base):
    """A call was given the value of a secret. `project_id` is that of the call.

    `scope`: project or installation, whose secret it is. `version` None: the vault outside does not say.
    """

    __tablename__ = "secret_uses"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    scope: Mapped[str]
    source: Mapped[str]
    name: Mapped[str]
    version: Mapped[int | None]
    run_id: Mapped[UUID]
    step_id: Mapped[UUID]
    call_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), index=True)

    __table_args__ = (
        CheckConstraint("scope IN ('project', 'installation')", name="scope"),
        CheckConstraint("source IN ('database', 'vault', 'files')", name="source"),
        Index("ix_secret_uses_project_id_name_id", "project_id", "name", "id"),
        Index("ix_secret_uses_installation", "name", "id", postgresql_where=text("scope = 'installation'")),
    )
