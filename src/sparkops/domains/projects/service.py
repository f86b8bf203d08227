"""Use cases of projects."""

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict
from sparkops.domains.projects import queries
from sparkops.domains.projects.models import Project


async def create_project(session: AsyncSession, *, slug: str, name: str) -> Project:
    """Add a project. It has no members yet: the caller makes the first one in the same transaction.

    Raises:
        Conflict: the slug is taken, perhaps by a project that the caller cannot see.
    """
    project = await queries.add_project(session, slug=slug, name=name)
    if project is None:
        raise Conflict(f"The name {slug} is taken; choose another one.")
    return project
