"""Statements on projects."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
from sparkops.core.paging import PageRequest
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.core.tenancy import show_also, visible_to
from sparkops.domains.projects.models import Project, ProjectDeletion
from sparkops.domains.projects.state import DeletionStatus


async def project_by_slug(session: AsyncSession, principal: Principal, *, slug: str) -> Project | None:
    """Return a project of the principal, or None."""
    project = await session.scalar(select(Project).where(Project.slug == slug, visible_to(principal, Project.id)))
    return project  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def projects_of(session: AsyncSession, principal: Principal, *, page: PageRequest) -> Sequence[Project]:
    """Return the principal's projects, newest first, one more than the page holds."""
    statement = select(Project).where(visible_to(principal, Project.id)).order_by(Project.id.desc())
    if page.after is not None:
        statement = statement.where(Project.id < page.after)
    return (await session.scalars(statement.limit(page.limit + 1))).all()


async def all_projects_of(session: AsyncSession, principal: Principal) -> Sequence[Project]:
    """Return all of the principal's projects by name; nobody is a member of many."""
    statement = select(Project).where(visible_to(principal, Project.id)).order_by(Project.name, Project.id)
    return (await session.scalars(statement)).all()


async def slugs_of(session: AsyncSession, principal: Principal, *, project_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """Return the slugs of projects by id, for showing where something belongs."""
    rows = await session.execute(
        select(Project.id, Project.slug).where(Project.id.in_(project_ids), visible_to(principal, Project.id))
    )
    return dict(rows.tuples().all())


async def add_project(session: AsyncSession, *, slug: str, name: str) -> Project | None:
    """Insert a project, which the session sees from now on; None if the slug is taken."""
    project_id = new_id()
    await show_also(session, project_id)
    project = await session.scalar(
        insert(Project)
        .values(id=project_id, slug=slug, name=name)
        .on_conflict_do_nothing(index_elements=[Project.slug])
        .returning(Project)
    )
    return project  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def limit_runs(
    session: AsyncSession, principal: Principal, *, project_id: UUID, max_running_runs: int | None
) -> None:
    """Set how many runs of a project of the principal's go on at once, None for any number."""
    await session.execute(
        update(Project)
        .where(Project.id == project_id, visible_to(principal, Project.id))
        .values(max_running_runs=max_running_runs)
    )


@dataclass(frozen=True, slots=True)
class Judging:
    """What the rules of a project go by: what holds where none matches, and the zone of its clocks."""

    default_effect: str
    time_zone: str
    slug: str


async def judging(session: AsyncSession, *, project_id: UUID) -> Judging:
    """Return what the rules of a project that exists go by; the caller has checked the project."""
    rows = await session.execute(
        select(Project.default_effect, Project.time_zone, Project.slug).where(Project.id == project_id)
    )
    return Judging(*rows.tuples().one())


async def change_judging(session: AsyncSession, principal: Principal, *, project_id: UUID, **changed: str) -> None:
    """Set `default_effect` or `time_zone` of a project of the principal's, or both."""
    await session.execute(
        update(Project).where(Project.id == project_id, visible_to(principal, Project.id)).values(**changed)
    )


async def change_retention(
    session: AsyncSession, principal: Principal, *, project_id: UUID, **changed: int | None
) -> None:
    """Set `keep_runs_days`, `keep_log_days` or `keep_values_days` of a project of the principal's; None: for ever."""
    await session.execute(
        update(Project).where(Project.id == project_id, visible_to(principal, Project.id)).values(**changed)
    )


async def last_deletion(session: AsyncSession, principal: Principal, *, project_id: UUID) -> ProjectDeletion | None:
    """Return the deletion of a project of the principal's that was asked for last, or None."""
    found = await session.scalar(
        select(ProjectDeletion)
        .where(ProjectDeletion.project_id == project_id, visible_to(principal, ProjectDeletion.project_id))
        .order_by(ProjectDeletion.id.desc())
        .limit(1)
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def projects_to_be_deleted(
    session: AsyncSession, principal: Principal, *, project_ids: Collection[UUID]
) -> Collection[UUID]:
    """Return those of these projects of the principal's that somebody has asked to delete, and that are still there."""
    found = await session.scalars(
        select(ProjectDeletion.project_id).where(
            ProjectDeletion.project_id.in_(project_ids),
            visible_to(principal, ProjectDeletion.project_id),
            ProjectDeletion.status.in_((DeletionStatus.ASKED, DeletionStatus.REMOVING)),
        )
    )
    return set(found)


_WAS_DELETED = "SELECT EXISTS (SELECT 1 FROM project_deletions WHERE slug = $1 AND status IN ('removing', 'done'))"


async def was_deleted(pool: "asyncpg.Pool[asyncpg.Record]", *, slug: str) -> bool:
    """Say whether a project of this name, whoever's it was, was deleted, or is being deleted."""
    return bool(await pool.fetchval(_WAS_DELETED, slug))


_WATCHED = """
    SELECT p.id FROM projects p JOIN memberships m ON m.project_id = p.id AND m.user_id = $2
     WHERE p.slug = $1 AND p.id = ANY ($3)
"""


async def watched_project(pool: "asyncpg.Pool[asyncpg.Record]", principal: Principal, *, slug: str) -> UUID | None:
    """Return the id of a project that the principal may watch, or None."""
    found: UUID | None = await pool.fetchval(
        _WATCHED, slug, principal.user_id, principal.reach(Permission.PROJECT_READ)
    )
    return found
