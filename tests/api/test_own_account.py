"""What people do with their own account: name, password, sessions; and links that work once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from sparkops.api.cookies import COOKIE
from sparkops.api.deps import Door
from sparkops.core.clock import utc_now
from sparkops.core.ids import new_id
from sparkops.domains.identity import passwords
from sparkops.domains.identity.attempts import LINK_FROM, OWN_PASSWORD
from sparkops.domains.identity.link_models import AccountLink
from sparkops.domains.identity.links import Purpose, make_link
from sparkops.domains.identity.models import User
from sparkops.domains.identity.passwords import verify_password
from sparkops.domains.identity.refresh import new_family_key, new_token
from tests.api.conftest import PASSWORD, Person, add_user, client_of
from tests.tiers import WHOLE

SIGN_IN = "/api/v1/auth/sign-in"
NEW = "three kettles on the shore"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
async def zoe(door: Door) -> User:
    async with door.database.sessions.begin() as session:
        return await add_user(session, "zoe@example.com", "Zoe")


async def signed_in(app: FastAPI, user: User, password: str = PASSWORD, agent: str = FIREFOX) -> AsyncClient:
    """A browser of its own, signed in as this user."""
    client = client_of(app, **{"User-Agent": agent})
    answer = await client.post(SIGN_IN, json={"email": user.email, "password": password})
    assert answer.status_code == 200, answer.text
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return client


async def a_link(door: Door, user: User | None, purpose: Purpose = Purpose.RESET) -> str:
    async with door.database.sessions.begin() as session:
        made = await make_link(session, purpose=purpose, user_id=user.id if user else None, now=utc_now())
    return made.token


async def noted(door: Door, table: str, column: str) -> list[str]:
    return [row[0] for row in await door.database.pool.fetch(f"SELECT {column} FROM {table} ORDER BY id")]


# Sessions


async def test_sessions_are_listed_with_what_is_known_of_them(app: FastAPI, zoe: User) -> None:
    old = await signed_in(app, zoe, agent="curl/8.1")
    here = await signed_in(app, zoe)
    found = (await here.get("/api/v1/me/sessions")).json()["items"]
    assert [(one["device"], one["address"], one["current"]) for one in found] == [
        ("Firefox on Linux", "127.0.0.1", True),
        ("curl", "127.0.0.1", False),
    ]
    await old.post("/api/v1/auth/refresh", headers={"User-Agent": "python-httpx2/2"})
    found = (await here.get("/api/v1/me/sessions")).json()["items"]
    assert [one["device"] for one in found] == ["A Python program", "Firefox on Linux"], "the last used comes first"


async def test_one_session_is_ended_at_once_and_the_others_stay(app: FastAPI, door: Door, zoe: User) -> None:
    there, here = await signed_in(app, zoe), await signed_in(app, zoe)
    other = next(one for one in (await here.get("/api/v1/me/sessions")).json()["items"] if not one["current"])

    for _ in range(2):
        assert (await here.delete(f"/api/v1/me/sessions/{other['id']}")).status_code == 204

    assert (await there.get("/api/v1/me")).status_code == 401
    assert (await there.post("/api/v1/auth/refresh")).status_code == 401
    assert (await here.get("/api/v1/me")).status_code == 200
    assert await noted(door, "audit", "action") == ["session.end"]


async def test_all_others_are_ended_at_once(app: FastAPI, zoe: User) -> None:
    others = [await signed_in(app, zoe) for _ in range(3)]
    here = await signed_in(app, zoe)
    assert (await here.delete("/api/v1/me/sessions")).json() == {"ended": 3}
    assert [(await one.get("/api/v1/me")).status_code for one in others] == [401] * 3
    assert (await here.get("/api/v1/me")).status_code == 200
    assert (await here.delete("/api/v1/me/sessions")).json() == {"ended": 0}


async def test_a_session_of_somebody_else_is_none(app: FastAPI, ann: Person, bob: Person) -> None:
    theirs = (await bob.client.get("/api/v1/me/sessions")).json()["items"][0]["id"]
    foreign = await ann.client.delete(f"/api/v1/me/sessions/{theirs}")
    missing = await ann.client.delete(f"/api/v1/me/sessions/{new_id()}")
    assert (foreign.status_code, foreign.json()["detail"]) == (missing.status_code, missing.json()["detail"])
    assert foreign.status_code == 404
    assert (await bob.client.get("/api/v1/me")).status_code == 200


# Name and password


async def test_a_name_is_changed(ann: Person) -> None:
    assert (await ann.client.patch("/api/v1/me", json={"name": " Ann B. "})).json()["name"] == "Ann B."
    assert (await ann.client.get("/api/v1/me")).json()["user"]["name"] == "Ann B."
    assert (await ann.client.patch("/api/v1/me", json={"name": ""})).status_code == 422
    assert (await ann.client.patch("/api/v1/me", json={"name": "A", "is_admin": True})).status_code == 422


async def test_a_new_password_needs_the_present_one_and_ends_all_sessions(
    app: FastAPI, door: Door, anonymous: AsyncClient, zoe: User
) -> None:
    there, here = await signed_in(app, zoe), await signed_in(app, zoe)
    waiting = await a_link(door, zoe)
    before = here.cookies[COOKIE]

    answer = await here.post("/api/v1/me/password", json={"current": PASSWORD, "password": NEW})

    assert answer.status_code == 200, answer.text
    assert (await there.get("/api/v1/me")).status_code == 401
    assert (await here.get("/api/v1/me")).status_code == 401, "the one that asked goes on with another session"
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await here.get("/api/v1/me", headers=bearer)).status_code == 200
    assert here.cookies[COOKIE] != before
    assert (await here.post("/api/v1/auth/refresh")).status_code == 200
    assert (await anonymous.post(SIGN_IN, json={"email": zoe.email, "password": PASSWORD})).status_code == 401
    assert (await anonymous.post(SIGN_IN, json={"email": zoe.email, "password": NEW})).status_code == 200
    assert (await anonymous.post("/api/v1/auth/link", json={"token": waiting})).status_code == 404
    assert "password.change" in await noted(door, "audit", "action")


async def test_without_the_present_password_nothing_changes_and_guessing_is_stopped(
    app: FastAPI, door: Door, zoe: User
) -> None:
    here = await signed_in(app, zoe)
    body = {"current": "a guess of mine", "password": NEW}
    for _ in range(OWN_PASSWORD.free):
        answer = await here.post("/api/v1/me/password", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "current")
    right = await here.post("/api/v1/me/password", json={"current": PASSWORD, "password": NEW})
    assert right.status_code == 429
    assert (await here.get("/api/v1/me")).status_code == 200
    assert (await noted(door, "security_events", "kind")).count("password.refused") == OWN_PASSWORD.free


@pytest.mark.parametrize("password", ["short", "password1", "zoe@example.com", "Sparkops2026"])
async def test_a_password_that_would_be_guessed_is_refused_with_the_reason(
    app: FastAPI, zoe: User, password: str
) -> None:
    here = await signed_in(app, zoe)
    answer = await here.post("/api/v1/me/password", json={"current": PASSWORD, "password": password})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "password"
    assert (await here.get("/api/v1/me")).status_code == 200


async def test_spaces_belong_to_a_password(app: FastAPI, door: Door, anonymous: AsyncClient, zoe: User) -> None:
    token = await a_link(door, zoe)
    await anonymous.post("/api/v1/auth/password", json={"token": token, "password": f" {NEW} "})
    assert (await anonymous.post(SIGN_IN, json={"email": zoe.email, "password": NEW})).status_code == 401
    assert (await anonymous.post(SIGN_IN, json={"email": zoe.email, "password": f" {NEW} "})).status_code == 200


# Links


async def test_a_link_leads_to_a_new_password_once(app: FastAPI, door: Door, anonymous: AsyncClient, zoe: User) -> None:
    here = await signed_in(app, zoe)
    token = await a_link(door, zoe)

    shown = await anonymous.post("/api/v1/auth/link", json={"token": token})
    assert (shown.json()["purpose"], shown.json()["email"], shown.json()["name"]) == ("reset", zoe.email, "Zoe")
    bad = await anonymous.post("/api/v1/auth/password", json={"token": token, "password": "password1"})
    assert bad.status_code == 422, "a bad password does not use the link up"
    used = await anonymous.post("/api/v1/auth/password", json={"token": token, "password": NEW})
    assert used.status_code == 204, used.text

    assert (await here.get("/api/v1/me")).status_code == 401
    for path, body in (("link", {}), ("password", {"password": "another good one"})):
        again = await anonymous.post(f"/api/v1/auth/{path}", json={"token": token, **body})
        assert (again.status_code, again.json()["type"]) == (404, "urn:sparkops:problem:link-void")
    assert (await anonymous.post(SIGN_IN, json={"email": zoe.email, "password": NEW})).status_code == 200
    assert await noted(door, "audit", "action") == ["password.set"]
    assert await noted(door, "audit", "actor") == [f"user:{zoe.id}"]


async def test_a_link_ends_waits_that_strangers_caused(door: Door, anonymous: AsyncClient, zoe: User) -> None:
    for _ in range(11):
        await anonymous.post(SIGN_IN, json={"email": zoe.email, "password": "wrong"})
    await anonymous.post("/api/v1/auth/password", json={"token": await a_link(door, zoe), "password": NEW})
    assert (await anonymous.post(SIGN_IN, json={"email": zoe.email, "password": NEW})).status_code == 200


async def test_the_newest_link_alone_works_and_not_for_long(door: Door, anonymous: AsyncClient, zoe: User) -> None:
    older, newer = await a_link(door, zoe), await a_link(door, zoe)
    assert (await anonymous.post("/api/v1/auth/link", json={"token": older})).status_code == 404
    shown = (await anonymous.post("/api/v1/auth/link", json={"token": newer})).json()
    assert shown["expires_at"] < (utc_now() + timedelta(minutes=30)).isoformat()
    async with door.database.sessions.begin() as session:
        await session.execute(update(AccountLink).values(expires_at=utc_now()))
    assert (await anonymous.post("/api/v1/auth/link", json={"token": newer})).status_code == 404


async def test_the_token_of_a_link_is_stored_nowhere(door: Door, anonymous: AsyncClient, zoe: User) -> None:
    token = await a_link(door, zoe)
    await anonymous.post("/api/v1/auth/password", json={"token": token, "password": NEW})
    for table in ("account_links", "audit", "security_events", "attempts"):
        rows = await door.database.pool.fetch(f"SELECT to_jsonb(t)::text FROM {table} t")
        assert rows
        assert not any(token in row[0] or NEW in row[0] for row in rows)


async def test_trying_links_is_stopped(anonymous: AsyncClient) -> None:
    said = [
        (await anonymous.post("/api/v1/auth/link", json={"token": "x"})).status_code for _ in range(LINK_FROM.free + 1)
    ]
    assert said == [404] * LINK_FROM.free + [429]


async def test_without_a_mail_server_a_forgotten_password_is_for_administrators(anonymous: AsyncClient) -> None:
    assert (await anonymous.get("/api/v1/auth/options")).json() == {"mail": False, "set_up": False}
    answer = await anonymous.post("/api/v1/auth/forgot", json={"email": "zoe@example.com"})
    assert (answer.status_code, "administrator" in answer.json()["detail"]) == (409, True)


# The first administrator


ADA = {"email": "Ada@example.com", "name": "Ada", "password": NEW}


async def test_the_first_administrator_is_made_through_a_link_once(door: Door, anonymous: AsyncClient) -> None:
    token = await a_link(door, None, Purpose.SETUP)
    shown = (await anonymous.post("/api/v1/auth/link", json={"token": token})).json()
    assert (shown["purpose"], shown["email"]) == ("setup", None)

    answer = await anonymous.post("/api/v1/auth/set-up", json={"token": token, **ADA})

    assert answer.status_code == 201, answer.text
    assert answer.json()["user"] | {"id": ""} == {"id": "", "email": "ada@example.com", "name": "Ada", "is_admin": True}
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await anonymous.get("/api/v1/me", headers=bearer)).status_code == 200
    assert (await anonymous.post("/api/v1/auth/refresh")).status_code == 200
    again = await anonymous.post("/api/v1/auth/set-up", json={"token": token, **ADA | {"email": "eve@example.com"}})
    assert again.status_code == 404
    assert (await anonymous.get("/api/v1/auth/options")).json()["set_up"] is True
    assert await noted(door, "audit", "action") == ["installation.set-up"]


async def test_a_set_up_link_is_void_once_somebody_is_there(door: Door, anonymous: AsyncClient, zoe: User) -> None:
    token = await a_link(door, None, Purpose.SETUP)
    assert (await anonymous.post("/api/v1/auth/set-up", json={"token": token, **ADA})).status_code == 409


async def test_no_other_link_makes_an_administrator(door: Door, anonymous: AsyncClient, zoe: User) -> None:
    for purpose in (Purpose.RESET, Purpose.INVITE):
        token = await a_link(door, zoe, purpose)
        assert (await anonymous.post("/api/v1/auth/set-up", json={"token": token, **ADA})).status_code == 404
    setup = await a_link(door, None, Purpose.SETUP)
    used = await anonymous.post("/api/v1/auth/password", json={"token": setup, "password": NEW})
    assert used.status_code == 404


# Tokens of the wrong kind


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ODD = [
    "",
    " ",
    "null",
    "undefined",
    "true",
    "0",
    "[]",
    "{}",
    "' OR 1=1 --",
    "*",
    "%",
    "A" * 43,
    "A" * 84,
    "A" * 200,
    "\u0000",
    "é",
]
FIELDS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "link": lambda token: {"token": token},
    "password": lambda token: {"token": token, "password": NEW},
    "set-up": lambda token: {"token": token, **ADA},
}


async def all_refuse(client: AsyncClient, token: Any) -> None:
    for path, body in FIELDS.items():
        answer = await client.post(f"/api/v1/auth/{path}", json=body(token))
        assert answer.status_code in (400, 404, 409, 422), (path, token, answer.text)
    if isinstance(token, str) and token.isascii() and token.isprintable():
        cookie = await client.post("/api/v1/auth/refresh", headers={"Cookie": f"{COOKIE}={token}"})
        assert cookie.status_code == 401, token
        bearer = await client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert bearer.status_code == 401, token


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried here is tried often."""

    async def let_in(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr("sparkops.api.throttle.SignInThrottle.take_one", let_in)


@pytest.mark.parametrize("token", ODD)
async def test_no_odd_token_opens_anything(door: Door, anonymous: AsyncClient, unlimited: None, token: str) -> None:
    """Also not while a link of each kind is open, one of them of nobody: `user_id` is null there."""
    await a_link(door, None, Purpose.SETUP)
    async with door.database.sessions.begin() as session:
        user = await add_user(session, "zoe@example.com", "Zoe")
    await a_link(door, user)
    await all_refuse(anonymous, token)
    assert await door.database.pool.fetchval("SELECT count(*) FROM account_links WHERE used_at IS NOT NULL") == 0


@pytest.mark.usefixtures("unlimited")
@settings(max_examples=1_000 if WHOLE else 60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=JSON_VALUES)
async def test_no_value_of_another_type_opens_anything(anonymous: AsyncClient, token: Any) -> None:
    await all_refuse(anonymous, token)


async def test_a_token_of_one_kind_is_none_of_another(
    app: FastAPI, door: Door, anonymous: AsyncClient, unlimited: None, zoe: User
) -> None:
    here = await signed_in(app, zoe)
    ticket = (await here.post("/api/v1/live/tickets")).json()["ticket"]
    kinds = {
        "access": here.headers["Authorization"].removeprefix("Bearer "),
        "refresh": here.cookies[COOKIE],
        "device": here.cookies["sparkops_device"],
        "ticket": ticket,
        "session of nobody": new_token(new_id(), new_family_key()).text,
        "id of the user": str(zoe.id),
    }
    for name, token in kinds.items():
        for path, body in FIELDS.items():
            answer = await anonymous.post(f"/api/v1/auth/{path}", json=body(token))
            assert answer.status_code in (404, 422), (name, path)
        if name != "refresh":
            answer = await anonymous.post("/api/v1/auth/refresh", headers={"Cookie": f"{COOKIE}={token}"})
            assert answer.status_code == 401, name
        if name != "access":
            answer = await anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, name
    assert (await here.post("/api/v1/auth/refresh")).status_code == 200


# Time


async def test_for_nobody_a_password_is_compared_all_the_same(
    monkeypatch: pytest.MonkeyPatch, anonymous: AsyncClient, zoe: User
) -> None:
    """With one of the same cost, say the tests of passwords: so that the time of an answer tells nothing."""
    compared: list[str | None] = []

    def compare(password: str, stored: str | None) -> bool:
        compared.append(stored)
        return verify_password(password, stored)

    monkeypatch.setattr(passwords, "verify_password", compare)
    for email in (zoe.email, "nobody@example.com"):
        answer = await anonymous.post(SIGN_IN, json={"email": email, "password": "wrong"})
        assert answer.status_code == 401
    assert compared == [zoe.password_hash, None]
