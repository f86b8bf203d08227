"""The caller."""

from fastapi import APIRouter

from sparkops.api.access import signed_in
from sparkops.api.deps import PrincipalDep, SessionDep
from sparkops.api.routes.projects import project_view
from sparkops.api.views import identity as views
from sparkops.domains.identity.queries import roles_of
from sparkops.domains.projects.queries import all_projects_of

router = APIRouter(tags=["auth"])


@router.get("/me", openapi_extra=signed_in())
async def get_me(principal: PrincipalDep, session: SessionDep) -> views.Me:
    """Return who is signed in, and all projects of this person."""
    roles = await roles_of(session, principal)
    projects = await all_projects_of(session, principal)
    user = views.User(id=principal.user_id, email=principal.email, name=principal.name, is_admin=principal.is_admin)
    return views.Me(user=user, projects=[project_view(project, roles) for project in projects])
