"""What attackers try first, each once."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from sparkops.api.app import create_app
from sparkops.api.bodies import MAX_DEPTH
from sparkops.api.cookies import COOKIE
from sparkops.api.deps import Door
from sparkops.api.schema import document
from sparkops.core.config import Settings
from sparkops.core.ids import new_id
from sparkops.domains.artifacts.models import Artifact
from tests.api.conftest import ORIGIN, PASSWORD, SOURCE, MakePerson, Person, client_of
from tests.api.things import REPORT, make_things

SIGN_IN = "/api/v1/auth/sign-in"
REFRESH = "/api/v1/auth/refresh"
EVIL = "https://evil.example.com"


async def test_a_session_that_somebody_else_began_is_not_gone_on_with(
    app: FastAPI, anonymous: AsyncClient, person: MakePerson
) -> None:
    """Session fixation: the attacker's cookie is in the victim's browser before the victim signs in."""
    for name in ("eve", "ann"):
        await person(name)
    answer = await anonymous.post(SIGN_IN, json={"email": "eve@example.com", "password": PASSWORD})
    planted = anonymous.cookies[COOKIE]
    async with client_of(app, Cookie=f"{COOKIE}={planted}") as victim:
        theirs = await victim.post(SIGN_IN, json={"email": "ann@example.com", "password": PASSWORD})
        assert theirs.cookies[COOKIE] != planted
    assert theirs.json()["access_token"] != answer.json()["access_token"]
    still = await anonymous.post(REFRESH)
    assert still.status_code == 401, "what the browser held before was ended, and nobody shares what came after"


async def test_a_cookie_alone_opens_nothing_but_its_own_two_routes(
    app: FastAPI, anonymous: AsyncClient, person: MakePerson
) -> None:
    """Cross-site request forgery: browsers send cookies along; everything else wants a token that pages hold."""
    await person("ann")
    await anonymous.post(SIGN_IN, json={"email": "ann@example.com", "password": PASSWORD})
    cookie = {"Cookie": f"{COOKIE}={anonymous.cookies[COOKIE]}"}
    opened = set()
    for path, methods in document(app)["paths"].items():
        for method, operation in methods.items():
            address = path.replace("{", "").replace("}", "")
            body: dict[str, Any] = {} if method == "get" else {"json": {}}
            answer = await anonymous.request(method, address, headers=cookie, **body)
            if operation.get("security"):
                assert answer.status_code == 401, operation["operationId"]
            elif answer.status_code < 300:
                opened.add(operation["operationId"])
    assert opened <= {"refresh", "live", "ready", "getOidc", "getSignInOptions"}, "the others are open without it, too"


@pytest.mark.parametrize("origin", [EVIL, "null", "http://testserver:8080", "http://testserver.evil.com", ""])
async def test_a_foreign_page_cannot_use_the_cookie(anonymous: AsyncClient, person: MakePerson, origin: str) -> None:
    await person("ann")
    await anonymous.post(SIGN_IN, json={"email": "ann@example.com", "password": PASSWORD})
    assert (await anonymous.post(REFRESH, headers={"Origin": origin})).status_code == 403
    assert (await anonymous.post(REFRESH, headers={"Origin": ORIGIN})).status_code == 200


async def test_a_form_cannot_be_made_to_look_like_json(ann: Person) -> None:
    """Forms send three types without asking first; none of them is taken."""
    for declared in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        body = b'{"slug": "forged", "name": "x", "a": "="}'
        answer = await ann.client.post("/api/v1/projects", content=body, headers={"Content-Type": declared})
        assert answer.status_code == 415


async def test_no_get_changes_anything(app: FastAPI, ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    values = {name: str(getattr(things, name)) for name in things.__dataclass_fields__} | {"slug": "weather"}
    before = await counted(door)
    for path, methods in document(app)["paths"].items():
        if "get" in methods:
            known = {name: values.get(name, "1") for name in re.findall(r"{(\w+)}", path)}
            await ann.client.get(path.format(**known), params={"project": "weather"})
    assert await counted(door) == before


NOTED = ("alembic_version", "security_events", "audit", "audit_unsealed")
"""Reading the audit trail is itself put on record."""


async def counted(door: Door) -> dict[str, int]:
    tables = await door.database.pool.fetch(
        "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public' AND relname !~ '_p?[0-9]+$' ORDER BY 1"
    )
    names = [row["relname"] for row in tables if row["relname"] not in NOTED]
    return {name: await door.database.pool.fetchval(f"SELECT count(*) FROM {name}") for name in names}


@pytest.mark.parametrize("path", ["/", "/login", "/api/v1/me", "/api/v1/nothing", "/assets/none.js", "/health/live"])
async def test_no_page_can_be_put_into_a_frame(anonymous: AsyncClient, path: str) -> None:
    answer = await anonymous.get(path)
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers.get("content-security-policy", "frame-ancestors 'none'")


REDIRECTS = [
    "//evil.example.com", "//evil.example.com/", "/%2f%2fevil.example.com", "/\\evil.example.com",
    "/%5cevil.example.com",
    "/login?next=https://evil.example.com", "/login?next=//evil.example.com", "/?url=https://evil.example.com",
    "/api/v1/runs/", "/api/v1/me/", "/api/v1/auth/sign-in/", "/health/live/", "/https:/evil.example.com",
    "/.//evil.example.com", "/%0d%0aLocation:%20https://evil.example.com", "/a/..//evil.example.com/%2e%2e",
]  # fmt: skip


@pytest.mark.parametrize("path", REDIRECTS)
async def test_nobody_is_sent_anywhere(anonymous: AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "HEAD"):
        answer = await anonymous.request(method, f"http://testserver{path}")
        assert not 300 <= answer.status_code < 400
        assert "location" not in answer.headers
        assert "refresh" not in answer.headers


def objects(schema: Any, known: dict[str, Any], seen: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object with named members that a body may hold, at any depth, once."""
    if isinstance(schema, list):
        for one in schema:
            yield from objects(one, known, seen)
    elif isinstance(schema, dict):
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            yield from objects(known[name], known, seen)
        if "properties" in schema:
            yield schema.get("title", "?"), schema
        for one in schema.values():
            yield from objects(one, known, seen)


