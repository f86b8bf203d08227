"""What every request meets before a route does: limits, names, origins, types, sizes, times."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr, ValidationError

from sparkops.api import bodies, middleware
from sparkops.api.app import create_app
from sparkops.api.routes import me
from sparkops.api.schema import document
from sparkops.core.config import RateLimits, Settings
from tests.api.conftest import MakePerson, Person, client_of, running

LIMITS = RateLimits(reads=2, writes=1, runs=1, sign_ins=1, address_factor=2)
"""Of a caller 20 reads and 10 writes in ten seconds; of an address twice that, and 10 sign-ins."""


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update=getattr(request, "param", {}))


strict = pytest.mark.parametrize("settings", [{"rate_limits": LIMITS}], indirect=True)
away = pytest.mark.parametrize(
    "settings", [{"rate_limits": LIMITS, "redis_url": SecretStr("redis://127.0.0.1:1")}], indirect=True
)


@pytest.fixture
async def app(settings: Settings, tmp_path: Path) -> AsyncIterator[FastAPI]:
    async with running(settings, tmp_path / "no-pages") as app:
        stop_clock(app)
        yield app


def stop_clock(app: FastAPI) -> None:
    """Let all that a test does fall into one window, however slow the machine."""
    app.state.door.rates._clock = lambda: 1_000_000.0


async def statuses(client: AsyncClient, times: int, method: str = "GET", path: str = "/api/v1/me") -> list[int]:
    body: dict[str, Any] = {"json": {"slug": "No"}} if method == "POST" else {}
    return [(await client.request(method, path, **body)).status_code for _ in range(times)]


@strict
async def test_a_caller_who_asks_too_often_is_told_when_to_come_back(person: MakePerson) -> None:
    ann, bob = await person("ann"), await person("bob")
    asked = await statuses(ann.client, 25)
    assert asked[:20] == [200] * 20
    assert asked[-1] == 429
    refused = await ann.client.get("/api/v1/me")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:sparkops:problem:too-many-requests"
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert refused.headers["ratelimit"].startswith('"read";r=0;t=')
    assert refused.headers["ratelimit-policy"] == '"read";q=20;w=10'
    told = await bob.client.get("/api/v1/me")
    assert (told.status_code, told.headers["ratelimit"][:12]) == (200, '"read";r=19;')
    assert (await ann.client.post("/api/v1/projects", json={"slug": "No"})).status_code == 422, "writes count apart"


@strict
async def test_writes_are_fewer(person: MakePerson) -> None:
    ann = await person("ann")
    assert (await statuses(ann.client, 12, "POST", "/api/v1/projects"))[8:] == [422, 422, 429, 429]


@strict
async def test_a_request_with_a_key_counts_once(person: MakePerson) -> None:
    ann = await person("ann")
    for left in (9, 8):
        answer = await ann.client.post("/api/v1/projects", json={"slug": "No"}, headers={"Idempotency-Key": "k-1"})
        assert (answer.status_code, answer.headers["ratelimit"][:11]) == (422, f'"write";r={left}')


@strict
async def test_an_address_is_limited_whoever_asks_from_there(anonymous: AsyncClient, app: FastAPI) -> None:
    assert (await statuses(anonymous, 41))[-2:] == [401, 429]
    elsewhere = ASGITransport(app, client=("10.9.8.7", 1))
    async with AsyncClient(transport=elsewhere, base_url="http://testserver") as other:
        assert (await statuses(other, 1)) == [401]


@strict
async def test_a_network_of_one_customer_is_one_address(app: FastAPI) -> None:
    seen = []
    for number in range(41):
        transport = ASGITransport(app, client=(f"2001:db8:1:2::{number:x}", 1))
        async with AsyncClient(transport=transport, base_url="http://testserver") as one:
            seen += await statuses(one, 1)
    assert seen[-2:] == [401, 429]


@strict
async def test_passwords_can_be_tried_least_often(anonymous: AsyncClient) -> None:
    asked = await statuses(anonymous, 11, "POST", "/api/v1/auth/sign-in")
    assert asked == [422] * 10 + [429]


@away
async def test_without_redis_the_limits_hold(person: MakePerson) -> None:
    ann = await person("ann")
    assert (await statuses(ann.client, 21))[-2:] == [200, 429]


@strict
async def test_two_processes_share_the_limits_by_redis(
    settings: Settings, app: FastAPI, person: MakePerson, tmp_path: Path
) -> None:
    ann = await person("ann")
    async with running(settings, tmp_path) as other, client_of(other, Authorization=f"Bearer {ann.token}") as there:
        stop_clock(other)
        assert (await statuses(ann.client, 15))[-1] == 200
        await app.state.door.rates.share()
        let_in = 0
        while (await there.get("/api/v1/me")).status_code == 200:
            let_in += 1
            await other.state.door.rates.share()
        assert 5 <= let_in <= 6, "what comes before the first word of the other process is let in"


@strict
async def test_a_wrong_token_counts_for_the_address_and_for_nobody_else(
    anonymous: AsyncClient, person: MakePerson
) -> None:
    ann = await person("ann")
    for number in range(10):
        await anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {number}.{number}.{number}"})
    assert (await ann.client.get("/api/v1/me")).headers["ratelimit"].startswith('"read";r=19;')


HOSTS_TAKEN = [
    "testserver",
    "TestServer:8000",
    "localhost",
    "localhost:3000",
    "127.0.0.1:8000",
    "[::1]:8000",
    "10.1.2.3",
]
HOSTS_REFUSED = [
    "evil.example.com", "testserver.evil.example.com", "eviltestserver", "testserver@evil.example.com",
    "testserver:80:80",
    "testserver/", "127.0.0.1.nip.io", "0x7f.1", "", "testserver:x", "localhost.evil.com", "t\u0435stserver",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS_TAKEN)
async def test_the_server_answers_to_its_names_and_addresses(anonymous: AsyncClient, host: str) -> None:
    assert (await anonymous.get("/api/v1/me", headers={"Host": host})).status_code == 401


@pytest.mark.parametrize("host", HOSTS_REFUSED)
async def test_and_to_no_other_name(anonymous: AsyncClient, host: str) -> None:
    """A page whose name was made to point here is of the same origin as far as the browser knows."""
    for path in ("/api/v1/me", "/", "/api/v1/auth/sign-in"):
        answer = await anonymous.get(path, headers=[(b"Host", host.encode())])
        assert answer.status_code in (400, 421), path
        assert "evil" not in answer.headers.get("location", "")


async def test_two_names_are_one_too_many(anonymous: AsyncClient) -> None:
    answer = await anonymous.get("/", headers=[(b"Host", b"testserver"), (b"Host", b"testserver")])
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:sparkops:problem:malformed")


async def test_probes_may_use_any_name(anonymous: AsyncClient) -> None:
    assert (await anonymous.get("/health/live", headers={"Host": "pod-17"})).status_code == 200


ORIGIN = "https://ops.example.com"
FOREIGN = [
    "https://evil.example.com", "http://ops.example.com", "https://ops.example.com:443", "https://ops.example.com:8443",
    "https://ops.example.com.evil.com", "https://evilops.example.com", "https://ops.example.comevil.com",
    "https://ops-example.com", "https://opsXexample.com", "https://sub.ops.example.com", "https://example.com",
    "https://ops.example.com/", "https://ops.example.com/path", "https://ops.example.com?x", "https://ops.example.com#x",
    "https://OPS.example.com", "HTTPS://ops.example.com", "https://ops.example.com ", " https://ops.example.com",
    "https://ops.example.com,https://evil.example.com", "https://ops.example.com https://evil.example.com",
    "https://user@ops.example.com", "https://ops.example.com@evil.example.com", "null", "file://", "*",
    "https://", "ops.example.com", "//ops.example.com", "https://ops.example.com\\@evil.com", "https://ops.example.com%00",
    "chrome-extension://abcdef",
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_page_of_any_other_origin_may_read_nothing(ann: Person, origin: str) -> None:
    for answer in (
        await ann.client.get("/api/v1/me", headers={"Origin": origin}),
        await ann.client.options(
            "/api/v1/projects",
            headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
        ),
        await ann.client.get("/api/v1/nothing", headers={"Origin": origin}),
    ):
        assert "access-control-allow-origin" not in answer.headers, answer.request.method


async def test_the_origin_in_the_list_may(ann: Person) -> None:
    assert len(FOREIGN) >= 30
    answer = await ann.client.get("/api/v1/me", headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in answer.headers["vary"]
    for method in ("PATCH", "DELETE", "PUT"):
        preflight = await ann.client.options(
            "/api/v1/me", headers={"Origin": ORIGIN, "Access-Control-Request-Method": method}
        )
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "https://*.example.com",
        "https://ops.example.com/",
        "ops.example.com",
        "https://OPS.example.com",
        "",
    ],
)
def test_only_exact_origins_can_be_set(origin: str) -> None:
    with pytest.raises(ValidationError):
        Settings(cors_origins=(origin,))


@pytest.mark.parametrize("name", ["*", "*.example.com", "ops.example.com:8000", "https://ops.example.com", ""])
def test_only_exact_names_can_be_set(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings(allowed_hosts=(name,))


async def test_a_route_that_takes_too_long_is_answered_as_overdue(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(middleware, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(me, SLOW, slow)
    answer = await ann.client.get("/api/v1/me")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:sparkops:problem:overdue")
    assert answer.headers["retry-after"] == "1"


SLOW = "all_projects_of"


async def test_a_body_that_stands_still_is_not_waited_for(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield b'{"slug": '
        await asyncio.sleep(60)
        yield b'"x"}'

    monkeypatch.setattr(bodies, "STALL_SECONDS", 0.2)
    answer = await ann.client.post("/api/v1/projects", content=stalling(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (408, "urn:sparkops:problem:body-too-slow")
    assert answer.headers["connection"] == "close"


async def test_a_body_that_trickles_has_an_end_too(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    async def trickling() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.05)
            yield b" "

    monkeypatch.setattr(bodies, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(bodies, "BYTES_PER_SECOND", 1 << 40)
    answer = await ann.client.post(
        "/api/v1/projects", content=trickling(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 408


async def test_an_address_has_an_end(anonymous: AsyncClient) -> None:
    for path in (f"/{'x' * 9_000}", f"/api/v1/runs?project={'x' * 9_000}"):
        answer = await anonymous.get(path)
        assert (answer.status_code, answer.json()["type"]) == (414, "urn:sparkops:problem:address-too-long")


HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
}


@pytest.mark.parametrize("settings", [{"secure_cookies": True}], indirect=True)
async def test_every_route_answers_with_the_headers_that_browsers_heed(app: FastAPI, anonymous: AsyncClient) -> None:
    tried = 0
    for path, methods in document(app)["paths"].items():
        for method in methods:
            answer = await anonymous.request(method, path.replace("{", "").replace("}", ""))
            expected = HEADERS | {"cache-control": "no-store"}
            assert {name: answer.headers.get(name) for name in expected} == expected, (method, path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            tried += 1
    assert tried > 60
    page = await anonymous.get("/")
    assert {name: page.headers.get(name) for name in HEADERS} == HEADERS


async def test_every_route_with_a_body_takes_json_and_nothing_else(app: FastAPI, ann: Person) -> None:
    tried = 0
    for path, methods in document(app)["paths"].items():
        for method, operation in methods.items():
            if method == "get":
                continue
            for declared in ("text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"):
                address = path.replace("{", "").replace("}", "")
                answer = await ann.client.request(method, address, content=b"a=b", headers={"Content-Type": declared})
                assert answer.status_code == 415, (operation["operationId"], declared)
                tried += 1
    assert tried > 60


async def test_a_packed_body_is_not_unpacked(ann: Person) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await ann.client.post("/api/v1/projects", content=b"\x1f\x8b" + b"\0" * 50, headers=headers)
    assert answer.status_code in (415, 422)
    assert answer.json()["type"] == "urn:sparkops:problem:unsupported-media-type"
    assert answer.headers["accept-encoding"] == "identity"


async def test_json_of_a_hundred_thousand_levels_is_refused_in_words(ann: Person) -> None:
    deep: dict[str, Any] = {"content": b"[" * 100_000 + b"]" * 100_000, "headers": {"Content-Type": "application/json"}}
    answer = await ann.client.post("/api/v1/projects", **deep)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sparkops:problem:too-deep")


def test_the_application_is_made_without_redirects() -> None:
    assert create_app(Settings()).router.redirect_slashes is False
