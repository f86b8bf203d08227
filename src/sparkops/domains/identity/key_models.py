"""API keys, and accounts elsewhere by which people sign in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class ApiKey(Base):
    """A key in the name of its user: a person, or a service account. It never may more than that user may."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    public_id: Mapped[str] = mapped_column(unique=True)
    """The part of the key by which it is found, and which is shown."""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    secret_hash: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """The permissions that it was given; what it may is these and the role of its user, at each request anew."""
    created_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """To the minute."""
    last_used_from: Mapped[str | None]
    """A network, not an address."""
    refused_at: Mapped[datetime | None]
    """When it was last noted that somebody presented its id without being let in."""
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[UUID | None]

    __table_args__ = (
        CheckConstraint("length(secret_hash) = 64", name="secret_hash"),
        Index("ix_api_keys_user_id_id", "user_id", "id"),
    )


class ApiKeyProject(Base):
    """A project that a key reaches."""

    __tablename__ = "api_key_projects"

    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)

    __table_args__ = (Index("ix_api_key_projects_project_id", "project_id"),)


class ApiKeyNetwork(Base):
    """A network that a key was used from."""

    __tablename__ = "api_key_networks"

    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True)
    network: Mapped[str] = mapped_column(primary_key=True)
    first_used_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Identity(Base):
    """Somebody's account at an OpenID provider. Whoever signs in there as this subject is this user here."""

    __tablename__ = "identities"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    issuer: Mapped[str]
    subject: Mapped[str]
    email: Mapped[str]
    """As the provider knew it when they last signed in."""
    made_admin: Mapped[bool] = mapped_column(default=False, server_default="false")
    """They administer the installation because of a group there, and only as long as they are in it."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    last_sign_in_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (UniqueConstraint("issuer", "subject"), UniqueConstraint("user_id", "issuer"))
