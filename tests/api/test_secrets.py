"""Secrets over HTTP: they go in, and never come out."""

import io
import logging
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from sparkops.api.deps import Door
from sparkops.core import log
from sparkops.core.envelope import Keys, Place, Sealed
from tests.api.conftest import MakePerson, Person

VALUE = "sk+live/of it=0123456789"
AS_JSON = {"Content-Type": "application/json"}
NEW = {"project": "weather", "name": "stripe-key", "value": VALUE, "description": "pays"}


async def create(client: AsyncClient, status: int = 201, **changed: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/secrets", json={**NEW, **changed})
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def kept(door: Door, name: str, version: int) -> str:
    """What the database keeps, opened."""
    row = await door.database.pool.fetchrow(
        "SELECT v.* FROM secret_versions v JOIN secrets s ON s.id = v.secret_id WHERE s.name = $1 AND v.version = $2",
        name,
        version,
    )
    sealed = Sealed(row["kek_id"], row["wrapped_key"], row["ciphertext"])
    return door.keys.ring().open(Place(row["project_id"], name, version), sealed)


async def test_a_secret_is_written_rotated_archived_and_restored(ann: Person, door: Door) -> None:
    made = await create(ann.client)
    assert (made["reference"], made["latest_version"], made["last_used_at"]) == ("secret://stripe-key", 1, None)
    path = f"/api/v1/secrets/{made['id']}"
    put = await ann.client.post(f"{path}/versions", json={"value": "  kept as it is \n"})
    assert (put.status_code, put.json()["latest_version"]) == (201, 2)
    assert (await kept(door, "stripe-key", 1), await kept(door, "stripe-key", 2)) == (VALUE, "  kept as it is \n")
    versions = (await ann.client.get(f"{path}/versions")).json()["items"]
    assert [(one["version"], one["created_by"]["name"]) for one in versions] == [(2, "ann"), (1, "ann")]
    for _ in range(2):
        gone = await ann.client.post(f"{path}/archive")
        assert gone.json()["archived_at"]
    assert (await ann.client.post(f"{path}/versions", json={"value": VALUE})).status_code == 409
    await create(ann.client, 409)
    for archived, names in (("false", []), ("true", ["stripe-key"])):
        assert [one["name"] for one in (await secrets_of(ann, archived)).json()["items"]] == names
    assert (await ann.client.post(f"{path}/restore")).json()["archived_at"] is None
    lines = await door.database.pool.fetch("SELECT action FROM audit WHERE action LIKE 'secret.%' ORDER BY id")
    assert [row[0] for row in lines] == ["secret.create", "secret.version", "secret.archive", "secret.restore"]


async def secrets_of(person: Person, archived: str = "false") -> Response:
    return await person.client.get("/api/v1/secrets", params={"project": "weather", "archived": archived})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"value": "seven--"}, "at least 8 characters"),
        ({"value": "x" * 40_000}, "at most 32,768 bytes"),
        ({"value": 12345678901}, "value"),
        ({"value": {"deep": "of-a-secret-in-it"}}, "value"),
        ({"value": None}, "value"),
        ({"name": "Stripe"}, "name"),
        ({"name": "../etc"}, "name"),
        ({"shown": True}, "shown"),
    ],
)
async def test_what_cannot_be_kept_is_refused_and_not_quoted(ann: Person, changed: dict[str, Any], says: str) -> None:
    refused = await create(ann.client, 422, **changed)
    assert says in refused["detail"] or says in str(refused["errors"])
    sent = changed.get("value", VALUE)
    assert str(sent if not isinstance(sent, dict) else sent["deep"]) not in str(refused)
    assert VALUE not in str(refused)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    written = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers, root.level
    log.configure(level="debug")
    root.handlers[0].setStream(written)  # type: ignore[attr-defined]
    yield written
    root.handlers = before
    root.setLevel(level)
    log.configure(level="warning")


async def test_no_answer_and_no_row_holds_a_value(
    app: FastAPI, door: Door, ann: Person, bob: Person, logged: io.StringIO
) -> None:
    made = await create(ann.client)
    path = f"/api/v1/secrets/{made['id']}"
    answers = [
        await ann.client.post("/api/v1/secrets", json=NEW),
        await ann.client.post(f"{path}/versions", json={"value": VALUE}),
        await ann.client.post(f"{path}/versions", json={"value": VALUE, "more": 1}),
        await ann.client.post(f"{path}/versions", content=b'{"value": "' + VALUE.encode(), headers=AS_JSON),
        await bob.client.post(f"{path}/versions", json={"value": VALUE}),
        await secrets_of(ann),
        *[await ann.client.get(path + part) for part in ("", "/versions", "/uses")],
        await ann.client.get("/api/openapi.json"),
    ]
    assert [answer.status_code for answer in answers] == [409, 201, 422, 422, 201, 200, 200, 200, 200, 200]
    assert VALUE not in "\n".join(answer.text for answer in answers)
    tables = await door.database.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    pool = door.database.pool
    rows = [str(row[0]) for table in tables for row in await pool.fetch(f"SELECT t::text FROM {table[0]} t")]
    assert VALUE not in "\n".join(rows)
    assert VALUE.encode().hex() not in "\n".join(rows)
    assert VALUE not in logged.getvalue()


