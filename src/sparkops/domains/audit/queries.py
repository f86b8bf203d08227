"""Statements on the audit trail. The application may only insert."""

from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.json import Json
from sparkops.domains.audit.models import AuditEntry


async def add_line(
    session: AsyncSession,
    *,
    project_id: UUID | None,
    actor: str,
    via: str | None,
    address: str | None,
    request_id: str | None,
    action: str,
    subject: str,
    detail: dict[str, Json],
    before: dict[str, Json] | None,
    after: dict[str, Json] | None,
) -> None:
    """Insert a line; the database fills its time and its hash, and puts it on the list of those to be sealed."""
    await session.execute(
        # Inline: what a line got is not asked for, which not everybody who causes one may see.
        insert(AuditEntry)
        .inline()
        .values(
            project_id=project_id,
            actor=actor,
            via=via,
            address=address,
            request_id=request_id,
            action=action,
            object=subject,
            detail=detail,
            before=before,
            after=after,
            content_hash="",
        )
    )
