"""An application over real servers, and people who are signed in to it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api import app as api_app
from sparkops.api.app import create_app
from sparkops.api.deps import Door
from sparkops.api.schema import document
from sparkops.core import log
from sparkops.core.clock import utc_now
from sparkops.core.config import RateLimits, Settings
from sparkops.domains.identity import passwords, service
from sparkops.domains.identity import queries as identity
from sparkops.domains.identity.models import User
from tests.api.audited import Answers
from tests.reused import Reused

log.configure(level="warning")

PASSWORD = "correct horse battery staple"
CHEAP_ROUNDS = 4
ORIGIN = "http://testserver"
UNHURRIED = RateLimits(reads=10_000, writes=10_000, runs=10_000, sign_ins=10_000)
"""Tests of other things send more than people do."""

SOURCE = """\
version: 1
name: {name}
input:
  type: object
  properties: {{year: {{type: integer, default: 2014}}}}
steps:
  - {{id: first, type: tool, tool: noop, with: {{}}}}
  - {{id: second, type: transform, needs: [first], with: {{value: "${{{{ input.year }}}}"}}}}
"""


@pytest.fixture(autouse=True, scope="session")
def cheap_passwords() -> Iterator[None]:
    """A password costs what it must in the tests of passwords; here hundreds are compared, of nobody too."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(passwords.hash_password, "__kwdefaults__", {"rounds": CHEAP_ROUNDS})
        patched.setattr(passwords, "_NOBODY", passwords.hash_password("of nobody"))
        yield


@pytest.fixture(autouse=True, scope="session")
def lasting_connections(databases: Reused) -> Iterator[None]:
    """Applications share the connections of this process, which know the tables and the statements."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(api_app, "open_database", databases.open)
        yield


@dataclass(frozen=True)
class Person:
    """Somebody with an open session; `client` acts in this person's name."""

    id: UUID
    email: str
    client: AsyncClient
    token: str


@pytest.fixture
def settings(app_url: str, redis_url: str, tmp_path: Path) -> Settings:
    return settings_of(app_url, redis_url, tmp_path)


def settings_of(app_url: str, redis_url: str, data_dir: Path) -> Settings:
    return Settings(
        data_dir=data_dir,
        app_database_url=SecretStr(app_url),
        redis_url=SecretStr(redis_url),
        secret_key=SecretStr("k" * 32),
        secrets_key=SecretStr("0f" * 32),
        cors_origins=("https://ops.example.com",),
        allowed_hosts=("testserver",),
        rate_limits=UNHURRIED,
        project_creators="everybody",
    )


@pytest.fixture(scope="session")
def described() -> dict[str, Any]:
    """The OpenAPI document, which is the same for every application, and takes longer to write than to start one."""
    return document(create_app(Settings()))


@pytest.fixture
async def app(settings: Settings, tmp_path: Path, described: dict[str, Any]) -> AsyncIterator[FastAPI]:
    """An application; whatever a test changed through it is on record afterwards."""
    async with running(settings, tmp_path / "no-pages") as app:
        app.openapi_schema = described
        app.state.answers = Answers(app.openapi())
        yield app
        await app.state.answers.check(app.state.door.database.pool)


@asynccontextmanager
async def running(settings: Settings, pages: Path) -> AsyncIterator[FastAPI]:
    """An application that has started; several may run at once over the same servers."""
    app = create_app(settings, pages=pages)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def door(app: FastAPI) -> Door:
    door: Door = app.state.door
    return door


def client_of(app: FastAPI, **headers: str) -> AsyncClient:
    answers: Answers | None = getattr(app.state, "answers", None)
    hooks = {"response": [answers.note]} if answers else {}
    return AsyncClient(transport=ASGITransport(app), base_url=ORIGIN, headers=headers, event_hooks=hooks)


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with client_of(app) as client:
        yield client


def only_administrators_create_projects(app: FastAPI) -> None:
    """Set what is the default; in tests everybody does, who mostly owns a project of their own."""
    door: Door = app.state.door
    app.state.door = replace(door, settings=door.settings.model_copy(update={"project_creators": "administrators"}))


MakePerson = Callable[[str], Awaitable[Person]]


@pytest.fixture
async def person(app: FastAPI, door: Door) -> AsyncIterator[MakePerson]:
    """Makes people by name and signs them in, without the quarter second of a real password."""
    clients: list[AsyncClient] = []

    async def make(name: str) -> Person:
        made = await make_person(app, door, name)
        clients.append(made.client)
        return made

    yield make
    for client in clients:
        await client.aclose()


async def make_person(app: FastAPI, door: Door, name: str) -> Person:
    """Add somebody who is signed in; whoever calls closes the client."""
    async with door.database.sessions.begin() as session:
        user = await add_user(session, f"{name}@example.com", name)
        signed_in = await service.open_session(session, user=user, now=utc_now())
    token = door.signer.issue(user_id=user.id, session_id=signed_in.session_id, now=utc_now())
    return Person(user.id, user.email, client_of(app, Authorization=f"Bearer {token}"), token)


async def add_user(session: AsyncSession, email: str, name: str) -> User:
    user = await identity.add_user(
        session, email=email, name=name, password_hash=passwords.hash_password(PASSWORD), is_admin=False
    )
    assert user is not None
    return user


@pytest.fixture
async def ann(person: MakePerson) -> Person:
    """Owns the project `weather`."""
    made = await person("ann")
    await make_project(made)
    return made


async def make_project(owner: Person) -> None:
    answer = await owner.client.post("/api/v1/projects", json={"slug": "weather", "name": "Weather"})
    assert answer.status_code == 201, answer.text


@pytest.fixture
async def zoe(person: MakePerson) -> Person:
    """Belongs to no project."""
    return await person("zoe")


@pytest.fixture
async def bob(ann: Person, person: MakePerson) -> Person:
    """Member of ann's project."""
    made = await person("bob")
    answer = await ann.client.post("/api/v1/projects/weather/members", json={"email": made.email, "role": "admin"})
    assert answer.status_code == 201, answer.text
    return made


@pytest.fixture
async def eve(person: MakePerson) -> Person:
    """Member of nothing."""
    return await person("eve")
