"""What routes are given: the transaction, the caller, the project, a page, and the way to the engine."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, Header, Query, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from sparkops.api.addresses import address_of
from sparkops.api.errors import ForeignOrigin
from sparkops.api.known import Known
from sparkops.api.live import Hub
from sparkops.api.rates import Rates, class_of
from sparkops.api.throttle import SignInThrottle
from sparkops.api.tokens import Signer
from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.db import Database
from sparkops.core.errors import Forbidden, NotFound, Unauthenticated
from sparkops.core.json import Json
from sparkops.core.paging import DEFAULT_LIMIT, MAX_LIMIT, PageRequest, page_request
from sparkops.core.principal import Principal
from sparkops.domains.audit.service import record
from sparkops.domains.identity.queries import principal_of
from sparkops.domains.projects.models import Project
from sparkops.domains.projects.queries import project_by_slug, watched_project
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
    hub: Hub
    known: Known = field(default_factory=Known)


def door_of(connection: HTTPConnection) -> Door:
    """Return what this process holds; `app.py` puts it there when it starts."""
    return cast(Door, connection.app.state.door)


async def get_door(request: Request) -> Door:
    """Return what this process holds."""
    return door_of(request)


DoorDep = Annotated[Door, Depends(get_door)]


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Open the request's one transaction: committed when the route has returned, rolled back when it raised.

    A GET changes nothing, and has none.
    """
    database = door_of(request).database
    sessions = database.reads if request.method == "GET" else database.sessions
    async with sessions.begin() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
"""Scope `function` commits before the answer is sent; the default would answer first and commit after."""


class _SignedIn(SecurityBase):
    """Finds out who asks, by the access token. It needs no other dependency: every one costs each request its part."""

    def __init__(self) -> None:
        self.model = HTTPBearer(description="The access token of signIn or refresh.")
        self.scheme_name = "HTTPBearer"

    async def __call__(self, request: Request) -> Principal:
        """Return who asks. The session is looked up each time: signing out and disabling act at once.

        Raises:
            Unauthenticated: there is no token, it is not valid, or its session has ended.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("This needs an access token: sign in first.")
        door = door_of(request)
        claims = door.signer.read(token.strip())
        principal = await principal_of(door.database.pool, session_id=claims.session_id, user_id=claims.user_id)
        if principal is None:
            raise Unauthenticated("The session has ended; sign in again.")
        request.state.principal = principal
        limit_caller(request, door, principal)
        return principal


def limit_caller(request: Request, door: Door, principal: Principal) -> None:
    """Count a request of somebody who is known by now; the answer's headers tell of this limit then.

    Raises:
        TooMany: it is one too many.
    """
    standing = door.rates.take_caller(str(principal.user_id), class_of(request.scope))
    request.state.standing = standing
    standing.check()


get_principal = _SignedIn()
PrincipalDep = Annotated[Principal, Depends(get_principal)]


async def administrators_only(principal: PrincipalDep) -> None:
    """Guard what concerns the whole installation.

    Raises:
        Forbidden: the caller is no administrator of it.
    """
    if not principal.is_admin:
        raise Forbidden("Only administrators of the installation may do this.")


async def get_page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")] = None,
) -> PageRequest:
    """Read which page of a list is asked for."""
    return page_request(limit, cursor)


PageDep = Annotated[PageRequest, Depends(get_page)]


async def find_project(session: AsyncSession, principal: Principal, slug: str) -> Project:
    """Return a project of which the principal is a member.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    project = await project_by_slug(session, principal, slug=slug)
    if project is None:
        raise NotFound("There is no such project here.")
    return project


async def get_project_of_query(
    session: SessionDep, principal: PrincipalDep, project: Annotated[str, Query(description="The project's slug.")]
) -> Project:
    """Return the project that a list is asked for."""
    return await find_project(session, principal, project)


async def find_project_id(door: Door, principal: Principal, slug: str) -> UUID:
    """Return the id of a project of which the principal is a member.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    project_id = await watched_project(door.database.pool, principal, slug=slug)
    if project_id is None:
        raise NotFound("There is no such project here.")
    return project_id


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
    request_id: str

    async def __call__(self, action: str, subject: str, project_id: UUID | None, **detail: Json) -> None:
        await record(
            self.session,
            self.principal,
            action=action,
            subject=subject,
            project_id=project_id,
            request_id=self.request_id,
            **detail,
        )


async def get_audit(request: Request, session: SessionDep, principal: PrincipalDep) -> Audit:
    """Return the way to note what the caller does."""
    return Audit(session, principal, request.state.request_id)


AuditDep = Annotated[Audit, Depends(get_audit, scope="function")]
