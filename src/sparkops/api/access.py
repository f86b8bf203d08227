"""What each route needs: declared with the route, enforced before it runs, shown in the document as `x-permission`.

A route that declares nothing keeps the application from starting. The project that a request is about is found by the
first id in its path, or by the project's slug in path or query; what only a body names is looked up by `allowed`.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from sparkops.api.errors import FactorMissing
from sparkops.core.config import Settings
from sparkops.core.errors import Forbidden, NotFound
from sparkops.core.permissions import INSTALLATION, ROLES, Permission
from sparkops.core.principal import Place, Principal

FIELD: Final = "x-permission"
UNFINISHED: Final = "x-before-second-factor"
"""Marks what may be done by somebody who must have a second factor and has none yet."""
OPEN: Final = "open"
SIGNED_IN: Final = "signed-in"
PERSON: Final = "person"

TWO_FACTORS: Final = frozenset({"totp", "recovery", "oidc"})
"""Methods that are more than a password. How many factors a provider asks for is its own matter."""
NIL: Final = UUID(int=0)
"""Stands for the installation where a row belongs to no project."""
OWNERS: Final[Mapping[str, tuple[str, str]]] = {
    "run_id": ("runs", "run"),
    "approval_id": ("approvals", "approval"),
    "agent_id": ("agents", "agent"),
    "workflow_id": ("workflows", "workflow"),
    "tool_id": ("tools", "tool"),
    "artifact_id": ("artifacts", "file"),
    "policy_id": ("policies", "policy"),
    "decision_id": ("policy_decisions", "decision"),
    "violation_id": ("violations", "violation"),
    "backtest_id": ("backtests", "backtest"),
    "budget_id": ("budget_definitions", "budget"),
    "halt_id": ("halts", "halt"),
    "secret_id": ("secrets", "secret"),
}
"""By the name of an id in a path: the table whose row says to which project it belongs, and the word for it."""


def needs(permission: Permission) -> dict[str, Any]:
    """Declare that a route needs this permission in the project that it is about, or in the installation."""
    return {FIELD: permission.value}


def signed_in() -> dict[str, Any]:
    """Declare that a route is for everybody who is signed in, with a session or a key."""
    return {FIELD: SIGNED_IN}


def people_only(*, unfinished: bool = False) -> dict[str, Any]:
    """Declare that a route is for people with a session; no key, whatever its scopes, may use it.

    `unfinished`: also for those who must have a second factor here and have none yet.
    """
    return {FIELD: PERSON, UNFINISHED: True} if unfinished else {FIELD: PERSON}


def open_to_all() -> dict[str, Any]:
    """Declare that a route is for everybody, signed in or not."""
    return {FIELD: OPEN}


def declared(route: APIRoute) -> str | None:
    """Return what a route needs; None if it does not say."""
    value = (route.openapi_extra or {}).get(FIELD)
    return str(value) if value is not None else None


def is_for_unfinished(route: APIRoute) -> bool:
    """Say whether a route is also for those who must have a second factor and have none yet."""
    return bool((route.openapi_extra or {}).get(UNFINISHED))


def check_second_factor(settings: Settings, principal: Principal) -> None:
    """Do nothing if the settings are content with how somebody signed in. Keys have no part in it.

    Raises:
        FactorMissing: they demand a second factor.
    """
    if must_enrol(settings, principal):
        raise FactorMissing()


def must_enrol(settings: Settings, principal: Principal) -> bool:
    """Say whether the settings demand a second factor that somebody's session is without."""
    return principal.session_id is not None and lacks_factor(settings, principal.methods, is_admin=principal.is_admin)


def lacks_factor(settings: Settings, methods: Collection[str], *, is_admin: bool) -> bool:
    """Say whether the settings demand a second factor of somebody who signed in by these methods."""
    return settings.demands_second_factor(is_admin=is_admin) and TWO_FACTORS.isdisjoint(methods)


def subject_of(route: APIRoute) -> str | None:
    """Return the id in the route's path by which its project is found; None if there is none."""
    return next((name for name in route.param_convertors if name in OWNERS), None)


