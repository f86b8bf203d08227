"""The audit trail: every change that matters for trust, written in the same transaction as the change."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, LargeBinary, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from sparkops.core.orm import Base


class AuditEntry(Base):
    """One line. The application may only insert; `content_hash` covers the line itself, and seals cover the hashes."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    project_id: Mapped[UUID | None]
    """None: it concerns the whole installation."""
    actor: Mapped[str]
    """`user:<id>`, `worker`, `system`, `system:<login>` for commands on the server."""
    via: Mapped[str | None]
    """`session:<id>` or `key:<id>`; None where nobody was signed in."""
    address: Mapped[str | None]
    """Of the client, as the server saw it."""
    request_id: Mapped[str | None]
    action: Mapped[str]
    """What was done, such as `policy.publish`; `actions.py` lists them."""
    object: Mapped[str]
    """To what, such as `policy:<id>`."""
    detail: Mapped[dict[str, Any]]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    content_hash: Mapped[str]

    __table_args__ = (Index("ix_audit_project_id_id", "project_id", "id"),)


class UnsealedLine(Base):
    """A line that no seal covers yet; written with the line, removed with the seal."""

    __tablename__ = "audit_unsealed"

    audit_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class AuditSeal(Base):
    """What a batch of lines said when it was sealed, chained to the seal before by `previous`, its `mac`.

    `hashes` holds the 32 bytes of each of `ids`, in that order; `lines` counts all lines sealed so far.
    """

    __tablename__ = "audit_seals"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    hashes: Mapped[bytes] = mapped_column(LargeBinary)
    lines: Mapped[int]
    root: Mapped[str]
    previous: Mapped[str]
    mac: Mapped[str]
    key_id: Mapped[str]

    __table_args__ = (
        CheckConstraint("number >= 1", name="number"),
        CheckConstraint("octet_length(hashes) = 32 * cardinality(ids)", name="hashes"),
        Index("ix_audit_seals_at", "at"),
    )


class SecurityEvent(Base):
    """Something that happened to the platform's safety. `kind` is a word such as `sign-in.failed`."""

    __tablename__ = "security_events"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), index=True)
    kind: Mapped[str]
    severity: Mapped[str]
    user_id: Mapped[UUID | None]
    email: Mapped[str | None]
    project_id: Mapped[UUID | None]
    address: Mapped[str | None]
    request_id: Mapped[str | None]
    detail: Mapped[dict[str, Any]]

    __table_args__ = (
        CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
        Index("ix_security_events_kind_id", "kind", "id"),
        Index("ix_security_events_user_id_id", "user_id", "id"),
    )
