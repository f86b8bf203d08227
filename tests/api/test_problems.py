"""How every failure is answered, and what surrounds every answer."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from httpx2 import AsyncClient
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.bodies import MAX_BODY_BYTES, MAX_RUN_BODY_BYTES
from sparkops.api.deps import Door
from sparkops.api.problems import STATUS
from sparkops.api.routes import me
from sparkops.core import errors
from tests.api.conftest import SOURCE, Person, client_of, running


async def test_the_shape_of_a_problem(ann: Person) -> None:
    answer = await ann.client.get("/api/v1/projects/nowhere", headers={"X-Request-Id": "from-the-caller-1"})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:sparkops:problem:not-found",
        "title": "There is no such thing here",
        "status": 404,
        "detail": "There is no such project here.",
        "instance": "/api/v1/projects/nowhere",
        "request_id": "from-the-caller-1",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not-found"),
        ("GET", "/api/nothing", 404, "not-found"),
        ("POST", "/api/v1/nothing", 405, "method-not-allowed"),
        ("DELETE", "/api/v1/projects", 405, "method-not-allowed"),
    ],
)
async def test_addresses_and_methods_that_do_not_exist(
    anonymous: AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await anonymous.request(method, path)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:sparkops:problem:{code}")


async def test_a_payload_that_does_not_fit_lists_where_and_why(ann: Person) -> None:
    answer = await ann.client.post("/api/v1/projects", json={"slug": "No Slug"})

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:sparkops:problem:invalid"
    assert {error["path"] for error in answer.json()["errors"]} == {"slug", "name"}
    assert "input" not in answer.json()["errors"][0], "what was sent is not sent back: it may be a password"


@pytest.mark.parametrize("path", ["/api/v1/runs/not-an-id", "/api/v1/runs?project=weather&limit=0"])
async def test_wrong_parameters_are_answered_alike(ann: Person, path: str) -> None:
    answer = await ann.client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sparkops:problem:invalid")


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "é"])
async def test_a_cursor_of_somebody_else_is_refused(ann: Person, cursor: str) -> None:
    answer = await ann.client.get("/api/v1/projects", params={"cursor": cursor})
    assert answer.status_code == 422


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
async def test_only_json_is_taken(ann: Person, content_type: str) -> None:
    body = b'{"slug": "second", "name": "Second"}'
    answer = await ann.client.post("/api/v1/projects", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:sparkops:problem:unsupported-media-type")


async def test_broken_json_is_a_problem_too(ann: Person) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = await ann.client.post("/api/v1/projects", content=b'{"slug": ', headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sparkops:problem:invalid")


async def test_a_body_over_the_limit_is_refused_whether_declared_or_not(ann: Person) -> None:
    async def undeclared() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * (MAX_BODY_BYTES // 10)

    headers = {"Content-Type": "application/json"}
    for content in (b"x" * (MAX_BODY_BYTES + 1), undeclared()):
        answer = await ann.client.post("/api/v1/projects", content=content, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:sparkops:problem:too-large")


async def test_a_run_may_bring_a_larger_input(ann: Person) -> None:
    body = {"project": "weather", "workflow": "none", "input": {"text": "x" * (2 * MAX_BODY_BYTES)}}
    assert (await ann.client.post("/api/v1/runs", json=body)).status_code == 404
    body["input"] = {"text": "x" * MAX_RUN_BODY_BYTES}
    assert (await ann.client.post("/api/v1/runs", json=body)).status_code == 413


async def test_a_definition_of_one_mebibyte_fits_and_a_larger_one_is_refused_in_words(ann: Person) -> None:
    source = SOURCE.format(name="wide")
    comment = "# …\n" * ((1_048_576 - len(source)) // len("# …\n".encode()))
    body = {"project": "weather", "source": source + comment}
    assert (await ann.client.post("/api/v1/workflows", json=body)).status_code == 201
    body["source"] += comment[:100]
    answer = await ann.client.post("/api/v1/workflows", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sparkops:problem:definition-invalid"), answer.text


async def test_a_commit_that_fails_is_not_answered_as_done(ann: Person, door: Door) -> None:
    def refuse(connection: object) -> None:
        raise RuntimeError("the disk is full")

    event.listen(door.database.walled.engine.sync_engine, "commit", refuse)
    answer = await ann.client.post("/api/v1/projects", json={"slug": "second", "name": "Second"})
    event.remove(door.database.walled.engine.sync_engine, "commit", refuse)

    assert answer.status_code == 500
    assert (await ann.client.get("/api/v1/projects/second")).status_code == 404


async def test_a_bug_tells_nothing_of_the_inside_and_logs_all(
    ann: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("secret/path")

    monkeypatch.setattr(me, "roles_of", broken)
    answer = await ann.client.get("/api/v1/me")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    logged = next(record.msg for record in caplog.records if isinstance(record.msg, dict))
    assert logged["request_id"] == answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret/path" in logged["exception"]


async def test_a_database_that_is_away_is_said_to_be_away(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("connection lost"))

    monkeypatch.setattr(me, "roles_of", away)
    answer = await ann.client.get("/api/v1/me")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "SELECT" not in answer.text


async def test_a_statement_that_takes_too_long_is_no_bug_of_the_caller(
    ann: Person, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(session: AsyncSession, _: object) -> None:
        await session.execute(text("SET LOCAL statement_timeout = 50"))
        await session.execute(text("SELECT pg_sleep(5)"))

    async def wrong(session: AsyncSession, _: object) -> None:
        await session.execute(text("SELECT nothing"))

    monkeypatch.setattr(me, "roles_of", slow)
    assert (await ann.client.get("/api/v1/me")).status_code == 503
    monkeypatch.setattr(me, "roles_of", wrong)
    assert (await ann.client.get("/api/v1/me")).status_code == 500


@pytest.mark.parametrize("given", ["short", "has spaces in it", "x" * 129, "line\tbreak-12345"])
async def test_a_request_id_that_is_not_sane_is_replaced(anonymous: AsyncClient, given: str) -> None:
    answer = await anonymous.get("/health/live", headers={"X-Request-Id": given})
    assert UUID(answer.headers["x-request-id"]).version == 7


async def test_every_answer_carries_the_security_headers(anonymous: AsyncClient) -> None:
    for path in ("/", "/health/live", "/api/v1/me", "/api/v1/nothing", "/api/openapi.json"):
        headers = (await anonymous.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "strict-transport-security" not in headers
    assert (await anonymous.get("/api/v1/me")).headers["cache-control"] == "no-store"


async def test_https_is_kept_to_once_cookies_are_secure(door: Door, tmp_path: Path) -> None:
    settings = door.settings.model_copy(update={"secure_cookies": True})
    async with running(settings, tmp_path) as secure, client_of(secure) as client:
        assert "max-age=31536000" in (await client.get("/health/live")).headers["strict-transport-security"]


async def test_large_answers_are_compressed_and_small_ones_are_not(ann: Person) -> None:
    large = await ann.client.get("/api/v1/schemas/workflow")
    small = await ann.client.get("/api/v1/me")
    assert large.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in small.headers
    assert len(gzip.compress(large.content)) < len(large.content)


async def test_other_origins_may_ask_only_when_listed(anonymous: AsyncClient) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Authorization"}
    listed = await anonymous.options("/api/v1/runs", headers=preflight | {"Origin": "https://ops.example.com"})
    foreign = await anonymous.options("/api/v1/runs", headers=preflight | {"Origin": "https://evil.example.com"})
    assert listed.headers["access-control-allow-origin"] == "https://ops.example.com"
    assert "access-control-allow-origin" not in foreign.headers


async def test_nothing_is_shared_by_default(door: Door, tmp_path: Path) -> None:
    settings = door.settings.model_copy(update={"cors_origins": ()})
    async with running(settings, tmp_path) as closed, client_of(closed) as client:
        answer = await client.get("/health/live", headers={"Origin": "https://ops.example.com"})
        assert "access-control-allow-origin" not in answer.headers


def test_every_family_of_errors_has_a_status() -> None:
    families = {one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.SparkOpsError)}
    bugs_of_the_start = {errors.SparkOpsError, errors.ConfigError}
    assert families - bugs_of_the_start <= set(STATUS)


async def test_each_request_leaves_one_log_line(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, object]] = []
    monkeypatch.setattr("sparkops.api.middleware.log.info", lambda _, **fields: lines.append(fields))
    await ann.client.get(f"/api/v1/runs/{ann.id}")
    assert len(lines) == 1
    line = lines[0]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/v1/runs/{run_id}", 404)
    assert line["principal"] == str(ann.id)


@pytest.mark.parametrize(
    "body",
    [
        b'{"email": "a\\u0000b", "password": "x"}',
        b'{"email": "a", "password": "\\ud800"}',
        b'{"email": "a", "password": "\\udc00\\ud800"}',
    ],
)
async def test_text_that_cannot_be_stored_is_refused_at_the_door(anonymous: AsyncClient, body: bytes) -> None:
    answer = await anonymous.post("/api/v1/auth/sign-in", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sparkops:problem:unstorable-text")


async def test_an_address_with_a_nul_is_refused(ann: Person) -> None:
    for path in ("/api/v1/projects/we%00", "/api/v1/runs?project=we%00"):
        assert (await ann.client.get(path)).status_code == 422


async def test_escaped_backslashes_and_whole_pairs_are_ordinary_text(anonymous: AsyncClient) -> None:
    body = b'{"email": "a\\\\u0000", "password": "\\ud83d\\ude00"}'
    answer = await anonymous.post("/api/v1/auth/sign-in", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 401