def test_no_body_takes_a_member_that_it_does_not_name_at_any_depth() -> None:
    """Mass assignment: `is_admin` in a body of anything."""
    described = document(create_app(Settings()))
    seen: set[str] = set()
    looked_at = 0
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            for title, one in objects(operation.get("requestBody", {}), described["components"]["schemas"], seen):
                assert one.get("additionalProperties") is False, (method, path, title)
                looked_at += 1
    assert looked_at > 25


@pytest.mark.parametrize(
    "given", ["a\r\nX-Evil: 1", "a\nSet-Cookie: b=c", "ü" * 10, "x" * 200, "\x00" * 10, "<script>alert(1)</script>"]
)
async def test_no_header_is_made_of_what_a_caller_writes(anonymous: AsyncClient, given: str) -> None:
    answer = await anonymous.get("/health/live", headers=[(b"X-Request-Id", given.encode())])
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])
    assert "x-evil" not in answer.headers


NAMES = [
    "a\r\nX-Evil: 1",
    'a"; filename="evil.exe',
    "../../etc/passwd",
    "a\x00b.html",
    "ü.html",
    "a;b=c",
    "%0d%0aX-Evil: 1",
]


@pytest.mark.parametrize("name", NAMES)
async def test_no_name_of_a_file_gets_out_of_its_header(ann: Person, door: Door, name: str) -> None:
    things = await make_things(ann, door)
    async with door.database.sessions.begin() as session:
        made = await session.get(Artifact, things.artifact_id)
        assert made is not None
        values = {column.name: getattr(made, column.name) for column in Artifact.__table__.columns}
        values |= {"id": new_id(), "call_id": new_id(), "name": name.replace("\0", ""), "media_type": "text/html"}
        session.add(Artifact(**values))
    answer = await ann.client.get(f"/api/v1/artifacts/{values['id']}/content")
    assert answer.status_code == 200, answer.text
    assert answer.content == REPORT
    assert "x-evil" not in answer.headers
    assert re.fullmatch(r"attachment; filename\*=UTF-8''[A-Za-z0-9._~%-]+", answer.headers["content-disposition"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"], "were it shown, it could do nothing"


PATHS = [
    "/../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/../../../etc/passwd",
    "/assets/..%5c..%5cetc%5cpasswd", "/....//....//etc/passwd", "/%252e%252e/etc/passwd",
    "/assets/%c0%ae%c0%ae/etc/passwd",
    "/.env", "/.git/config", "/etc/passwd", "//etc/passwd", "/file:///etc/passwd", "/assets/app.py", "/api/../.env",
    "/api/v1/artifacts/..%2f..%2fetc%2fpasswd/content", "/api/v1/runs/../../../etc/passwd",
    "/api/v1/projects/..%2f..%2fadmin", "/index.html/../../secret",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_no_path_leads_to_the_disk(ann: Person, path: str) -> None:
    answer = await ann.client.get(f"http://testserver{path}")
    assert "root:" not in answer.text
    assert answer.status_code in (200, 404, 422, 405)
    if answer.status_code == 200:
        assert answer.headers["content-type"].startswith("text/html")
        assert "not built yet" in answer.text


async def test_a_pattern_that_goes_wild_elsewhere_is_matched_in_no_time(ann: Person) -> None:
    """Regex bombs: in the schema of an input that a workflow declares, and its value."""
    schema = "  properties: {{year: {{type: string, pattern: '^(a+)+$'}}}}"
    source = SOURCE.replace("  properties: {{year: {{type: integer, default: 2014}}}}", schema).format(name="wild")
    made = await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
    assert made.status_code == 201, made.text
    began = time.perf_counter()
    body = {"project": "weather", "workflow": "wild", "input": {"year": "a" * 50_000 + "!"}}
    assert (await ann.client.post("/api/v1/runs", json=body)).status_code == 422
    assert time.perf_counter() - began < 2


async def test_no_pattern_of_ours_goes_wild(app: FastAPI, ann: Person) -> None:
    """Each text of each body, of a megabyte that almost fits."""
    bodies = {
        "/api/v1/projects": {"slug": "a" + "-" * 900_000 + "!", "name": "x"},
        "/api/v1/projects/weather/members": {"email": "a@" * 400_000},
        "/api/v1/auth/sign-in": {"email": "a" * 900_000 + "@", "password": "x"},
        "/api/v1/events": {"project": "weather", "id": "e", "name": "a." * 400_000, "data": {}},
        "/api/v1/budgets": {"project": "weather", "name": "a " * 400_000, "scope": "project", "period": "month"},
    }
    for path, body in bodies.items():
        began = time.perf_counter()
        answer = await ann.client.post(path, json=body)
        assert answer.status_code in (401, 422), (path, answer.text[:200])
        assert time.perf_counter() - began < 2, path


async def test_an_input_as_deep_as_allowed_is_carried_through(ann: Person) -> None:
    """What the gate lets in must not break what is behind it."""
    source = SOURCE.format(name="report")
    await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
    deep: Any = 1
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    made = await ann.client.post(
        "/api/v1/runs", json={"project": "weather", "workflow": "report", "input": {"x": deep}}
    )
    assert made.status_code in (201, 422), made.text
    if made.status_code == 201:
        assert (await ann.client.get(f"/api/v1/runs/{made.json()['id']}")).json()["input"]["x"] == deep


async def test_an_answer_tells_nothing_of_the_inside(ann: Person) -> None:
    odd = ["'", '"', "';--", "{{7*7}}", "${7*7}", "\\", "%", "_", "\u202e", "\ufffe", "-1", "1e309", "NaN"]
    for text in odd:
        for path in ("/api/v1/runs", "/api/v1/workflows", "/api/v1/policies"):
            answer = await ann.client.get(path, params={"project": text, "q": text, "cursor": text, "status": text})
            assert answer.status_code in (404, 422), (path, text)
            assert not re.search(r"asyncpg|sqlalchemy|Traceback|SELECT |/src/|\.py\b", answer.text)
