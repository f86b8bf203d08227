"""Security events: what happens to the platform's safety without being a change, such as a sign-in that failed.

They are written over the bare pool and commit by themselves: what is refused rolls its transaction back.
"""

import re
from typing import Literal
from uuid import UUID

import asyncpg

from sparkops.core.json import Json

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)*")
_EMAIL_CHARS = 320

Severity = Literal["info", "warning", "critical"]

_NOTE = """
    INSERT INTO security_events (kind, severity, user_id, email, project_id, address, request_id, detail)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def note(
    pool: "asyncpg.Pool[asyncpg.Record]",
    kind: str,
    *,
    severity: Severity = "info",
    user_id: UUID | None = None,
    email: str | None = None,
    project_id: UUID | None = None,
    address: str | None = None,
    request_id: str | None = None,
    **detail: Json,
) -> None:
    """Write an event of a kind such as `sign-in.failed`. It is there when this returns.

    `email` is what somebody typed where an address belongs; what is none is left out, because passwords get there too.
    """
    if email is not None and (len(email) > _EMAIL_CHARS or not _EMAIL.fullmatch(email)):
        email = None
    await pool.execute(_NOTE, kind, severity, user_id, email, project_id, address, request_id, detail)
