"""Signing in, staying signed in, signing out."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import update

from sparkops.api.app import open_redis
from sparkops.api.deps import Door
from sparkops.api.routes.auth import COOKIE
from sparkops.api.throttle import PER_ACCOUNT, SignInThrottle
from sparkops.api.tokens import ISSUER
from sparkops.core.clock import utc_now
from sparkops.domains.identity.models import Session, User
from sparkops.domains.identity.service import REUSE_GRACE
from tests.api.conftest import ORIGIN, PASSWORD, MakePerson, Person, add_user, client_of

SIGN_IN = "/api/v1/auth/sign-in"
REFRESH = "/api/v1/auth/refresh"


@pytest.fixture
async def user(door: Door) -> User:
    async with door.database.sessions.begin() as session:
        return await add_user(session, "zoe@example.com", "Zoe")


async def sign_in(client: AsyncClient, password: str = PASSWORD, email: str = "zoe@example.com") -> int:
    answer = await client.post(SIGN_IN, json={"email": email, "password": password})
    return answer.status_code


async def test_sign_in_gives_a_token_that_works_and_a_strict_cookie(anonymous: AsyncClient, user: User) -> None:
    answer = await anonymous.post(SIGN_IN, json={"email": " ZOE@example.com ", "password": PASSWORD})

    assert answer.status_code == 200
    assert answer.json()["user"] == {"id": str(user.id), "email": user.email, "name": "Zoe", "is_admin": False}
    assert answer.json()["expires_in"] == 900
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/api/v1/auth"))
    me = await anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"})
    assert me.json()["user"]["id"] == str(user.id)


@pytest.mark.parametrize(
    ("email", "password"),
    [("zoe@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("zoe@example.com", "x" * 900)],
)
async def test_wrong_credentials_are_all_answered_alike(
    anonymous: AsyncClient, user: User, email: str, password: str
) -> None:
    answer = await anonymous.post(SIGN_IN, json={"email": email, "password": password})

    assert answer.status_code == 401
    assert answer.json()["detail"] == "E-mail or password is wrong."
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "set-cookie" not in answer.headers


async def test_a_disabled_user_can_neither_sign_in_nor_go_on(
    anonymous: AsyncClient, door: Door, person: MakePerson
) -> None:
    zoe = await person("zoe")
    assert (await zoe.client.get("/api/v1/me")).status_code == 200

    async with door.database.sessions.begin() as session:
        await session.execute(update(User).where(User.id == zoe.id).values(disabled_at=utc_now()))

    assert (await zoe.client.get("/api/v1/me")).status_code == 401
    assert await sign_in(anonymous) == 401


async def test_guessing_is_stopped_even_while_redis_is_away(app: FastAPI, door: Door, user: User) -> None:
    app.state.door = replace(door, throttle=SignInThrottle(open_redis("redis://127.0.0.1:1")))
    async with client_of(app) as client:
        statuses = [await sign_in(client, "wrong") for _ in range(PER_ACCOUNT + 1)]

        assert statuses == [401] * PER_ACCOUNT + [429]
        refused = await client.post(SIGN_IN, json={"email": "zoe@example.com", "password": PASSWORD})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert await sign_in(client, email="other@example.com") == 401


async def test_the_right_password_forgets_the_wrong_ones(anonymous: AsyncClient, user: User) -> None:
    for _ in range(3):
        for _ in range(PER_ACCOUNT - 1):
            assert await sign_in(anonymous, "wrong") == 401
        assert await sign_in(anonymous) == 200


async def test_refreshing_replaces_the_cookie_and_keeps_the_session(anonymous: AsyncClient, user: User) -> None:
    await sign_in(anonymous)
    first = anonymous.cookies[COOKIE]

    answer = await anonymous.post(REFRESH)

    assert answer.status_code == 200
    assert anonymous.cookies[COOKIE] != first
    assert (await anonymous.post(REFRESH)).status_code == 200


async def test_two_tabs_may_refresh_at_once(app: FastAPI, anonymous: AsyncClient, user: User) -> None:
    await sign_in(anonymous)
    shared = anonymous.cookies[COOKIE]
    assert (await anonymous.post(REFRESH)).status_code == 200

    async with client_of(app, Cookie=f"{COOKIE}={shared}") as other_tab:
        answer = await other_tab.post(REFRESH)

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers, "the successor stays the only token"
    assert (await anonymous.post(REFRESH)).status_code == 200


async def test_a_copied_token_ends_the_session(app: FastAPI, anonymous: AsyncClient, door: Door, user: User) -> None:
    await sign_in(anonymous)
    stolen = anonymous.cookies[COOKIE]
    token = (await anonymous.post(REFRESH)).json()["access_token"]
    async with door.database.sessions.begin() as session:
        long_ago = utc_now() - REUSE_GRACE - timedelta(seconds=1)
        await session.execute(update(Session).values(rotated_at=long_ago))

    async with client_of(app, Cookie=f"{COOKIE}={stolen}") as thief:
        assert (await thief.post(REFRESH)).status_code == 401

    assert (await anonymous.post(REFRESH)).status_code == 401
    assert (await anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})).status_code == 401


async def test_a_token_older_than_the_previous_one_ends_the_session(
    app: FastAPI, anonymous: AsyncClient, user: User
) -> None:
    await sign_in(anonymous)
    oldest = anonymous.cookies[COOKIE]
    await anonymous.post(REFRESH)
    await anonymous.post(REFRESH)

    async with client_of(app, Cookie=f"{COOKIE}={oldest}") as thief:
        assert (await thief.post(REFRESH)).status_code == 401

    assert (await anonymous.post(REFRESH)).status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", "A" * 64, "ä", "null", "A" * 4000])
async def test_a_made_up_refresh_token_is_refused(app: FastAPI, cookie: str) -> None:
    async with client_of(app) as client:
        answer = await client.post(REFRESH, headers=[(b"Cookie", f"{COOKIE}={cookie}".encode())])
    assert answer.status_code == 401


async def test_a_session_ends_after_seven_days_whatever_happens(anonymous: AsyncClient, door: Door, user: User) -> None:
    await sign_in(anonymous)
    async with door.database.sessions.begin() as session:
        await session.execute(update(Session).values(expires_at=utc_now()))
    assert (await anonymous.post(REFRESH)).status_code == 401


async def test_a_page_of_another_origin_cannot_refresh(anonymous: AsyncClient, user: User) -> None:
    await sign_in(anonymous)

    foreign = await anonymous.post(REFRESH, headers={"Origin": "http://localhost:9999"})
    assert (foreign.status_code, foreign.json()["type"]) == (403, "urn:sparkops:problem:foreign-origin")
    assert (await anonymous.post(REFRESH, headers={"Origin": "null"})).status_code == 403
    assert (await anonymous.post(REFRESH, headers={"Origin": ORIGIN})).status_code == 200
    assert (await anonymous.post(REFRESH, headers={"Origin": "https://ops.example.com"})).status_code == 200


async def test_signing_out_ends_access_and_refresh_at_once(anonymous: AsyncClient, user: User) -> None:
    token = (await anonymous.post(SIGN_IN, json={"email": user.email, "password": PASSWORD})).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    refresh_cookie = anonymous.cookies[COOKIE]

    answer = await anonymous.post("/api/v1/auth/sign-out", headers=bearer)

    assert answer.status_code == 204
    assert COOKIE not in anonymous.cookies
    assert (await anonymous.get("/api/v1/me", headers=bearer)).status_code == 401
    again = await anonymous.post(REFRESH, headers={"Cookie": f"{COOKIE}={refresh_cookie}"})
    assert again.status_code == 401


KEY = "k" * 32


def forged(person: Person, key: str = KEY, algorithm: str = "HS256", **changes: object) -> str:
    now = utc_now()
    true = jwt.decode(person.token, options={"verify_signature": False})
    claims = true | {"iat": now, "exp": now + timedelta(minutes=5)} | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm=algorithm)


async def test_forged_and_unfit_tokens_are_refused(ann: Person, bob: Person, anonymous: AsyncClient) -> None:
    assert jwt.decode(ann.token, options={"verify_signature": False})["iss"] == ISSUER
    long_ago = utc_now() - timedelta(hours=1)
    tokens = {
        "wrong key": forged(ann, key="x" * 32),
        "no signature": jwt.encode({"sub": str(ann.id)}, "", algorithm="none"),
        "other algorithm": forged(ann, key="k" * 64, algorithm="HS512"),
        "expired": forged(ann, exp=long_ago),
        "no expiry": forged(ann, exp=None),
        "other audience": forged(ann, aud="elsewhere"),
        "no audience": forged(ann, aud=None),
        "other issuer": forged(ann, iss="elsewhere"),
        "other use": forged(ann, typ="refresh"),
        "no use": forged(ann, typ=None),
        "no session": forged(ann, sid=None),
        "unknown session": forged(ann, sid=str(uuid4())),
        "session of somebody else": forged(ann, sub=str(bob.id)),
        "session no id": forged(ann, sid="1"),
        "session a number": forged(ann, sid=1),
        "subject a list": forged(ann, sub=["a"]),
        "no subject": forged(ann, sub=None),
        "no id": forged(ann, jti=None),
        "not yet": forged(ann, nbf=utc_now() + timedelta(hours=1)),
        "garbage": "a.b.c",
        "empty": "",
    }
    for name, token in tokens.items():
        answer = await anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, name
    assert (await anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {forged(ann)}"})).status_code == 200
