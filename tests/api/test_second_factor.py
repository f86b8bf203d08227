"""The second factor: setting it up, and what is on record of it."""

import base64
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from sparkops.api.deps import Door
from sparkops.core.config import Settings
from sparkops.domains.identity import factors, service, totp
from tests.api.conftest import PASSWORD, MakePerson, Person, client_of, running
from tests.api.second_factors import (
    FACTOR,
    REFRESH,
    App,
    count,
    enrol,
    enrolled,
    forget_codes,
    give_code,
    give_password,
    go_on,
    kinds,
)


async def test_a_key_is_shown_once_and_counts_when_the_app_has_shown_that_it_has_it(
    anonymous: AsyncClient, door: Door, zoe: Person
) -> None:
    assert (await zoe.client.get(FACTOR)).json() == {
        "enrolled_at": None,
        "recovery_codes": 0,
        "demanded": False,
        "has_password": True,
    }
    begun = (await zoe.client.post(FACTOR, json={"current": PASSWORD})).json()
    assert begun["address"].startswith("otpauth://totp/Spark-Ops:zoe%40example.com?secret=" + begun["key"])
    assert begun["picture"].startswith("data:image/svg+xml")
    assert (await give_password(anonymous, zoe.email)).status_code == 200, "it is not confirmed yet"

    app = App(begun["key"], [])
    wrong = await zoe.client.post(f"{FACTOR}/confirm", json={"code": app.wrong()})
    assert (wrong.status_code, wrong.json()["errors"][0]["path"]) == (422, "code")
    done = await zoe.client.post(f"{FACTOR}/confirm", json={"code": app.code()})

    assert len(set(done.json()["codes"])) == totp.RECOVERY_CODES
    go_on(zoe.client, done.json()["tokens"])
    state = (await zoe.client.get(FACTOR)).json()
    assert (state["enrolled_at"] is not None, state["recovery_codes"]) == (True, 10)
    assert begun["key"] not in str(state)
    assert (await give_password(anonymous, zoe.email)).status_code == 202
    again = await zoe.client.post(FACTOR, json={"current": PASSWORD})
    assert again.status_code == 409
    twice = await zoe.client.post(f"{FACTOR}/confirm", json={"code": app.code(1)})
    assert twice.status_code == 409


async def test_setting_up_asks_for_the_password_and_stops_guessing_it(door: Door, zoe: Person) -> None:
    refused = await zoe.client.post(FACTOR, json={"current": "wrong"})
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "current")
    assert await count(door, "second_factors") == 0
    for _ in range(4):
        await zoe.client.post(FACTOR, json={"current": "wrong"})
    assert (await zoe.client.post(FACTOR, json={"current": PASSWORD})).status_code == 429


