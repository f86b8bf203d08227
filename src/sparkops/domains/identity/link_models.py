"""One-time links, and attempts that were counted."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class AccountLink(Base):
    """A link that works once: to choose a password (`reset`, `invite`), or to become the first administrator (`setup`).

    Only the hash of its token is stored.
    """

    __tablename__ = "account_links"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    purpose: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    """Whose; None for the set-up of an installation without people."""
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_by: Mapped[UUID | None]
    """Which administrator made it; None: its owner asked for it, or the command line did."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    replaced_at: Mapped[datetime | None]
    """A newer one, or another way to the same end, made it void."""

    __table_args__ = (
        CheckConstraint("purpose IN ('reset', 'invite', 'setup')", name="purpose"),
        CheckConstraint("(purpose = 'setup') = (user_id IS NULL)", name="of_a_user"),
    )


class Attempts(Base):
    """How often something was tried that only its owner should know; see `attempts.py`."""

    __tablename__ = "attempts"

    key: Mapped[str] = mapped_column(primary_key=True)
    used: Mapped[int]
    forget_at: Mapped[datetime] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None]
    refused: Mapped[int] = mapped_column(default=0, server_default="0")
