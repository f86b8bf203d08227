"""The audit trail and the security events, as people read them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from sparkops.api.views.base import Ref, View

LineNumber = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Sealed(View):
    """The seal that covers a line."""

    number: int
    at: datetime
    root: str


class AuditLine(View):
    """One thing that was done, without what it changed."""

    number: int
    at: datetime
    project: str | None
    """The slug of the project; None: of the whole installation, or of a project that is gone."""
    actor: str
    """`user:<id>`, `worker`, `system`, or `system:<login>` for commands on the server."""
    who: Ref | None
    """The person or service account, where the actor is one that is known."""
    via: str | None
    """`session:<id>` or `key:<id>`."""
    address: str | None
    request_id: str | None
    action: str
    object: str


class AuditLineList(View):
    items: list[AuditLine]
    next_cursor: str | None


class AuditLineDetail(AuditLine):
    """One thing that was done, with what it changed. `seal` None: it waits for one, which takes about a second."""

    detail: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    content_hash: str
    seal: Sealed | None


class AuditChain(View):
    """How far the audit trail is sealed. Whether it is whole only `sparkops audit verify` can tell.

    `state`: `sealed` up to what has just come, `behind` where lines have waited for more than a minute, `never` where
    nothing was sealed.
    """

    state: Literal["sealed", "behind", "never"]
    seals: int
    lines: int
    """That seals cover, of the whole installation."""
    last: Sealed | None
    waiting: int
    """Counted up to a thousand."""
    waiting_since: datetime | None


class AuditAction(View):
    """An action that lines tell of."""

    action: str
    meaning: str


class AuditActionList(View):
    items: list[AuditAction]
    next_cursor: str | None


class SecurityEvent(View):
    """Something that happened to the platform's safety, such as a sign-in that failed."""

    number: int
    at: datetime
    kind: str
    severity: Literal["info", "warning", "critical"]
    who: Ref | None
    email: str | None
    project: str | None
    address: str | None
    request_id: str | None
    detail: dict[str, Any]


class SecurityEventList(View):
    items: list[SecurityEvent]
    next_cursor: str | None


class AuditRoot(View):
    """What of a seal is kept outside of the database, to compare it with."""

    number: int
    at: datetime
    lines: int
    root: str
    previous: str
    mac: str
    key_id: str


class AuditRootList(View):
    items: list[AuditRoot]
    next_cursor: str | None
