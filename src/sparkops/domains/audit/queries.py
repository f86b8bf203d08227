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
    action: str,
    subject: str,
    detail: dict[str, Json],
    request_id: str | None,
) -> None:
    """Insert a line; the database fills its hash."""
    await session.execute(
        # Inline: what a line got is not asked for, which not everybody who causes one may see.
        insert(AuditEntry)
        .inline()
        .values(
            project_id=project_id,
            actor=actor,
            action=action,
            object=subject,
            detail=detail,
            request_id=request_id,
            content_hash="",
        )
    )
