"""Who may act: users, their refresh sessions, and membership in projects."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class User(Base):
    """A person, or a service account. `email` is stored in lower case and is unique."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    """None: this person has no password (yet), and signs in by another way or not at all."""
    is_admin: Mapped[bool] = mapped_column(default=False, server_default="false")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]
    kind: Mapped[str] = mapped_column(default="person", server_default="person")
    """`person`, or `service`: an account that only keys act for."""
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    """Of a service account: the one project that it belongs to."""

    __table_args__ = (
        CheckConstraint("email = lower(email)", name="email_lower"),
        CheckConstraint("kind IN ('person', 'service')", name="kind"),
        CheckConstraint(
            "kind = 'person' OR (project_id IS NOT NULL AND password_hash IS NULL AND NOT is_admin)", name="service"
        ),
        CheckConstraint("kind = 'service' OR project_id IS NULL", name="person"),
        Index("ix_users_project_id", "project_id", postgresql_where=text("project_id IS NOT NULL")),
    )


class Session(Base):
    """One signed-in browser or client. Its refresh token rotates; see `refresh.py` for what is kept of it."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    previous_hash: Mapped[str | None] = mapped_column(unique=True)
    """The token before; seeing it again after the grace means that it was copied."""
    family_key: Mapped[bytes]
    """By which a token is known that this session gave out at any time."""
    successor: Mapped[bytes | None]
    """The newest token's secret, sealed with the token before."""
    rotated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When it was last refreshed: the newest thing that is known of its use, to a quarter of an hour."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """When it ends unless it is used before; never later than `ends_at`."""
    ends_at: Mapped[datetime]
    """When it ends whatever happens."""
    issuer: Mapped[str | None]
    """The OpenID provider at which it was begun, where people have a session, too; None: here, with a password."""
    revoked_at: Mapped[datetime | None]
    revoked_because: Mapped[str | None]
    """`signed-out`, `ended`, `password`, `factor`, `disabled`, `reused`, `replaced`; None if it was not."""
    device: Mapped[str | None]
    """What the browser says of itself, as it said it last."""
    address: Mapped[str | None]
    """Where it was last refreshed from; of IPv6 the network."""
    methods: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    """How its person proved who they are: `password`, `totp`, `recovery`, `oidc`; empty in sessions of before 0025."""


class Membership(Base):
    """A user's place in a project."""

    __tablename__ = "memberships"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    source: Mapped[str] = mapped_column(default="manual", server_default="manual")
    """Who put it there: a person (`manual`), or a group of the OpenID provider (`oidc`), and only as long as that."""

    __table_args__ = (
        CheckConstraint("role IN ('owner', 'admin', 'developer', 'operator', 'viewer')", name="role"),
        CheckConstraint("source IN ('manual', 'oidc')", name="source"),
        Index("ix_memberships_user_id", "user_id"),
    )
