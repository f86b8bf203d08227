"""What routes are given: the transaction, the caller, the project, a page, and the way to the engine."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, Header, Query, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from sparkops.api.access import (
    OPEN,
    OWNERS,
    PERSON,
    SIGNED_IN,
    allowed,
    check,
    check_everywhere,
    check_second_factor,
    declared,
    is_for_unfinished,
    subject_of,
)
from sparkops.api.addresses import address_of
from sparkops.api.denials import Denials
from sparkops.api.errands import Errands
from sparkops.api.errors import ForeignOrigin
from sparkops.api.key_access import principal_of_key
from sparkops.api.known import Known
from sparkops.api.live import Hub
from sparkops.api.oidc import OidcDoor
from sparkops.api.rates import Rates, class_of
from sparkops.api.throttle import SignInThrottle
from sparkops.api.tokens import Signer
from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.db import Database
from sparkops.core.envelope import Keys
from sparkops.core.errors import Forbidden, NotFound, Unauthenticated
from sparkops.core.json import Json
from sparkops.core.origin import acting_via
from sparkops.core.paging import DEFAULT_LIMIT, MAX_LIMIT, PageRequest, page_request
from sparkops.core.permissions import INSTALLATION, Permission
from sparkops.core.principal import Principal
from sparkops.core.tenancy import Rows, sight_of
from sparkops.domains.audit.service import record
from sparkops.domains.identity.keys import looks_like_key
from sparkops.domains.identity.queries import principal_and_owner
from sparkops.domains.projects.models import Project
from sparkops.domains.projects.queries import project_by_slug
from sparkops.engine.context import Engine


@dataclass(frozen=True, slots=True)
class Door:
    """What one API process holds."""

    settings: Settings
    database: Database
    engine: Engine
    redis: Redis
    blobs: Blobs
    signer: Signer
    throttle: SignInThrottle
    rates: Rates
    errands: Errands
    hub: Hub
    denials: Denials
    keys: Keys
    """Under which secrets are encrypted."""
    oidc: OidcDoor | None = None
    known: Known = field(default_factory=Known)

    def writes(self, principal: Principal) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction to which the database shows what the principal may see, and nothing else."""
        return self.database.walled.begin(sight_of(principal), "write")

    def reads(self, principal: Principal) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session for reading, without a transaction, that is shown as much."""
        return self.database.walled.begin(sight_of(principal), "read")

    def rows(self, principal: Principal) -> Rows:
        """Return what executes single statements, that is shown as much."""
        return self.database.walled.rows(sight_of(principal))


def door_of(connection: HTTPConnection) -> Door:
    """Return what this process holds; `app.py` puts it there when it starts."""
    return cast(Door, connection.app.state.door)


async def get_door(request: Request) -> Door:
    """Return what this process holds."""
    return door_of(request)


DoorDep = Annotated[Door, Depends(get_door)]


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Open the request's one transaction: committed when the route has returned, rolled back when it raised.

    A GET changes nothing, and has none. The database shows it what the caller may see; where nobody has signed in,
    nothing of any project.
    """
    sight = sight_of(getattr(request.state, "principal", None))
    async with door_of(request).database.walled.begin(sight, "read" if request.method == "GET" else "write") as session:
        request.state.session = session
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
"""Scope `function` commits before the answer is sent; the default would answer first and commit after."""


