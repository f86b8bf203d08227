"""Where a second factor is demanded, of everybody or of administrators."""

import asyncio

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sparkops.api.access import FIELD, OPEN, UNFINISHED
from sparkops.api.deps import Door
from sparkops.api.subscriber import SESSION_ENDED
from sparkops.core.clock import utc_now
from sparkops.core.config import Settings
from sparkops.domains.identity import service
from sparkops.domains.identity.models import User
from tests.api.conftest import PASSWORD, MakePerson, Person, client_of
from tests.api.second_factors import (
    FACTOR,
    REFRESH,
    REQUIRED,
    administrator,
    enrol,
    enrolled,
    forget_codes,
    give_code,
    give_password,
    go_on,
)
from tests.api.sockets import listening, ticket_of, watching
from tests.api.test_walls import nowhere, operations, send


@pytest.fixture
def demand() -> str:
    return "off"


@pytest.fixture
def settings(settings: Settings, demand: str) -> Settings:
    return settings.model_copy(update={"second_factor": demand})


@pytest.mark.parametrize("demand", ["everybody"])
async def test_where_it_is_demanded_a_session_without_it_is_good_for_setting_it_up_alone(
    app: FastAPI, zoe: Person
) -> None:
    refused, allowed = set(), set()
    for operation in operations(app):
        described = operation[2]
        if described[FIELD] == OPEN or described["operationId"] == "signOut":
            continue
        answer = await send(zoe.client, operation, nowhere(operation[1]))
        if described.get(UNFINISHED):
            allowed.add(described["operationId"])
            assert answer.json().get("type") != REQUIRED
        else:
            assert (answer.status_code, answer.json()["type"]) == (403, REQUIRED), described["operationId"]
            refused.add(described["operationId"])
    assert allowed == {"getFactor", "beginFactor", "confirmFactor"}
    assert len(refused) > 80


@pytest.mark.parametrize("demand", ["everybody"])
async def test_who_sets_up_what_is_demanded_goes_on(anonymous: AsyncClient, door: Door, zoe: Person) -> None:
    answer = await give_password(anonymous, zoe.email)
    assert answer.json()["must_enrol"] is True
    assert (await anonymous.post(REFRESH)).json()["must_enrol"] is True
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await anonymous.get(FACTOR, headers=bearer)).json()["demanded"] is True
    phone = await enrol(anonymous, bearer)
    assert (await anonymous.get("/api/v1/me", headers=bearer)).status_code == 200
    assert (await anonymous.post(REFRESH)).json()["must_enrol"] is False

    await forget_codes(door)
    removed = await anonymous.post(f"{FACTOR}/remove", json={"current": PASSWORD, "code": phone.code()}, headers=bearer)
    assert (removed.status_code, removed.json()["must_enrol"]) == (200, True)
    go_on(bearer, removed.json())
    assert (await anonymous.get("/api/v1/me", headers=bearer)).json()["type"] == REQUIRED
    assert (await anonymous.post(REFRESH)).json()["must_enrol"] is True


@pytest.mark.parametrize("demand", ["everybody"])
async def test_who_has_one_is_let_in_by_it(anonymous: AsyncClient, door: Door, zoe: Person) -> None:
    phone = await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    answer = (await give_code(anonymous, phone.paper[0])).json()
    assert answer["must_enrol"] is False
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    assert (await anonymous.get("/api/v1/me", headers=bearer)).status_code == 200


@pytest.mark.parametrize("demand", ["administrators"])
async def test_it_may_be_demanded_of_administrators_alone(door: Door, zoe: Person, person: MakePerson) -> None:
    root = await administrator(person, door)
    assert (await zoe.client.get("/api/v1/me")).status_code == 200
    assert (await root.client.get("/api/v1/me")).json()["type"] == REQUIRED
    await enrol(root.client)
    assert (await root.client.get("/api/v1/users")).status_code == 200


@pytest.mark.parametrize("demand", ["administrators"])
async def test_a_socket_ends_when_a_second_factor_comes_to_be_demanded(app: FastAPI, door: Door, zoe: Person) -> None:
    """She becomes an administrator: what she has open ends within a second, and what she holds opens nothing."""
    async with listening(app) as address, watching(address, zoe) as watcher:
        ticket = await ticket_of(zoe)
        await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", zoe.id)
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(1):
                await watcher.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == SESSION_ENDED
        with pytest.raises(InvalidStatus):
            await connect(f"ws://{address}/api/v1/ws?ticket={ticket}")
        assert (await zoe.client.post("/api/v1/live/tickets")).json()["type"] == REQUIRED
        await enrol(zoe.client)
        async with watching(address, zoe) as again:
            await again.send(sub="project:nowhere")
            assert (await again.receive())["error"]["code"] == "not-found"


@pytest.mark.parametrize("demand", ["everybody"])
async def test_who_came_from_a_provider_is_not_asked_for_ours(door: Door, app: FastAPI, zoe: Person) -> None:
    async with door.database.sessions.begin() as session:
        user = await session.get_one(User, zoe.id)
        opened = await service.open_session(session, user=user, now=utc_now(), methods=("oidc",))
    token = door.signer.issue(user_id=user.id, session_id=opened.session_id, now=utc_now())
    async with client_of(app, Authorization=f"Bearer {token}") as client:
        assert (await client.get("/api/v1/me")).status_code == 200


@pytest.mark.parametrize("demand", ["everybody"])
async def test_keys_go_on_as_they_were(app: FastAPI, door: Door, zoe: Person) -> None:
    await enrol(zoe.client)
    made = await zoe.client.post("/api/v1/projects", json={"slug": "weather", "name": "Weather"})
    assert made.status_code == 201
    key = await zoe.client.post(
        "/api/v1/api-keys", json={"name": "ci", "scopes": ["run:read"], "projects": ["weather"]}
    )
    assert key.status_code == 201, key.text
    await door.database.pool.execute("DELETE FROM second_factors")
    async with client_of(app, Authorization=f"Bearer {key.json()['key']}") as client:
        assert (await client.get("/api/v1/runs", params={"project": "weather"})).status_code == 200
