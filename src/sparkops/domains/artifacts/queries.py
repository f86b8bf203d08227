"""Reads of artifacts for people. `session` first, one statement each."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.artifacts.models import Artifact


async def artifacts(
    session: AsyncSession, principal: Principal, *, run_id: UUID, page: PageRequest
) -> Sequence[Artifact]:
    """Return the files of a run, oldest first, one more than the page holds."""
    statement = select(Artifact).where(Artifact.run_id == run_id, visible_to(principal, Artifact.project_id))
    if page.after is not None:
        statement = statement.where(Artifact.id > page.after)
    return (await session.scalars(statement.order_by(Artifact.id).limit(page.limit + 1))).all()


async def artifact(session: AsyncSession, principal: Principal, *, artifact_id: UUID) -> Artifact | None:
    """Return a file of one of the principal's projects, or None."""
    found = await session.scalar(
        select(Artifact).where(Artifact.id == artifact_id, visible_to(principal, Artifact.project_id))
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any