class _SignedIn(SecurityBase):
    """Finds out who asks, by access token or API key, and whether they may. It needs no other dependency: every one
    costs each request its part."""

    def __init__(self) -> None:
        self.model = HTTPBearer(description="The access token of signIn or refresh, or an API key.")
        self.scheme_name = "HTTPBearer"

    async def __call__(self, request: Request) -> Principal:
        """Return who asks, if they may do what the route needs.

        The session is looked up each time: signing out, disabling and other roles act at once.

        Raises:
            Unauthenticated: there is no token, it is not valid, or its session or key has ended.
            NotFound: what the request is about does not exist, or belongs to a project of others.
            Forbidden: their role does not allow it, or they have yet to set up a second factor.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("This needs an access token or an API key: sign in first.")
        route: APIRoute = request.scope["route"]
        subject = subject_of(route)
        principal, project_id = await _who_and_where(request, token.strip(), subject)
        request.state.principal = principal
        acting_via(f"key:{principal.key_id}" if principal.key_id else f"session:{principal.session_id}")
        limit_caller(request, principal)
        if not is_for_unfinished(route):
            check_second_factor(door_of(request).settings, principal)
        need = declared(route)
        if need == PERSON and principal.session_id is None:
            raise Forbidden("This is for people who have signed in; no key may do it.")
        if need is None or need in (OPEN, SIGNED_IN, PERSON):
            return principal
        permission = Permission(need)
        if permission in INSTALLATION:
            check_everywhere(door_of(request).settings, principal, permission)
        elif subject is not None and _id_of(request.path_params[subject]) is not None:
            check(principal, permission, project_id, OWNERS[subject][1])
        principal = replace(principal, wants=permission)
        slug = request.path_params.get("slug") or request.query_params.get("project")
        if slug is not None and permission not in INSTALLATION:
            allowed(principal, slug)
        request.state.principal = principal
        return principal


def limit_caller(request: Request, principal: Principal) -> None:
    """Count a request, once, of somebody who is known by now; the answer's headers tell of this limit then.

    Raises:
        TooMany: it is one too many.
    """
    if getattr(request.state, "caller_counted", False):
        return
    request.state.caller_counted = True
    caller = principal.key_id or principal.user_id
    standing = door_of(request).rates.take_caller(str(caller), class_of(request.scope))
    request.state.standing = standing
    standing.check()


async def _who_and_where(request: Request, token: str, subject: str | None) -> tuple[Principal, UUID | None]:
    """Return who asks, and the project of what the request is about, in one statement."""
    door = door_of(request)
    table = OWNERS[subject][0] if subject else None
    wanted = _id_of(request.path_params[subject]) if subject else None
    if looks_like_key(token):
        return await principal_of_key(
            door.database.pool,
            token,
            host=request.client.host if request.client else "unknown",
            request_id=request.state.request_id,
            table=table,
            subject=wanted,
        )
    claims = door.signer.read(token)
    principal, project_id = await principal_and_owner(
        door.database.pool, session_id=claims.session_id, user_id=claims.user_id, table=table, subject=wanted
    )
    if principal is None:
        raise Unauthenticated("The session has ended; sign in again.")
    return principal, project_id


def _id_of(text: str) -> UUID | None:
    """Read an id of a path; None for what is none, which no route takes (`check_routes` sees to that)."""
    try:
        return UUID(text)
    except ValueError:
        return None


get_principal = _SignedIn()
PrincipalDep = Annotated[Principal, Depends(get_principal)]


async def get_page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")] = None,
) -> PageRequest:
    """Read which page of a list is asked for."""
    return page_request(limit, cursor)


PageDep = Annotated[PageRequest, Depends(get_page)]


async def find_project(session: AsyncSession, principal: Principal, slug: str) -> Project:
    """Return a project in which the principal may do what the request needs.

    Raises:
        NotFound: there is none, or it is somebody else's.
        Forbidden: their role in it does not allow this.
    """
    allowed(principal, slug)
    project = await project_by_slug(session, principal, slug=slug)
    if project is None:
        raise NotFound("There is no such project here.")
    return project


async def get_project_of_query(
    session: SessionDep, principal: PrincipalDep, project: Annotated[str, Query(description="The project's slug.")]
) -> Project:
    """Return the project that a list is asked for."""
    return await find_project(session, principal, project)


async def get_project_of_path(session: SessionDep, principal: PrincipalDep, slug: str) -> Project:
    """Return the project that the address names."""
    return await find_project(session, principal, slug)


QueriedProject = Annotated[Project, Depends(get_project_of_query, scope="function")]
NamedProject = Annotated[Project, Depends(get_project_of_path, scope="function")]


def client_address(request: Request) -> str:
    """Return where a request comes from, an IPv6 address cut to the network that one customer gets."""
    return address_of(request.scope)


def check_origin(origin: str | None, host: str | None, settings: Settings) -> None:
    """Refuse a request that a browser sent from a page of another origin; without the header it is no browser.

    Raises:
        ForeignOrigin: the origin is neither this server nor one that the settings list.
    """
    if origin is None or origin in settings.cors_origins:
        return
    scheme, _, netloc = origin.partition("://")
    if netloc != host or (settings.secure_cookies and scheme != "https"):
        raise ForeignOrigin()


async def same_origin(
    door: DoorDep,
    origin: Annotated[str | None, Header(include_in_schema=False)] = None,
    host: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> None:
    """Guard what acts on a cookie."""
    check_origin(origin, host, door.settings)


@dataclass(frozen=True, slots=True)
class Audit:
    """Writes the audit trail in the request's transaction, under the caller's name and the request's id."""

    session: AsyncSession
    principal: Principal

    async def __call__(
        self,
        action: str,
        subject: str,
        project_id: UUID | None,
        *,
        before: dict[str, Json] | None = None,
        after: dict[str, Json] | None = None,
        **detail: Json,
    ) -> None:
        """Note what the caller did to a subject such as `policy:<id>`, and what of it was before and is after."""
        await record(
            self.session,
            self.principal,
            action=action,
            subject=subject,
            project_id=project_id,
            before=before,
            after=after,
            **detail,
        )


async def get_audit(session: SessionDep, principal: PrincipalDep) -> Audit:
    """Return the way to note what the caller does."""
    return Audit(session, principal)


AuditDep = Annotated[Audit, Depends(get_audit, scope="function")]
