"""Signing in, staying signed in, signing out."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from pydantic import SecretStr
from sqlalchemy import update

from sparkops.api.cookies import COOKIE, PATH
from sparkops.api.deps import Door
from sparkops.core.clock import utc_now
from sparkops.core.config import Settings
from sparkops.domains.identity import service
from sparkops.domains.identity.attempts import ACCOUNT, ADDRESS
from sparkops.domains.identity.link_models import Attempts
from sparkops.domains.identity.models import Session, User
from sparkops.domains.identity.service import REUSE_GRACE
from tests.api.conftest import ORIGIN, PASSWORD, MakePerson, add_user, client_of, running
from tests.tiers import WHOLE

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


async def test_guessing_is_stopped_by_what_the_database_has_counted(app: FastAPI, user: User) -> None:
    async with client_of(app) as client:
        statuses = [await sign_in(client, "wrong") for _ in range(ACCOUNT.free + 1)]

        assert statuses == [401] * ACCOUNT.free + [429]
        refused = await client.post(SIGN_IN, json={"email": "zoe@example.com", "password": PASSWORD})
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 15
        assert await sign_in(client, email="other@example.com") == 401


async def test_what_was_counted_outlives_redis_and_the_process(
    app: FastAPI, door: Door, settings: Settings, user: User, tmp_path: Path
) -> None:
    async with client_of(app) as client:
        for _ in range(ACCOUNT.free):
            assert await sign_in(client, "wrong") == 401
    await door.redis.flushall()
    without_redis = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1")})
    async with running(without_redis, tmp_path / "no-pages") as again, client_of(again) as client:
        assert await sign_in(client) == 429


async def test_a_wait_ends_by_itself(anonymous: AsyncClient, door: Door, user: User) -> None:
    for _ in range(ACCOUNT.free):
        await sign_in(anonymous, "wrong")
    assert await sign_in(anonymous) == 429
    async with door.database.sessions.begin() as session:
        await session.execute(update(Attempts).values(blocked_until=utc_now()))
    assert await sign_in(anonymous) == 200


async def test_strangers_keep_nobody_out_who_was_signed_in_with_this_browser(
    app: FastAPI, anonymous: AsyncClient, user: User
) -> None:
    token = (await anonymous.post(SIGN_IN, json={"email": user.email, "password": PASSWORD})).json()["access_token"]
    async with client_of(app) as stranger:
        for _ in range(ACCOUNT.free):
            await sign_in(stranger, "wrong")
        assert await sign_in(stranger) == 429

    assert (await anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})).status_code == 200
    assert (await anonymous.post(REFRESH)).status_code == 200
    assert await sign_in(anonymous) == 200
    assert await sign_in(anonymous, "wrong") == 401
    statuses = [await sign_in(anonymous, "wrong") for _ in range(ACCOUNT.free)]
    assert statuses[-1] == 429, "a browser that was stolen has no more tries than anybody"


async def test_what_a_browser_kept_of_one_account_is_nothing_to_another(
    app: FastAPI, anonymous: AsyncClient, door: Door, user: User
) -> None:
    await sign_in(anonymous)
    async with door.database.sessions.begin() as session:
        await add_user(session, "yan@example.com", "Yan")
    async with client_of(app) as stranger:
        for _ in range(ACCOUNT.free):
            assert await sign_in(stranger, "wrong", "yan@example.com") == 401
    assert await sign_in(anonymous, PASSWORD, "yan@example.com") == 429


async def test_one_address_tries_so_many_accounts_and_no_more(anonymous: AsyncClient) -> None:
    statuses = [await sign_in(anonymous, "wrong", f"{n}@example.com") for n in range(ADDRESS.free + 1)]
    assert statuses == [401] * ADDRESS.free + [429]


async def test_the_right_password_forgets_the_wrong_ones(app: FastAPI, user: User) -> None:
    for _ in range(3):
        async with client_of(app) as client:
            for _ in range(ACCOUNT.free - 1):
                assert await sign_in(client, "wrong") == 401
            assert await sign_in(client) == 200


async def test_signing_in_leaves_its_marks(anonymous: AsyncClient, door: Door, user: User) -> None:
    for _ in range(ACCOUNT.free + 2):
        await sign_in(anonymous, "wrong")
    await sign_in(anonymous, "wrong", "nobody@example.com")
    rows = await door.database.pool.fetch("SELECT kind, severity, user_id, email FROM security_events ORDER BY id")
    noted = [tuple(row) for row in rows]
    assert noted[: ACCOUNT.free] == [("sign-in.failed", "info", user.id, user.email)] * ACCOUNT.free
    assert noted[ACCOUNT.free] == ("sign-in.locked", "warning", None, user.email)
    assert noted[ACCOUNT.free + 1 :] == [("sign-in.failed", "info", None, "nobody@example.com")]


async def test_signing_in_anew_ends_the_session_that_the_browser_held(
    app: FastAPI, anonymous: AsyncClient, user: User
) -> None:
    await sign_in(anonymous)
    before = anonymous.cookies[COOKIE]
    await sign_in(anonymous)
    async with client_of(app, Cookie=f"{COOKIE}={before}") as other:
        assert (await other.post(REFRESH)).status_code == 401
    assert (await anonymous.post(REFRESH)).status_code == 200


async def test_nobody_can_choose_which_session_somebody_gets(app: FastAPI, user: User) -> None:
    """Fixation: a cookie that was planted before is neither taken over nor left alive."""
    async with client_of(app) as thief, client_of(app) as victim:
        await sign_in(thief)
        planted = thief.cookies[COOKIE]
        answer = await victim.post(
            SIGN_IN, json={"email": user.email, "password": PASSWORD}, headers={"Cookie": f"{COOKIE}={planted}"}
        )
        assert answer.status_code == 200
        assert victim.cookies[COOKIE] != planted
        assert (await thief.post(REFRESH)).status_code == 401


async def test_over_https_cookies_can_only_be_set_over_https(settings: Settings, tmp_path: Path) -> None:
    secure = settings.model_copy(update={"secure_cookies": True})
    async with running(secure, tmp_path / "no-pages") as app, client_of(app) as client:
        door: Door = app.state.door
        async with door.database.sessions.begin() as session:
            await add_user(session, "zoe@example.com", "Zoe")
        answer = await client.post(SIGN_IN, json={"email": "zoe@example.com", "password": PASSWORD})
        cookies = answer.headers.get_list("set-cookie")
        assert len(cookies) == 2
        assert all(one.startswith("__Secure-sparkops_") and "; Secure" in one for one in cookies)
        held = answer.cookies[f"__Secure-{COOKIE}"]
        again = await client.post(REFRESH, headers={"Cookie": f"__Secure-{COOKIE}={held}"})
        assert again.status_code == 200
        assert (await client.post(REFRESH, headers={"Cookie": f"{COOKIE}={held}"})).status_code == 401


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

    async with client_of(app) as other_tab:
        other_tab.cookies.set(COOKIE, shared, domain="testserver.local", path=PATH)
        answer = await other_tab.post(REFRESH)

        assert answer.status_code == 200
        assert other_tab.cookies[COOKIE] == anonymous.cookies[COOKIE], "the successor is the only token"
        assert (await other_tab.post(REFRESH)).status_code == 200
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


async def test_a_session_that_nobody_uses_ends_by_itself(anonymous: AsyncClient, app: FastAPI, user: User) -> None:
    """Twelve hours where the settings say nothing: then neither of its tokens counts any more."""
    door: Door = app.state.door
    for used_ago, status in ((timedelta(hours=11, minutes=59), 200), (timedelta(hours=12, minutes=1), 401)):
        async with door.database.sessions.begin() as session:
            opened = await service.open_session(session, user=user, now=utc_now() - used_ago)
        token = door.signer.issue(user_id=user.id, session_id=opened.session_id, now=utc_now())
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await anonymous.get("/api/v1/me", headers=bearer)).status_code == status
        cookie = {"Cookie": f"{COOKIE}={opened.refresh_token}"}
        assert (await anonymous.post(REFRESH, headers=cookie)).status_code == status
        anonymous.cookies.clear()


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

    assert (answer.status_code, answer.json()) == (200, {"leave_at": None})
    assert COOKIE not in anonymous.cookies
    assert (await anonymous.get("/api/v1/me", headers=bearer)).status_code == 401
    again = await anonymous.post(REFRESH, headers={"Cookie": f"{COOKIE}={refresh_cookie}"})
    assert again.status_code == 401


async def test_signing_out_leaves_a_mark(anonymous: AsyncClient, door: Door, user: User) -> None:
    answer = await anonymous.post(SIGN_IN, json={"email": user.email, "password": PASSWORD})
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    await anonymous.post("/api/v1/auth/sign-out", headers=bearer)
    await anonymous.post("/api/v1/auth/sign-out", headers=bearer)
    rows = await door.database.pool.fetch("SELECT kind, user_id, email, detail FROM security_events ORDER BY id")
    assert [row["kind"] for row in rows] == ["sign-in", "sign-out"]
    assert rows[0]["detail"] == rows[1]["detail"]
    assert (rows[1]["user_id"], rows[1]["email"]) == (user.id, user.email)


ROUNDS = 20 if WHOLE else 1


async def insist(client: AsyncClient, token: str) -> Response:
    """Refresh as the pages do: a server that is too busy is asked again with the same token."""
    while True:
        answer = await client.post(REFRESH, headers={"Cookie": f"{COOKIE}={token}"})
        if answer.status_code != 503:
            return answer


async def test_a_hundred_refreshes_at_once_leave_one_live_token(
    app: FastAPI, anonymous: AsyncClient, door: Door, user: User
) -> None:
    await sign_in(anonymous)
    for _ in range(ROUNDS):
        shared = anonymous.cookies[COOKIE]
        async with client_of(app) as client:
            answers = await asyncio.gather(*(insist(client, shared) for _ in range(100)))
        assert [one.status_code for one in answers] == [200] * 100
        successors = {one.cookies[COOKIE] for one in answers}
        assert len(successors) == 1
        assert shared not in successors
        anonymous.cookies.clear()
        anonymous.cookies.set(COOKIE, successors.pop(), domain="testserver.local", path=PATH)
    assert await door.database.pool.fetchval("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == 1
    assert (await anonymous.post(REFRESH)).status_code == 200


async def test_a_replayed_token_ends_the_family_and_is_told_to_those_who_watch(
    app: FastAPI, anonymous: AsyncClient, door: Door, user: User
) -> None:
    await sign_in(anonymous)
    held = [anonymous.cookies[COOKIE]]
    for _ in range(5):
        await anonymous.post(REFRESH)
        held.append(anonymous.cookies[COOKIE])
    async with client_of(app) as thief:
        assert (await thief.post(REFRESH, headers={"Cookie": f"{COOKIE}={held[2]}"})).status_code == 401
        for token in held:
            assert (await thief.post(REFRESH, headers={"Cookie": f"{COOKIE}={token}"})).status_code == 401
    row = await door.database.pool.fetchrow("SELECT * FROM security_events WHERE kind LIKE 'refresh.%'")
    assert (row["kind"], row["severity"], row["user_id"]) == ("refresh.reused", "critical", user.id)
    assert await door.database.pool.fetchval("SELECT revoked_because FROM sessions") == "reused"


async def test_what_is_no_address_is_not_kept_where_an_address_was_asked_for(
    anonymous: AsyncClient, door: Door
) -> None:
    """Who types a password into the wrong field has not published it."""
    for typed in (
        "correct horse",
        "hunter2hunter2",
        "p@ss!word",
        "https://user:password@example.com/x",
        "a" * 320 + "@b.cd",
    ):
        answer = await anonymous.post("/api/v1/auth/sign-in", json={"email": typed, "password": "x"})
        assert answer.status_code in (401, 422), answer.text
    rows = await door.database.pool.fetch("SELECT DISTINCT email FROM security_events")
    assert [row["email"] for row in rows] == [None]