def check_routes(app: FastAPI | APIRouter) -> None:
    """Do nothing if every route says what it needs, and its project can be found.

    Raises:
        RuntimeError: one does not; the sentence names it.
    """
    for route in _routes_of(app):
        need = declared(route)
        if need is None:
            raise RuntimeError(f"{route.name} does not say which permission it needs; see sparkops/api/access.py.")
        if need in {OPEN, SIGNED_IN, PERSON} or need in INSTALLATION:
            continue
        subject = subject_of(route)
        if subject is not None and not _takes_only_ids(route, subject):
            raise RuntimeError(f"{route.name} takes any text for {subject}; declare it as UUID.")
        unknown = [name for name in route.param_convertors if name.endswith("_id") and name not in OWNERS]
        if unknown and subject is None and "slug" not in route.param_convertors:
            raise RuntimeError(f"{route.name} is about {unknown[0]}, whose project nobody can find; add it to OWNERS.")


def _takes_only_ids(route: APIRoute, name: str) -> bool:
    return any(one.name == name and one.field_info.annotation is UUID for one in route.dependant.path_params)


def _routes_of(app: FastAPI | APIRouter) -> Iterable[APIRoute]:
    """Return every route that serves data, shown in the document or not; the pages are files."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and (route.include_in_schema or (context.path or "").startswith("/api")):
            yield route


def check(principal: Principal, permission: Permission, project_id: UUID | None, what: str) -> None:
    """Do nothing if the principal may do this in a project (None: one that does not exist, `NIL`: the installation).

    Raises:
        NotFound: the project is not theirs, which looks like one that does not exist.
        Forbidden: it is, and their role or their key does not allow this.
    """
    if project_id == NIL:
        _check_installation(principal, permission)
        return
    place = None if project_id is None else principal.places.get(project_id)
    if place is None:
        raise NotFound(f"There is no such {what} here.")
    if not principal.may(permission, place.id):
        raise Forbidden(_refusal(principal, permission, place))


def _check_installation(principal: Principal, permission: Permission) -> None:
    """What belongs to the installation is read by all who may read its kind, and changed by administrators."""
    if principal.scopes is not None and permission not in principal.scopes:
        raise Forbidden(f"This key was not given {permission}.")
    if not permission.value.endswith(":read") and not principal.is_admin:
        raise Forbidden("Only administrators of the installation may do this.")


def check_everywhere(settings: Settings, principal: Principal, permission: Permission) -> None:
    """Do nothing if the principal may do this in the whole installation.

    Raises:
        Forbidden: they are no administrator of it, or it is a key, which never may.
    """
    if principal.session_id is None:
        raise Forbidden("This is for people who have signed in; no key may do it.")
    if permission is Permission.PROJECT_CREATE and may_create_projects(settings, principal):
        return
    if not principal.may(permission, None):
        raise Forbidden("Only administrators of the installation may do this.")


def may_create_projects(settings: Settings, principal: Principal) -> bool:
    """Say whether somebody may create projects. No key may, whatever its scopes."""
    everybody = settings.project_creators == "everybody" and principal.session_id is not None
    return everybody or principal.may(Permission.PROJECT_CREATE, None)


def allowed(principal: Principal, slug: str) -> Place:
    """Return the project of this slug if the principal may do there what the request was declared to need.

    Raises:
        NotFound, Forbidden: as `check`.
    """
    place = principal.place(slug)
    if principal.wants is not None:
        check(principal, principal.wants, place.id if place else None, "project")
    if place is None:
        raise NotFound("There is no such project here.")
    return place


def check_in_body(principal: Principal, project_id: UUID | None, what: str) -> None:
    """Do nothing if the principal may do what the request was declared to need to something that its body names.

    `project_id`: of that, None if there is no such thing for the principal, `NIL` if it is the installation's.

    Raises:
        NotFound, Forbidden: as `check`.
    """
    if principal.wants is not None:
        check(principal, principal.wants, project_id, what)


def _refusal(principal: Principal, permission: Permission, place: Place) -> str:
    if permission in ROLES[place.role]:
        return f"This key was not given {permission}."
    able = ", ".join(role for role, allowed in ROLES.items() if permission in allowed)
    return f"Your role in {place.slug} is {place.role}, which does not allow {permission}; these roles do: {able}."
