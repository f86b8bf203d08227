"""The people of the installation, for its administrators."""

from typing import Annotated

from fastapi import APIRouter, Query

from sparkops.api.access import needs
from sparkops.api.deps import PageDep, SessionDep
from sparkops.api.responses import problems
from sparkops.api.views.access import Person, PersonList
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.domains.identity.members import people

router = APIRouter(prefix="/users", tags=["users"])


@router.get("", responses=problems(403), openapi_extra=needs(Permission.USER_MANAGE))
async def list_users(
    session: SessionDep,
    page: PageDep,
    q: Annotated[str, Query(max_length=100, description="A part of the name or the address.")] = "",
) -> PersonList:
    """List the people of the installation, the newest first."""
    found = page_of(await people(session, part=q.strip(), page=page), page)
    return PersonList(items=[Person.model_validate(one) for one in found.items], next_cursor=found.next_cursor)
