"""Signing in with a second factor: which codes are taken, how often, and by whom."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import update

from sparkops.api.cookies import CHALLENGE_COOKIE
from sparkops.api.deps import Door
from sparkops.core.clock import utc_now
from sparkops.domains.identity import attempts
from sparkops.domains.identity.attempts import FACTOR as RULE
from sparkops.domains.identity.link_models import Attempts
from sparkops.domains.identity.links import Purpose, make_link
from tests.api.conftest import PASSWORD, MakePerson, Person, client_of
from tests.api.second_factors import (
    ANSWER,
    FACTOR,
    REFRESH,
    REFUSED,
    App,
    count,
    enrolled,
    give_code,
    give_password,
    kinds,
)


async def test_signing_in_takes_the_password_and_then_a_code(anonymous: AsyncClient, door: Door, zoe: Person) -> None:
    app = await enrolled(zoe, door)

    first = await give_password(anonymous, zoe.email)

    assert (first.status_code, first.json()) == (202, {"factor": "totp", "expires_in": first.json()["expires_in"]})
    assert 295 <= first.json()["expires_in"] <= 300
    (cookie,) = first.headers.get_list("set-cookie")
    assert all(part in cookie for part in (CHALLENGE_COOKIE, "HttpOnly", "SameSite=strict", "Path=/api/v1/auth"))
    assert (await anonymous.post(REFRESH)).status_code == 401, "nothing is open yet"

    second = await give_code(anonymous, app.code())

    assert second.status_code == 200
    bearer = {"Authorization": f"Bearer {second.json()['access_token']}"}
    assert (await anonymous.get("/api/v1/me", headers=bearer)).json()["user"]["id"] == str(zoe.id)
    assert CHALLENGE_COOKIE not in anonymous.cookies
    assert (await anonymous.post(REFRESH)).status_code == 200
    assert await door.database.pool.fetchval(
        "SELECT methods FROM sessions WHERE user_id = $1 ORDER BY created_at DESC LIMIT 1", zoe.id
    ) == ["password", "totp"]
    assert (await kinds(door))[-1] == "sign-in"


@pytest.mark.parametrize(
    ("email", "password"), [("zoe@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("nobody@example.com", "x")]
)
async def test_who_does_not_know_the_password_does_not_learn_whether_there_is_a_second_factor(
    anonymous: AsyncClient, door: Door, zoe: Person, email: str, password: str
) -> None:
    before = await give_password(anonymous, email, password)
    await enrolled(zoe, door)
    after = await give_password(anonymous, email, password)
    for answer in (before, after):
        assert answer.status_code == 401
        assert answer.json()["detail"] == "E-mail or password is wrong."
        assert "set-cookie" not in answer.headers


async def test_a_code_works_once(app: FastAPI, anonymous: AsyncClient, door: Door, zoe: Person) -> None:
    phone = await enrolled(zoe, door)
    code = phone.code()
    await give_password(anonymous, zoe.email)
    assert (await give_code(anonymous, code)).status_code == 200
    async with client_of(app) as overheard:
        await give_password(overheard, zoe.email)
        answer = await give_code(overheard, code)
        assert (answer.status_code, answer.json()["type"]) == (401, REFUSED)
        earlier = await give_code(overheard, phone.code(-1))
        assert earlier.status_code == 401, "nor one that was shown before it"
        assert (await give_code(overheard, phone.code(1))).status_code == 200


async def test_the_code_that_set_it_up_does_not_sign_in(anonymous: AsyncClient, zoe: Person) -> None:
    begun = (await zoe.client.post(FACTOR, json={"current": PASSWORD})).json()
    code = App(begun["key"], []).code()
    assert (await zoe.client.post(f"{FACTOR}/confirm", json={"code": code})).status_code == 200
    await give_password(anonymous, zoe.email)
    assert (await give_code(anonymous, code)).status_code == 401


@pytest.mark.parametrize("steps", [-2, 2, 120])
async def test_a_code_of_another_time_is_refused(anonymous: AsyncClient, door: Door, zoe: Person, steps: int) -> None:
    app = await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    assert (await give_code(anonymous, app.code(steps))).status_code == 401


async def test_a_recovery_code_works_once(app: FastAPI, door: Door, zoe: Person) -> None:
    paper = (await enrolled(zoe, door)).paper
    async with client_of(app) as first, client_of(app) as second:
        await give_password(first, zoe.email)
        assert (await give_code(first, paper[3].lower().replace("-", " "))).status_code == 200
        await give_password(second, zoe.email)
        assert (await give_code(second, paper[3])).status_code == 401
        assert (await give_code(second, paper[4])).status_code == 200
    assert (await zoe.client.get(FACTOR)).json()["recovery_codes"] == 8


async def test_nobody_signs_in_with_a_recovery_code_of_somebody_else(
    anonymous: AsyncClient, door: Door, zoe: Person, person: MakePerson
) -> None:
    await enrolled(zoe, door)
    other = await enrolled(await person("yan"), door)
    await give_password(anonymous, zoe.email)
    assert (await give_code(anonymous, other.paper[0])).status_code == 401
    assert (await give_code(anonymous, other.code())).status_code == 401


async def test_of_one_code_given_twenty_times_at_once_comes_one_session(app: FastAPI, door: Door, zoe: Person) -> None:
    phone = await enrolled(zoe, door)
    before = await count(door, "sessions")
    clients = [client_of(app) for _ in range(20)]
    try:
        for client in clients:
            assert (await give_password(client, zoe.email)).status_code == 202
        await door.database.pool.execute("DELETE FROM attempts")
        code = phone.code()
        answers = await asyncio.gather(*(give_code(client, code) for client in clients))
    finally:
        for client in clients:
            await client.aclose()
    assert [one.status_code for one in answers].count(200) == 1
    assert await count(door, "sessions") == before + 1


async def test_of_one_challenge_with_several_good_codes_at_once_comes_one_session(
    anonymous: AsyncClient, door: Door, zoe: Person
) -> None:
    phone = await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    before, cookie = (
        await count(door, "sessions"),
        {"Cookie": f"{CHALLENGE_COOKIE}={anonymous.cookies[CHALLENGE_COOKIE]}"},
    )
    codes = [phone.code(), *phone.paper[:3]]
    answers = await asyncio.gather(*(anonymous.post(ANSWER, json={"code": one}, headers=cookie) for one in codes))
    assert sorted(one.status_code for one in answers) == [200, 401, 401, 401]
    assert await count(door, "sessions") == before + 1


async def test_guessing_codes_is_stopped_by_what_the_database_has_counted(
    app: FastAPI, anonymous: AsyncClient, door: Door, zoe: Person
) -> None:
    phone = await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    wrong = phone.wrong()
    statuses = [(await give_code(anonymous, wrong)).status_code for _ in range(RULE.free + 1)]
    assert statuses == [401] * RULE.free + [429]
    async with client_of(app) as another:
        await give_password(another, zoe.email)
        answer = await give_code(another, phone.code())
        assert answer.status_code == 429, "a new sign-in brings no new attempts"
        assert 0 < int(answer.headers["retry-after"]) <= 15
    assert (await kinds(door)).count("factor.refused") == RULE.free
    async with door.database.sessions.begin() as session:
        await session.execute(update(Attempts).values(blocked_until=utc_now()))
    assert (await give_code(anonymous, phone.code())).status_code == 200, "the wait ends by itself"


async def test_whoever_knows_the_password_keeps_nobody_out_who_was_signed_in_with_this_browser(
    app: FastAPI, anonymous: AsyncClient, door: Door, zoe: Person
) -> None:
    phone = await enrolled(zoe, door)
    await give_password(anonymous, zoe.email)
    assert (await give_code(anonymous, phone.paper[0])).status_code == 200
    async with client_of(app) as thief:
        await give_password(thief, zoe.email)
        for _ in range(RULE.free + 1):
            answer = await give_code(thief, phone.wrong())
        assert answer.status_code == 429
    await give_password(anonymous, zoe.email)
    assert (await give_code(anonymous, phone.code())).status_code == 200


async def test_many_browsers_that_were_signed_in_find_no_code(
    app: FastAPI, door: Door, zoe: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed in with the password before there was a second factor; then with codes."""
    monkeypatch.setattr(attempts, "FACTOR_ALL", replace(attempts.FACTOR_ALL, free=9))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client_of(app)) for _ in range(4)]
        for client in clients:
            assert (await give_password(client, zoe.email)).status_code == 200
        phone = await enrolled(zoe, door)
        assert await guesses(clients, zoe, phone) == [401] * RULE.free + [429] * 3, "they are strangers by now"

        await door.database.pool.execute("DELETE FROM attempts")
        for client, code in zip(clients, phone.paper, strict=False):
            await give_password(client, zoe.email)
            assert (await give_code(client, code)).status_code == 200
        assert await guesses(clients, zoe, phone) == [401] * 9 + [429] * 2


