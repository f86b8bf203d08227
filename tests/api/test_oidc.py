"""Signing in at an OpenID provider that nobody here wrote, from the button to the session."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from sparkops.api.app import check_settings
from sparkops.api.cookies import COOKIE as REFRESH_COOKIE
from sparkops.api.deps import Door
from sparkops.api.routes.oidc import COOKIE
from sparkops.core.config import Oidc, Settings, load_settings
from sparkops.core.errors import ConfigError
from sparkops.core.permissions import Role
from tests.api.conftest import ORIGIN, MakePerson, Person, client_of, make_project, running
from tests.api.openid import CLIENT_ID, CLIENT_SECRET, Browser, OpenIdProvider, browser_of, openid_server, query_of

__all__ = ["openid_server"]

REFUSED = "/login?refused="
CALLBACK = f"{ORIGIN}/api/v1/auth/oidc/callback"


@pytest.fixture
def provider(openid_server: OpenIdProvider) -> OpenIdProvider:
    openid_server.restart()
    openid_server.knows(
        "ann-17", email="ann@example.com", email_verified=True, name="Ann Elk", groups=["engineers", "everybody"]
    )
    return openid_server


@pytest.fixture
def oidc() -> dict[str, Any]:
    """What tests change of the settings of the provider."""
    return {}


@pytest.fixture
def settings(settings: Settings, provider: OpenIdProvider, oidc: dict[str, Any]) -> Settings:
    stated = {
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "client_secret": SecretStr(CLIENT_SECRET),
        "label": "Elk",
        "scopes": ("openid", "email", "profile", "groups"),
        "new_users": "anybody",
        "groups": {"engineers": {"weather": Role.DEVELOPER}, "leads": {"weather": Role.ADMIN}},
        "admin_groups": ("roots",),
    }
    return settings.model_copy(
        update={
            "public_url": ORIGIN,
            "egress_allow": (f"127.0.0.1:{provider.port}",),
            "oidc": Oidc.model_validate(stated | oidc),
        }
    )


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Browser]:
    made = browser_of(app)
    yield made
    await made.client.aclose()


async def founder(person: MakePerson, door: Door, name: str) -> Person:
    """Owns the project `weather`. Groups give roles there, so that its name is for administrators to give."""
    made = await person(name)
    for is_admin in (True, False):
        await door.database.pool.execute("UPDATE users SET is_admin = $2 WHERE id = $1", made.id, is_admin)
        if is_admin:
            await make_project(made)
    return made


@pytest.fixture
async def ann(person: MakePerson, door: Door) -> Person:
    return await founder(person, door, "ann")


async def me(browser: Browser) -> Any:
    """Who is signed in in this browser, as its pages find out: by the cookie."""
    tokens = await browser.client.post("/api/v1/auth/refresh", headers={"Origin": ORIGIN})
    if tokens.status_code != 200:
        return None
    bearer = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    return (await browser.client.get("/api/v1/me", headers=bearer)).json()


async def table(door: Door, statement: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await door.database.pool.fetch(statement)]


async def test_the_page_is_told_what_to_call_the_button(browser: Browser) -> None:
    assert (await browser.client.get("/api/v1/auth/oidc")).json() == {"enabled": True, "label": "Elk"}


async def test_somebody_signs_in_and_comes_back_to_the_page_they_wanted(browser: Browser, door: Door) -> None:
    answer = await browser.sign_in("ann-17", "/p/weather/runs?status=failed")

    assert (answer.status_code, answer.headers["location"]) == (303, "/p/weather/runs?status=failed")
    user = (await me(browser))["user"]
    assert (user["email"], user["name"], user["is_admin"]) == ("ann@example.com", "Ann Elk", False)
    cookies = answer.headers.get_list("set-cookie")
    refresh = next(one for one in cookies if one.startswith(REFRESH_COOKIE))
    assert all(part in refresh for part in ("HttpOnly", "SameSite=strict", "Path=/api/v1/auth"))
    assert any(one.startswith(f'{COOKIE}=""') or "Max-Age=0" in one for one in cookies), "what was begun is forgotten"
    (identity,) = await table(door, "SELECT * FROM identities")
    assert (identity["subject"], identity["user_id"]) == ("ann-17", UUID(user["id"]))
    (kept,) = await table(door, "SELECT password_hash FROM users")
    assert kept["password_hash"] is None


async def sign_out(browser: Browser) -> str | None:
    """Sign out here; return where the browser is led to sign out at the provider."""
    tokens = await browser.client.post("/api/v1/auth/refresh", headers={"Origin": ORIGIN})
    bearer = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    answer = await browser.client.post("/api/v1/auth/sign-out", headers=bearer)
    assert answer.status_code == 200, answer.text
    leave_at: str | None = answer.json()["leave_at"]
    return leave_at


async def asks_who(browser: Browser) -> bool:
    """Whether the provider asks who somebody is, who wants to sign in once more."""
    begun = await browser.client.get("/api/v1/auth/oidc/start")
    answer = await browser.client.get(begun.headers["location"])
    address = Browser._absolute(begun.headers["location"], answer.headers["location"])
    return not address.startswith(ORIGIN)


async def test_who_signs_out_here_can_sign_out_at_the_provider_and_comes_back(
    browser: Browser, provider: OpenIdProvider
) -> None:
    await browser.sign_in("ann-17")
    assert not await asks_who(browser), "the provider knows this browser"
    leave_at = await sign_out(browser)
    assert await me(browser) is None, "out here, whatever becomes of the other"
    assert leave_at is not None
    assert leave_at.startswith(f"{provider.issuer}/")
    assert await browser.leave(leave_at) == f"{ORIGIN}/login"
    assert await asks_who(browser)


async def test_who_did_not_come_from_this_provider_is_not_led_there(
    browser: Browser, ann: Person, door: Door, provider: OpenIdProvider
) -> None:
    """Neither who signed in with a password, nor whose session is of a provider that was set before."""
    by_password = await ann.client.post("/api/v1/auth/sign-out")
    assert (by_password.status_code, by_password.json()) == (200, {"leave_at": None})
    await browser.sign_in("ann-17")
    await door.database.pool.execute("UPDATE sessions SET issuer = issuer || '/before' WHERE issuer IS NOT NULL")
    assert await sign_out(browser) is None


@pytest.mark.parametrize("oidc", [{"end_session": False}])
async def test_where_the_settings_say_so_nobody_is_led_to_the_provider(browser: Browser, oidc: dict[str, Any]) -> None:
    await browser.sign_in("ann-17")
    assert await sign_out(browser) is None


async def test_the_provider_is_asked_with_everything_that_binds_the_answer(browser: Browser) -> None:
    begun = await browser.client.get("/api/v1/auth/oidc/start")
    query = query_of(begun.headers["location"])
    assert (query["response_type"], query["code_challenge_method"], query["redirect_uri"]) == ("code", "S256", CALLBACK)
    assert len(query["code_challenge"]) == 43
    assert min(len(query["state"]), len(query["nonce"])) >= 43
    cookie = begun.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/api/v1/auth/oidc", "Max-Age=600"))
    again = query_of((await browser.client.get("/api/v1/auth/oidc/start")).headers["location"])
    assert all(again[name] != query[name] for name in ("state", "nonce", "code_challenge"))


async def test_a_session_ends_when_the_settings_say(browser: Browser, door: Door, oidc: dict[str, Any]) -> None:
    await browser.sign_in("ann-17")
    (row,) = await table(door, "SELECT expires_at - created_at AS lasts FROM sessions")
    assert 11.9 < row["lasts"].total_seconds() / 3600 < 12.1


async def test_whoever_comes_again_is_known_by_the_subject_whatever_the_address(
    app: FastAPI, browser: Browser, provider: OpenIdProvider, door: Door
) -> None:
    await browser.sign_in("ann-17")
    first = (await me(browser))["user"]["id"]
    provider.knows("ann-17", email="elk@example.com", email_verified=False)
    other = browser_of(app)
    assert (await other.sign_in("ann-17")).headers["location"] == "/"
    assert (await me(other))["user"]["id"] == first
    assert len(await table(door, "SELECT 1 FROM users")) == 1
    await other.client.aclose()


async def test_an_address_that_was_given_to_somebody_else_does_not_open_the_account(
    app: FastAPI, browser: Browser, provider: OpenIdProvider, door: Door
) -> None:
    await browser.sign_in("ann-17")
    provider.knows("new-ann", email="ann@example.com", email_verified=True)
    other = browser_of(app)
    assert (await other.sign_in("new-ann")).headers["location"] == f"{REFUSED}taken"
    assert await me(other) is None
    (event,) = await table(door, "SELECT * FROM security_events WHERE kind = 'sign-in.failed'")
    assert (event["email"], event["severity"], event["detail"]) == (
        "ann@example.com",
        "warning",
        {"by": "oidc", "reason": "taken"},
    )
    await other.client.aclose()


async def test_somebody_who_was_here_before_is_tied_by_a_verified_address_only(
    ann: Person, browser: Browser, provider: OpenIdProvider, door: Door
) -> None:
    for unverified in (False, "true", None):
        claims = {"email": "ann@example.com"} | ({} if unverified is None else {"email_verified": unverified})
        provider.knows("thief", **claims)
        assert (await browser.sign_in("thief")).headers["location"] == f"{REFUSED}unverified"
        browser.client.cookies.clear()
    assert await table(door, "SELECT 1 FROM identities") == []
    await browser.sign_in("ann-17")
    assert (await me(browser))["user"]["id"] == str(ann.id)


async def test_a_disabled_user_does_not_get_in(ann: Person, browser: Browser, door: Door, app: FastAPI) -> None:
    await door.database.pool.execute("UPDATE users SET disabled_at = now()")
    assert (await browser.sign_in("ann-17")).headers["location"] == f"{REFUSED}disabled"
    await door.database.pool.execute("UPDATE users SET disabled_at = NULL")
    browser.client.cookies.clear()
    await browser.sign_in("ann-17")
    await door.database.pool.execute("UPDATE users SET disabled_at = now()")
    browser.client.cookies.clear()
    assert (await browser.sign_in("ann-17")).headers["location"] == f"{REFUSED}disabled"
    assert await me(browser) is None


async def test_groups_give_roles_and_take_them_away_and_what_people_gave_stays(
    app: FastAPI, person: Any, provider: OpenIdProvider, door: Door
) -> None:
    owner = await founder(person, door, "owner")
    await owner.client.post("/api/v1/projects", json={"slug": "garden", "name": "Garden"})

    async def roles_with(*groups: str) -> Mapping[str, str | bool]:
        provider.knows("ann-17", email="ann@example.com", email_verified=True, groups=list(groups))
        browser = browser_of(app)
        assert (await browser.sign_in("ann-17")).headers["location"] == "/"
        seen = await me(browser)
        await browser.client.aclose()
        return {one["slug"]: one["role"] for one in seen["projects"]} | {"admin": seen["user"]["is_admin"]}

    assert await roles_with("engineers") == {"weather": "developer", "admin": False}
    assert await roles_with("engineers", "leads", "roots") == {"weather": "admin", "admin": True}
    assert await roles_with("nobodies") == {"admin": False}
    for slug in ("weather", "garden"):
        await owner.client.post(f"/api/v1/projects/{slug}/members", json={"email": "ann@example.com", "role": "viewer"})
    assert await roles_with("leads") == {"weather": "viewer", "garden": "viewer", "admin": False}
    assert await roles_with() == {"weather": "viewer", "garden": "viewer", "admin": False}
    changes = await table(
        door,
        "SELECT action, before, after, request_id FROM audit"
        " WHERE action ~ '^(user[.]admin|member[.])' AND detail ? 'by' ORDER BY id",
    )
    assert [(one["action"], one["before"], one["after"]) for one in changes] == [
        ("member.put", None, {"role": "developer"}),
        ("user.admin", {"is_admin": False}, {"is_admin": True}),
        ("member.put", {"role": "developer"}, {"role": "admin"}),
        ("user.admin", {"is_admin": True}, {"is_admin": False}),
        ("member.remove", {"role": "admin"}, None),
    ]
    assert all(one["request_id"] for one in changes)
    came = await table(door, "SELECT DISTINCT address, via FROM audit WHERE detail ? 'by' OR action = 'identity.tie'")
    known = {f"session:{one['id']}" for one in await table(door, "SELECT id FROM sessions WHERE issuer IS NOT NULL")}
    assert {one["via"] for one in came} <= known, "told of under the session that began with it"
    assert {one["address"] for one in came} == {"127.0.0.1"}


async def test_an_owner_whom_people_made_of_somebody_from_a_group_stays_one(
    app: FastAPI, person: Any, browser: Browser, provider: OpenIdProvider, door: Door
) -> None:
    """Else the project would lose its only owner when the group does."""
    owner = await founder(person, door, "owner")
    await browser.sign_in("ann-17")
    ann = (await me(browser))["user"]["id"]
    members = "/api/v1/projects/weather/members"
    assert (await owner.client.put(f"{members}/{ann}", json={"role": "owner"})).status_code == 200
    assert (await owner.client.delete(f"{members}/{owner.id}")).status_code == 204
    provider.knows("ann-17", email="ann@example.com", email_verified=True, groups=["nobodies"])
    browser.client.cookies.clear()
    await browser.sign_in("ann-17")
    assert [(one["slug"], one["role"]) for one in (await me(browser))["projects"]] == [("weather", "owner")]


async def test_an_administrator_whom_people_made_stays_one_without_the_group(
    ann: Person, browser: Browser, door: Door
) -> None:
    await door.database.pool.execute("UPDATE users SET is_admin = true")
    await browser.sign_in("ann-17")
    assert (await me(browser))["user"]["is_admin"] is True


@pytest.mark.parametrize(
    ("oidc", "groups", "comes_in"),
    [
        ({"new_users": "refuse"}, ["engineers", "roots"], False),
        ({"new_users": "in_groups"}, ["strangers"], False),
        ({"new_users": "in_groups"}, ["engineers"], True),
        ({"new_users": "in_groups"}, ["roots"], True),
        ({"new_users": "anybody"}, [], True),
    ],
)
async def test_who_is_new_comes_in_as_the_settings_say(
    browser: Browser, provider: OpenIdProvider, door: Door, oidc: dict[str, Any], groups: list[str], comes_in: bool
) -> None:
    provider.knows("ann-17", email="ann@example.com", email_verified=True, groups=groups)
    answer = await browser.sign_in("ann-17")
    assert answer.headers["location"] == ("/" if comes_in else f"{REFUSED}unknown")
    assert len(await table(door, "SELECT 1 FROM users")) == comes_in


async def test_somebody_who_signs_in_twice_at_once_is_made_once(
    app: FastAPI, provider: OpenIdProvider, door: Door
) -> None:
    browsers = [browser_of(app) for _ in range(4)]
    addresses = [await browser.go_there("ann-17") for browser in browsers]
    answers = await asyncio.gather(*(one.come_back(address) for one, address in zip(browsers, addresses, strict=True)))
    assert [answer.headers["location"] for answer in answers] == ["/"] * 4
    assert len(await table(door, "SELECT 1 FROM users")) == len(await table(door, "SELECT 1 FROM identities")) == 1
    for browser in browsers:
        await browser.client.aclose()


async def test_an_answer_counts_only_in_the_browser_that_asked(app: FastAPI, browser: Browser) -> None:
    """An attacker who lets a victim open the attacker's answer would have them work in the attacker's account."""
    address = await browser.go_there("ann-17")
    victim = browser_of(app)
    assert (await victim.come_back(address)).headers["location"] == f"{REFUSED}expired"
    await victim.go_there("ann-17")
    assert (await victim.come_back(address)).headers["location"] == f"{REFUSED}expired"
    assert await me(victim) is None
    await victim.client.aclose()


async def test_an_answer_counts_once(browser: Browser) -> None:
    address = await browser.go_there("ann-17")
    cookie = browser.client.cookies[COOKIE]
    assert (await browser.come_back(address)).headers["location"] == "/"
    assert (await browser.come_back(address)).headers["location"] == f"{REFUSED}expired"
    browser.client.cookies.clear()
    browser.client.cookies.set(COOKIE, cookie, domain="testserver.local", path="/api/v1/auth/oidc")
    again = await browser.client.get(address, headers={"Cookie": f"{COOKIE}={cookie}"})
    assert again.headers["location"] == f"{REFUSED}provider", "the provider takes a code once"


@pytest.mark.parametrize(
    "change",
    [
        {"state": "other"},
        {"state": ""},
        {"code": "made-up"},
        {"iss": "http://127.0.0.1:1"},
        {"iss": None},
        {"code": None, "error": "access_denied"},
    ],
)
async def test_an_answer_that_was_changed_on_the_way_opens_nothing(browser: Browser, change: dict[str, Any]) -> None:
    query = query_of(await browser.go_there("ann-17")) | change
    told = urlencode({name: value for name, value in query.items() if value is not None})
    answer = await browser.come_back(f"{CALLBACK}?{told}")
    assert answer.headers["location"].startswith(REFUSED)
    assert await me(browser) is None


async def test_a_code_of_another_sign_in_is_worth_nothing(app: FastAPI, browser: Browser) -> None:
    """A code that was stolen on its way is put into the thief's own answer: the verifier does not fit."""
    stolen = query_of(await browser.go_there("ann-17"))["code"]
    thief = browser_of(app)
    own = query_of(await thief.go_there("thief"))
    answer = await thief.come_back(f"{CALLBACK}?{urlencode(own | {'code': stolen})}")
    assert answer.headers["location"] == f"{REFUSED}provider"
    assert await me(thief) is None
    await thief.client.aclose()


