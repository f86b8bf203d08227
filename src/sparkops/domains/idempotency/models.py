"""Keys that creating requests came with, and what these were answered."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.orm import Base


class IdempotencyKey(Base):
    """One key of one user or API key for one route. While `status` is None the request goes on, or has died."""

    __tablename__ = "idempotency_keys"

    actor: Mapped[UUID] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    claim: Mapped[UUID]
    """Whose it is among requests with the same key; only this one may write the answer."""
    status: Mapped[int | None]
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Sealed with the key itself and the server's secret: it may hold what is shown only once."""
    expires_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("(status IS NULL) = (answer IS NULL)", name="answered"),
        Index("ix_idempotency_keys_expires_at", "expires_at"),
    )
