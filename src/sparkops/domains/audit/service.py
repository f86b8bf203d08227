"""Writing the audit trail, in the transaction of the change it tells of."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.json import Json
from sparkops.core.principal import Principal
from sparkops.domains.audit import queries


async def record(
    session: AsyncSession,
    principal: Principal,
    *,
    action: str,
    subject: str,
    project_id: UUID | None,
    request_id: str | None,
    **detail: Json,
) -> None:
    """Note that the principal did something to a subject such as `workflow:<id>`."""
    await queries.add_line(
        session,
        project_id=project_id,
        actor=f"user:{principal.user_id}",
        action=action,
        subject=subject,
        detail=detail,
        request_id=request_id,
    )