async def test_new_keys_of_the_provider_are_fetched_when_a_token_names_one(
    app: FastAPI, browser: Browser, provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await browser.sign_in("ann-17")).headers["location"] == "/"
    provider.restart()
    other = browser_of(app)
    address = await other.go_there("ann-17")
    monkeypatch.setattr("sparkops.api.oidc.KEYS_AGAIN_SECONDS", 0.0)
    assert (await other.come_back(address)).headers["location"] == "/"
    await other.client.aclose()


async def test_keys_are_not_asked_for_again_and_again_because_of_made_up_tokens(
    app: FastAPI, browser: Browser, provider: OpenIdProvider
) -> None:
    await browser.sign_in("ann-17")
    provider.restart()
    other = browser_of(app)
    assert (await other.sign_in("ann-17")).headers["location"] == f"{REFUSED}provider", "too soon"
    await other.client.aclose()


@pytest.mark.parametrize("options", [{"claimsInToken": True}, {"post": True}])
async def test_other_ways_of_providers_work_too(
    browser: Browser, provider: OpenIdProvider, options: dict[str, bool]
) -> None:
    provider.restart(**options)
    assert (await browser.sign_in("ann-17")).headers["location"] == "/"
    assert (await me(browser))["user"]["email"] == "ann@example.com"


