"""A sign-in that waits for a code: for how long, in which browser, and what ends it."""

import asyncio
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import update

from sparkops.api.cookies import CHALLENGE_COOKIE, COOKIE
from sparkops.api.deps import Door
from sparkops.core.clock import utc_now
from sparkops.domains.identity import service
from sparkops.domains.identity.factor_models import Challenge
from sparkops.domains.identity.links import Purpose, make_link
from sparkops.domains.identity.models import User
from tests.api.conftest import ORIGIN, PASSWORD, MakePerson, Person, client_of
from tests.api.second_factors import (
    ANSWER,
    REFRESH,
    VOID,
    administrator,
    count,
    enrolled,
    give_code,
    give_password,
)
from tests.locks import someone_waits


async def test_a_sign_in_waits_for_five_minutes(anonymous: AsyncClient, door: Door, zoe: Person) -> None:
    phone = await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    async with door.database.sessions.begin() as session:
        await session.execute(update(Challenge).values(expires_at=utc_now()))
    answer = await give_code(anonymous, phone.code())
    assert (answer.status_code, answer.json()["type"]) == (401, VOID)
    await give_password(anonymous, zoe.email)
    assert await count(door, "challenges") == 1, "those that have run out are cleared away"
    assert (await give_code(anonymous, phone.code())).status_code == 200, "the code was not used up"


async def test_a_sign_in_goes_on_in_its_own_browser_only(
    app: FastAPI, anonymous: AsyncClient, door: Door, zoe: Person
) -> None:
    phone = await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    async with client_of(app) as other:
        answer = await give_code(other, phone.code())
        assert (answer.status_code, answer.json()["type"]) == (401, VOID)
    foreign = await anonymous.post(ANSWER, json={"code": phone.code()}, headers={"Origin": "http://localhost:9999"})
    assert foreign.status_code == 403
    assert (await anonymous.post(ANSWER, json={"code": phone.code()}, headers={"Origin": ORIGIN})).status_code == 200


async def test_one_kind_of_token_is_never_taken_for_another(
    app: FastAPI, anonymous: AsyncClient, door: Door, zoe: Person
) -> None:
    phone = await enrolled(zoe, door)
    async with door.database.sessions.begin() as session:
        link = await make_link(session, purpose=Purpose.RESET, user_id=zoe.id, now=utc_now())
    await give_password(anonymous, zoe.email)
    challenge = anonymous.cookies[CHALLENGE_COOKIE]
    async with client_of(app) as fresh:
        await give_password(fresh, zoe.email)
        refresh_token = (await give_code(fresh, phone.paper[0])).cookies[COOKIE]
        device = fresh.cookies["sparkops_device"]

    async with client_of(app) as thief:
        as_access = await thief.get("/api/v1/me", headers={"Authorization": f"Bearer {challenge}"})
        as_refresh = await thief.post(REFRESH, headers={"Cookie": f"{COOKIE}={challenge}"})
        as_link = await thief.post("/api/v1/auth/password", json={"token": challenge, "password": "three kettles"})
        assert (as_access.status_code, as_refresh.status_code, as_link.status_code) == (401, 401, 404)
        for other in (zoe.token, refresh_token, link.token, device, str(uuid4()), "", "null", "A" * 43):
            cookie = {"Cookie": f"{CHALLENGE_COOKIE}={other}"}
            answer = await thief.post(ANSWER, json={"code": phone.code()}, headers=cookie)
            assert (answer.status_code, answer.json()["type"]) == (401, VOID), other
    assert (await give_code(anonymous, phone.code())).status_code == 200


@pytest.mark.parametrize("code", ["", " ", "0" * 65, 123456, None, ["123456"], {"code": "123456"}])
async def test_an_odd_code_is_refused_before_anything_is_looked_at(
    anonymous: AsyncClient, door: Door, zoe: Person, code: object
) -> None:
    await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    assert (await anonymous.post(ANSWER, json={"code": code})).status_code == 422


@pytest.mark.parametrize("code", ["\0" * 6, "١٢٣٤٥٦", "-12345", "1e5", "é" * 24, "'; --"])
async def test_a_text_that_is_no_code_is_a_wrong_one(
    anonymous: AsyncClient, door: Door, zoe: Person, code: str
) -> None:
    await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    assert (await give_code(anonymous, code)).status_code in (401, 422)


async def test_the_session_that_the_browser_held_ends_with_the_code_and_not_before(
    anonymous: AsyncClient, app: FastAPI, door: Door, zoe: Person
) -> None:
    phone = await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    await give_code(anonymous, phone.code())
    held = anonymous.cookies[COOKIE]
    await give_password(anonymous, zoe.email)
    assert await count(door, "sessions", "revoked_because = 'replaced'") == 0
    assert (await give_code(anonymous, phone.paper[0])).status_code == 200
    async with client_of(app, Cookie=f"{COOKIE}={held}") as other:
        assert (await other.post(REFRESH)).status_code == 401


@pytest.mark.parametrize("change", ["password", "disabled", "reset"])
async def test_a_sign_in_that_waits_ends_with_what_it_was_begun_with(
    anonymous: AsyncClient, door: Door, zoe: Person, person: MakePerson, change: str
) -> None:
    phone = await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    root = await administrator(person, door)
    if change == "password":
        new = {"current": PASSWORD, "password": "nine umbrellas in the attic", "code": phone.paper[0]}
        assert (await zoe.client.post("/api/v1/me/password", json=new)).status_code == 200
    elif change == "disabled":
        assert (await root.client.post(f"/api/v1/users/{zoe.id}/disable")).status_code == 200
    else:
        assert (await root.client.delete(f"/api/v1/users/{zoe.id}/factor")).status_code == 204
    answer = await give_code(anonymous, phone.code())
    assert (answer.status_code, answer.json()["type"]) == (401, VOID)


async def test_a_code_that_is_given_while_the_password_is_replaced_opens_nothing(
    anonymous: AsyncClient, door: Door, zoe: Person
) -> None:
    """Arranged: the change is not committed when the code comes; it waits, and finds its challenge gone."""
    phone = await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    async with door.database.sessions.begin() as session:
        user = await session.get_one(User, zoe.id, with_for_update={"key_share": True})
        await service.give_password(session, user=user, password_hash="other", now=utc_now())
        waiting = asyncio.create_task(give_code(anonymous, phone.code()))
        async with asyncio.timeout(10):
            while not await someone_waits(door.database.pool):
                assert not waiting.done(), "it did not have to wait"
                await asyncio.sleep(0.005)
    answer = await waiting
    assert (answer.status_code, answer.json()["type"]) == (401, VOID)
    assert await count(door, "sessions", "revoked_at IS NULL") == 0