async def test_a_key_that_was_shown_long_ago_is_confirmed_no_more(zoe: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    key = (await zoe.client.post(FACTOR, json={"current": PASSWORD})).json()["key"]
    monkeypatch.setattr(factors, "BEGUN_LIFETIME", timedelta(0))
    assert (await zoe.client.post(f"{FACTOR}/confirm", json={"code": App(key, []).code()})).status_code == 409


async def test_a_key_that_was_begun_anew_replaces_the_one_before(zoe: Person) -> None:
    first = (await zoe.client.post(FACTOR, json={"current": PASSWORD})).json()["key"]
    second = (await zoe.client.post(FACTOR, json={"current": PASSWORD})).json()["key"]
    assert first != second
    old = await zoe.client.post(f"{FACTOR}/confirm", json={"code": App(first, []).code()})
    assert old.status_code == 422
    assert (await zoe.client.post(f"{FACTOR}/confirm", json={"code": App(second, []).code()})).status_code == 200


async def test_setting_up_ends_every_other_session(app: FastAPI, door: Door, zoe: Person) -> None:
    async with client_of(app) as elsewhere:
        await give_password(elsewhere, zoe.email)
        await enrol(zoe.client)
        assert (await elsewhere.post(REFRESH)).status_code == 401
    assert (await zoe.client.get("/api/v1/me")).status_code == 200


async def test_a_token_from_before_gets_no_second_factor(
    app: FastAPI, anonymous: AsyncClient, door: Door, zoe: Person
) -> None:
    """Somebody has copied what the browser held before it was set up, and before it was removed."""
    before = (await give_password(anonymous, zoe.email)).json()["access_token"]
    bearer = {"Authorization": f"Bearer {before}"}
    until = await door.database.pool.fetchval("SELECT max(ends_at) FROM sessions")
    phone = await enrol(anonymous, bearer)
    assert bearer["Authorization"] != f"Bearer {before}"
    async with client_of(app, Authorization=f"Bearer {before}") as thief:
        assert (await thief.get("/api/v1/me")).status_code == 401
    assert (await anonymous.get("/api/v1/me", headers=bearer)).status_code == 200
    live = "SELECT methods, ends_at FROM sessions WHERE revoked_at IS NULL"
    (held,) = await door.database.pool.fetch(live)
    assert (held["methods"], held["ends_at"]) == (["password", "totp"], until), "it lasts no longer than it would have"
    assert (await anonymous.post(REFRESH)).status_code == 200, "the cookie is that of the new session"

    body = {"current": PASSWORD, "code": phone.paper[0]}
    removed = await anonymous.post(f"{FACTOR}/remove", json=body, headers=bearer)
    assert (await anonymous.get("/api/v1/me", headers=bearer)).status_code == 401
    go_on(anonymous, removed.json())
    assert (await anonymous.get("/api/v1/me")).status_code == 200
    (held,) = await door.database.pool.fetch(live)
    assert (held["methods"], held["ends_at"]) == (["password"], until)


async def test_neither_key_nor_codes_can_be_read_from_the_database(door: Door, zoe: Person) -> None:
    app = await enrol(zoe.client)
    (factor,) = await door.database.pool.fetch("SELECT * FROM second_factors")
    codes = await door.database.pool.fetch("SELECT * FROM recovery_codes")
    events = await door.database.pool.fetch("SELECT * FROM security_events")
    lines = await door.database.pool.fetch("SELECT * FROM audit")
    stored = repr([factor, *codes, *events, *lines])
    for secret in (app.key, *app.paper):
        assert secret not in stored
        assert secret.replace("-", "") not in stored
    assert base64.b32decode(app.key) not in factor["ciphertext"]


async def test_a_key_that_was_moved_to_somebody_else_opens_nothing(
    anonymous: AsyncClient, door: Door, zoe: Person, person: MakePerson, owner_url: str
) -> None:
    """Somebody who can write the database cannot sign in as others with an app of their own."""
    yan = await person("yan")
    thief, _ = await enrolled(yan, door), await enrolled(zoe, door)
    owner = await asyncpg.connect(owner_url)
    await owner.execute(
        "UPDATE second_factors z SET kek_id = y.kek_id, wrapped_key = y.wrapped_key, ciphertext = y.ciphertext"
        "  FROM second_factors y WHERE z.user_id = $1 AND y.user_id = $2",
        zoe.id,
        yan.id,
    )
    await owner.close()
    await give_password(anonymous, zoe.email)
    answer = await give_code(anonymous, thief.code())
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:sparkops:problem:secret-lost")
    assert await count(door, "sessions", f"user_id = '{zoe.id}' AND 'totp' = ANY (methods)") == 1, "zoe's own"


async def test_without_keys_of_the_installation_nobody_sets_one_up(settings: Settings, tmp_path: Path) -> None:
    async with (
        running(settings.model_copy(update={"secrets_key": None}), tmp_path / "no") as app,
        client_of(app) as one,
    ):
        door: Door = app.state.door
        async with door.database.sessions.begin() as session:
            user = await service.create_user(
                session, email="zoe@example.com", name="Zoe", password=PASSWORD, is_admin=False
            )
        token = (await give_password(one, user.email)).json()["access_token"]
        answer = await one.post(FACTOR, json={"current": PASSWORD}, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:sparkops:problem:secrets-not-set-up")


async def test_what_happens_to_a_second_factor_is_on_record(door: Door, zoe: Person) -> None:
    phone = await enrolled(zoe, door)
    await zoe.client.post(f"{FACTOR}/recovery-codes", json={"current": PASSWORD, "code": phone.code()})
    await forget_codes(door)
    await zoe.client.post(f"{FACTOR}/remove", json={"current": PASSWORD, "code": phone.code()})
    lines = await door.database.pool.fetch("SELECT action, object FROM audit WHERE action LIKE 'factor.%' ORDER BY id")
    assert [line["action"] for line in lines] == ["factor.enrol", "factor.recovery-codes", "factor.remove"]
    assert {line["object"] for line in lines} == {f"user:{zoe.id}"}
    assert await kinds(door) == ["factor.enrolled", "factor.recovery-codes", "factor.removed"]
