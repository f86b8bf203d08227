"""Second factors, recovery codes, and sign-ins that wait for a code."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.ids import new_id
from sparkops.core.orm import Base


class SecondFactor(Base):
    """The key that a person's authenticator app shares with us, encrypted as secrets are. A person has one at most."""

    __tablename__ = "second_factors"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    kek_id: Mapped[str]
    wrapped_key: Mapped[bytes]
    ciphertext: Mapped[bytes]
    begun_at: Mapped[datetime] = mapped_column(server_default=func.now())
    confirmed_at: Mapped[datetime | None]
    """None: the person has been shown the key and has not proved yet to have it; it counts for nothing."""
    last_step: Mapped[int | None]
    """Of the newest code that was accepted; no code of this step or of one before is accepted again."""

    __table_args__ = (CheckConstraint("(confirmed_at IS NULL) = (last_step IS NULL)", name="confirmed"),)


class RecoveryCode(Base):
    """A code that stands in once for the authenticator app. Only its hash is stored."""

    __tablename__ = "recovery_codes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime | None]


class Challenge(Base):
    """A sign-in whose password was right, in one browser. It is gone once it has become a session."""

    __tablename__ = "challenges"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