async def test_who_may_write_secrets_and_who_may_see_that_there_are_some(
    ann: Person, bob: Person, eve: Person, person: MakePerson
) -> None:
    made = await create(ann.client)
    path = f"/api/v1/secrets/{made['id']}"
    vic = await person("vic")
    await ann.client.post("/api/v1/projects/weather/members", json={"email": vic.email, "role": "viewer"})
    await ann.client.post("/api/v1/projects/weather/members", json={"email": bob.email, "role": "developer"})
    assert [(await one.client.get(path)).status_code for one in (ann, bob, vic, eve)] == [200, 200, 403, 404]
    for one, status in ((bob, 403), (vic, 403), (eve, 404)):
        assert (await one.client.post(f"{path}/versions", json={"value": VALUE})).status_code == status
        assert (await one.client.post(f"{path}/archive")).status_code == status
        await create(one.client, status, name="other")


async def test_secrets_of_the_installation_are_for_its_administrators(ann: Person, bob: Person, door: Door) -> None:
    await create(ann.client, 403, project=None)
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", ann.id)
    made = await create(ann.client, project=None)
    assert (made["project"], made["name"]) == (None, "stripe-key")
    await create(ann.client)
    path = f"/api/v1/secrets/{made['id']}"
    listed = (await ann.client.get("/api/v1/secrets/of-installation")).json()
    assert ([one["id"] for one in listed["items"]], listed["source"]) == ([made["id"]], "database")
    assert (await ann.client.get(path)).json()["workflows"] == []
    assert (await ann.client.post(f"{path}/versions", json={"value": VALUE})).status_code == 201
    assert (await bob.client.get("/api/v1/secrets/of-installation")).status_code == 403
    assert (await bob.client.get(path)).status_code == 404
    assert (await bob.client.post(f"{path}/archive")).status_code == 403


async def test_a_secret_says_which_workflows_refer_to_it(ann: Person) -> None:
    made = await create(ann.client)
    for name, reference in (("pays", "stripe-key"), ("other", "stripe-key-2")):
        source = (
            f"version: 1\nname: {name}\nsteps:\n"
            f"  - {{id: one, type: tool, tool: noop, with: {{key: 'Bearer secret://{reference}'}}}}\n"
        )
        answer = await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
        assert answer.status_code == 201, answer.text
    found = (await ann.client.get(f"/api/v1/secrets/{made['id']}")).json()
    assert [(one["name"], one["version"]) for one in found["workflows"]] == [("pays", 1)]


async def test_uses_are_listed_with_their_calls(ann: Person, door: Door) -> None:
    made = await create(ann.client)
    project = (await ann.client.get("/api/v1/projects/weather")).json()["id"]
    calls = [str(uuid4()) for _ in range(3)]
    for call in calls:
        noted = {"project_id": project, "scope": "project", "source": "database", "name": "stripe-key", "version": 1}
        noted |= {"run_id": str(uuid4()), "step_id": str(uuid4()), "call_id": call}
        await door.database.pool.execute("SELECT engine.note_secret_use($1)", noted)
    path = f"/api/v1/secrets/{made['id']}"
    first = (await ann.client.get(f"{path}/uses", params={"limit": 2})).json()
    rest = (await ann.client.get(f"{path}/uses", params={"cursor": first["next_cursor"]})).json()
    assert [one["call_id"] for one in first["items"] + rest["items"]] == calls[::-1]
    assert (await ann.client.get(path)).json()["last_used_at"] is not None


async def test_without_a_key_nothing_is_kept(ann: Person, door: Door, app: FastAPI) -> None:
    object.__setattr__(door, "keys", Keys())
    refused = await create(ann.client, 503)
    assert refused["type"].endswith(":secrets-not-set-up")
    assert "SPARKOPS_SECRETS_KEY is missing" in refused["detail"]


async def test_where_secrets_lie_outside_none_is_written_here(ann: Person, door: Door) -> None:
    settings = door.settings.model_copy(update={"secrets_source": "vault"})
    object.__setattr__(door, "settings", settings)
    refused = await create(ann.client, 409)
    assert refused["type"].endswith(":secrets-kept-elsewhere")
    assert (await secrets_of(ann)).json()["source"] == "vault"
