"""Writing the audit trail, in the transaction of the change it tells of."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.json import Json, canonical, digest_of
from sparkops.core.origin import origin
from sparkops.core.principal import Principal
from sparkops.domains.audit import queries

MAX_DOCUMENT_BYTES: Final = 64_000
"""Of what is told about a change, and of each state of what was changed; of more, the digest is kept."""


async def record(
    session: AsyncSession,
    principal: Principal,
    *,
    action: str,
    subject: str,
    project_id: UUID | None,
    before: dict[str, Json] | None = None,
    after: dict[str, Json] | None = None,
    **detail: Json,
) -> None:
    """Note that the principal did something to a subject such as `workflow:<id>`.

    `before` and `after` are what was changed, as far as people have to be able to compare it; None: there was nothing,
    or there is nothing any more, or `detail` says it all. The request that is being answered says where it came from.
    """
    asked = origin()
    await queries.add_line(
        session,
        project_id=project_id,
        actor=f"user:{principal.user_id}",
        via=asked.via if asked else None,
        address=asked.address if asked else None,
        request_id=asked.request_id if asked else None,
        action=action,
        subject=subject,
        detail=bounded(detail),
        before=None if before is None else bounded(before),
        after=None if after is None else bounded(after),
    )


def bounded(document: dict[str, Json]) -> dict[str, Json]:
    """Return a document as the trail keeps it: as it is, or by size and digest where it is large."""
    data = canonical(document)
    if len(data) <= MAX_DOCUMENT_BYTES:
        return document
    return {"too_large": {"bytes": len(data), "sha256": digest_of(data)}}
