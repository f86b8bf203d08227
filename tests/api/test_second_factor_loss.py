"""Being without a second factor again: new recovery codes, removing it, losing it."""

from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from sparkops.api.deps import Door
from sparkops.domains.identity.attempts import OWN_FACTOR
from tests.api.conftest import PASSWORD, MakePerson, Person, client_of
from tests.api.second_factors import (
    FACTOR,
    REFRESH,
    administrator,
    count,
    enrolled,
    give_code,
    give_password,
    go_on,
)


async def test_new_recovery_codes_void_the_ones_before(anonymous: AsyncClient, door: Door, zoe: Person) -> None:
    phone = await enrolled(zoe, door)
    new = await zoe.client.post(f"{FACTOR}/recovery-codes", json={"current": PASSWORD, "code": phone.code()})
    assert len(new.json()["codes"]) == 10
    assert not set(new.json()["codes"]) & set(phone.paper)
    await give_password(anonymous, zoe.email)
    assert (await give_code(anonymous, phone.paper[0])).status_code == 401
    assert (await give_code(anonymous, new.json()["codes"][0])).status_code == 200


@pytest.mark.parametrize("path", ["remove", "recovery-codes"])
async def test_who_is_signed_in_changes_it_by_password_and_code_alone(door: Door, zoe: Person, path: str) -> None:
    phone = await enrolled(zoe, door)
    no_password = await zoe.client.post(f"{FACTOR}/{path}", json={"current": "wrong", "code": phone.code()})
    assert (no_password.status_code, no_password.json()["errors"][0]["path"]) == (422, "current")
    for _ in range(OWN_FACTOR.free):
        no_code = await zoe.client.post(f"{FACTOR}/{path}", json={"current": PASSWORD, "code": phone.wrong()})
        assert (no_code.status_code, no_code.json()["errors"][0]["path"]) == (422, "code")
    stopped = await zoe.client.post(f"{FACTOR}/{path}", json={"current": PASSWORD, "code": phone.code()})
    assert stopped.status_code == 429
    assert (await zoe.client.get(FACTOR)).json()["recovery_codes"] == 10


@pytest.mark.parametrize("kind", ["app", "paper"])
async def test_who_removes_it_signs_in_with_the_password_alone_again(
    app: FastAPI, anonymous: AsyncClient, door: Door, zoe: Person, kind: str
) -> None:
    phone = await enrolled(zoe, door)
    async with client_of(app) as elsewhere:
        await give_password(elsewhere, zoe.email)
        await give_code(elsewhere, phone.paper[0])
        code = phone.code() if kind == "app" else phone.paper[1]
        done = await zoe.client.post(f"{FACTOR}/remove", json={"current": PASSWORD, "code": code})
        assert done.status_code == 200
        go_on(zoe.client, done.json())
        assert (await elsewhere.post(REFRESH)).status_code == 401
    assert (await count(door, "second_factors"), await count(door, "recovery_codes")) == (0, 0)
    assert (await give_password(anonymous, zoe.email)).status_code == 200
    gone = await zoe.client.post(f"{FACTOR}/remove", json={"current": PASSWORD, "code": phone.code()})
    assert gone.status_code == 409


async def test_an_administrator_takes_it_away_from_who_lost_it(
    anonymous: AsyncClient, door: Door, zoe: Person, person: MakePerson
) -> None:
    root = await administrator(person, door)
    await enrolled(zoe, door)
    people = (await root.client.get("/api/v1/users")).json()["items"]
    assert {one["name"]: one["has_factor"] for one in people} == {"zoe": True, "root": False}

    done = await root.client.delete(f"/api/v1/users/{zoe.id}/factor")

    assert done.status_code == 204
    assert (await zoe.client.get("/api/v1/me")).status_code == 401, "all sessions have ended"
    assert (await give_password(anonymous, zoe.email)).status_code == 200
    event = await door.database.pool.fetchrow("SELECT * FROM security_events WHERE kind = 'factor.reset'")
    assert (event["severity"], event["user_id"], event["detail"]) == ("warning", zoe.id, {"by": root.email})
    assert (await root.client.delete(f"/api/v1/users/{zoe.id}/factor")).status_code == 409
    assert (await root.client.delete(f"/api/v1/users/{uuid4()}/factor")).status_code == 404


async def test_nobody_takes_away_their_own_without_a_code(door: Door, person: MakePerson) -> None:
    root = await administrator(person, door)
    await enrolled(root, door)
    assert (await root.client.delete(f"/api/v1/users/{root.id}/factor")).status_code == 409
    assert await count(door, "second_factors") == 1


async def test_who_is_no_administrator_takes_it_from_nobody(door: Door, zoe: Person, person: MakePerson) -> None:
    await enrolled(zoe, door)
    yan = await person("yan")
    assert (await yan.client.delete(f"/api/v1/users/{zoe.id}/factor")).status_code == 403
    assert await count(door, "second_factors") == 1