async def guesses(clients: Sequence[AsyncClient], person: Person, phone: App) -> list[int]:
    """Guess four codes from each browser, or until it is refused."""
    statuses = []
    for client in clients:
        await give_password(client, person.email)
        for _ in range(4):
            statuses.append((await give_code(client, phone.wrong())).status_code)
            if statuses[-1] == 429:
                break
    return statuses


async def test_a_forgotten_password_does_not_go_around_it(anonymous: AsyncClient, door: Door, zoe: Person) -> None:
    phone = await enrolled(zoe, door)
    async with door.database.sessions.begin() as session:
        link = await make_link(session, purpose=Purpose.RESET, user_id=zoe.id, now=utc_now())
    new = "nine umbrellas in the attic"
    chosen = await anonymous.post("/api/v1/auth/password", json={"token": link.token, "password": new})
    assert chosen.status_code == 204
    assert (await give_password(anonymous, zoe.email, new)).status_code == 202
    assert (await give_code(anonymous, phone.code())).status_code == 200


async def test_changing_the_password_asks_for_a_code_too(door: Door, zoe: Person) -> None:
    phone = await enrolled(zoe, door)
    new = {"current": PASSWORD, "password": "nine umbrellas in the attic"}
    for body in (new, new | {"code": phone.wrong()}):
        refused = await zoe.client.post("/api/v1/me/password", json=body)
        assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "code")
    done = await zoe.client.post("/api/v1/me/password", json=new | {"code": phone.code()})
    assert done.status_code == 200
    methods = await door.database.pool.fetchval("SELECT methods FROM sessions WHERE revoked_at IS NULL")
    assert methods == ["password", "totp"], "the new session is as good as the one before"