@pytest.mark.parametrize(
    "next_page",
    [
        *("//evil.example.com", "/\\evil.example.com", "https://evil.example.com", "javascript:alert(1)", "/x\\y"),
        *("/a\r\nSet-Cookie: x=1", "evil", "/ä", " /x"),
    ],
)
async def test_nobody_is_led_elsewhere_afterwards(browser: Browser, next_page: str) -> None:
    assert (await browser.sign_in("ann-17", next_page)).headers["location"] == "/"


@pytest.mark.parametrize("oidc", [{"client_secret": SecretStr("wrong")}, {"client_id": "other"}])
async def test_what_goes_wrong_at_the_provider_is_told_to_operators_and_not_to_the_page(
    browser: Browser, provider: OpenIdProvider, oidc: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    if "client_id" in oidc:
        address = f"{CALLBACK}?{urlencode({'code': 'x', 'state': await begun(browser), 'iss': provider.issuer})}"
    else:
        address = await browser.go_there("ann-17")
    answer = await browser.come_back(address)
    assert answer.headers["location"] == f"{REFUSED}provider"
    assert answer.text == ""
    assert "invalid_client" in caplog.text
    assert "wrong" not in caplog.text


async def begun(browser: Browser) -> str:
    return query_of((await browser.client.get("/api/v1/auth/oidc/start")).headers["location"])["state"]


async def test_without_a_provider_nobody_is_sent_anywhere(settings: Settings, tmp_path: Path) -> None:
    async with running(settings.model_copy(update={"oidc": None}), tmp_path) as app, client_of(app) as client:
        assert (await client.get("/api/v1/auth/oidc")).json() == {"enabled": False, "label": None}
        assert (await client.get("/api/v1/auth/oidc/start")).status_code == 404
        assert (await client.get("/api/v1/auth/oidc/callback")).status_code == 404


async def test_a_provider_that_is_away_or_may_not_be_reached_leads_back_to_the_page(
    settings: Settings, tmp_path: Path
) -> None:
    assert settings.oidc is not None
    away = settings.oidc.model_copy(update={"issuer": "http://127.0.0.1:1"})
    for changed in ({"oidc": away, "egress_allow": ("127.0.0.1:1",)}, {"egress_allow": ()}):
        async with running(settings.model_copy(update=changed), tmp_path) as app, client_of(app) as client:
            answer = await client.get("/api/v1/auth/oidc/start")
            assert (answer.status_code, answer.headers["location"]) == (303, f"{REFUSED}provider")
            assert (await client.get("/health/live")).status_code == 200


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"public_url": None}, "SPARKOPS_PUBLIC_URL is missing"),
        ({"egress_allow": ("nowhere",)}, "SPARKOPS_EGRESS_ALLOW"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(
    settings: Settings, changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        check_settings(settings.model_copy(update=changed))


def test_the_settings_are_read_from_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("shh\n")
    read = load_settings(
        {
            "SPARKOPS_OIDC": '{issuer = "https://id.example.com", client_id = "x", groups = {a = {p = "viewer"}}}',
            "SPARKOPS_OIDC_CLIENT_SECRET_FILE": str(secret),
        }
    )
    assert read.oidc is not None
    assert (read.oidc.client_secret.get_secret_value(), read.oidc.new_users) == ("shh", "in_groups")
    for wrong in ('{a = {p = "owner"}}', '{a = {p = "king"}}'):
        with pytest.raises(ConfigError, match=r"SPARKOPS_OIDC|oidc"):
            load_settings({"SPARKOPS_OIDC": f'{{issuer = "https://i", client_id = "x", groups = {wrong}}}'})


async def test_over_https_what_waits_for_the_provider_can_only_be_set_over_https(
    settings: Settings, tmp_path: Path
) -> None:
    secure = settings.model_copy(update={"secure_cookies": True})
    name = f"__Secure-{COOKIE}"
    async with running(secure, tmp_path / "no-pages") as app, client_of(app) as client:
        begun = await client.get("/api/v1/auth/oidc/start")
        (cookie,) = begun.headers.get_list("set-cookie")
        assert cookie.startswith(f"{name}=")
        assert all(part in cookie for part in ("; Secure", "HttpOnly", "SameSite=lax", "Path=/api/v1/auth/oidc"))
        state = query_of(begun.headers["location"])["state"]
        held = cookie.partition("=")[2].partition(";")[0].strip('"')
        for sent, reason in ((COOKIE, "expired"), (name, "refused")):
            back = await client.get(CALLBACK, params={"state": state}, headers={"Cookie": f"{sent}={held}"})
            assert back.headers["location"] == f"{REFUSED}{reason}"
            (forgotten,) = back.headers.get_list("set-cookie")
            assert forgotten.startswith(f'{name}=""')
            assert "; Secure" in forgotten
