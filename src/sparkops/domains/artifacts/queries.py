"""Reads of artifacts, and the one insert. `session` first, one statement each."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
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


async def written_by(session: AsyncSession, *, call_id: UUID, name: str) -> Artifact | None:
    """Return what this call has written under this name."""
    found = await session.scalar(select(Artifact).where(Artifact.call_id == call_id, Artifact.name == name))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def file_of_run(
    session: AsyncSession, *, project_id: UUID, run_id: UUID, name: str, version: int | None = None
) -> Artifact | None:
    """Return a file of the run in this version, or in its latest; for the run's own tools."""
    statement = select(Artifact).where(
        Artifact.project_id == project_id, Artifact.run_id == run_id, Artifact.name == name
    )
    if version is not None:
        statement = statement.where(Artifact.version == version)
    found = await session.scalar(statement.order_by(Artifact.version.desc()).limit(1))
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def lock_name(session: AsyncSession, *, run_id: UUID, name: str) -> None:
    """Wait until no other transaction is writing this file of this run; held until the transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"artifact:{run_id}:{name}", 0))))


async def add_version(session: AsyncSession, *, artifact: dict[str, object], run_id: UUID, name: str) -> Artifact:
    """Insert the next version of a file and return it. The name must be locked."""
    latest = select(func.coalesce(func.max(Artifact.version), 0) + 1).where(
        Artifact.run_id == run_id, Artifact.name == name
    )
    statement = insert(Artifact).values(
        id=new_id(), run_id=run_id, name=name, version=latest.scalar_subquery(), **artifact
    )
    return (await session.scalars(statement.returning(Artifact))).one()
