"""Deleting a project and what it keeps, over HTTP; what becomes of the data is told in tests/engine."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from fastapi import FastAPI

from sparkops.api.deps import Door
from sparkops.core.config import Connection, ModelEndpoint, Oidc
from sparkops.engine.removal import claim_removal, end_removal, remove_some
from tests.api.conftest import SOURCE, MakePerson, Person, client_of, only_administrators_create_projects
from tests.engine.tenants import age, tidied

DELETION = "/api/v1/projects/weather/deletion"
WANTED = {"slug": "weather", "reason": "the trial is over"}


async def state(ann: Person) -> dict[str, Any] | None:
    answer = await ann.client.get(DELETION)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] | None = answer.json()["deletion"]
    return found


async def code_of(ann: Person, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    answer = await ann.client.post(path, json=body)
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def test_an_owner_asks_and_takes_it_back(ann: Person, bob: Person, door: Door) -> None:
    assert await state(ann) is None
    asked = await ann.client.post(DELETION, json=WANTED)
    assert asked.status_code == 201, asked.text
    found = asked.json()["deletion"]
    assert (found["status"], found["reason"], found["asked_by"]["name"]) == ("asked", WANTED["reason"], "ann")
    due, begun = (datetime.fromisoformat(found[name]) for name in ("due_at", "asked_at"))
    assert abs((due - begun).total_seconds() - 7 * 86_400) < 5
    halts = (await bob.client.get("/api/v1/halts", params={"project": "weather", "in_force": True})).json()["items"]
    assert [(halt["kind"], halt["scope"]) for halt in halts] == [("stop", "project")]
    assert halts[0]["kept_by_deletion"] is True
    assert await code_of(ann, f"/api/v1/halts/{halts[0]['id']}/release") == (409, "stopped-for-deletion")

    assert await code_of(ann, DELETION, WANTED) == (409, "deletion-asked")
    taken_back = await ann.client.post(f"{DELETION}/cancel")
    assert (taken_back.status_code, taken_back.json()["deletion"]["status"]) == (200, "cancelled")
    assert taken_back.json()["deletion"]["cancelled_by"]["name"] == "ann"
    assert await code_of(ann, f"{DELETION}/cancel") == (409, "no-deletion")
    halts = (await bob.client.get("/api/v1/halts", params={"project": "weather", "in_force": True})).json()["items"]
    assert halts == []
    actors = await door.database.pool.fetch(
        "SELECT action, actor FROM audit WHERE action LIKE 'project.del%' ORDER BY id"
    )
    assert [tuple(line) for line in actors] == [
        ("project.deletion.ask", f"user:{ann.id}"),
        ("project.deletion.cancel", f"user:{ann.id}"),
    ]


@pytest.mark.parametrize(
    "body", [{"slug": "whether", "reason": "x"}, {"slug": "weather"}, {"slug": "weather", "reason": ""}]
)
async def test_the_slug_is_typed_again_and_a_reason_given(ann: Person, body: dict[str, str]) -> None:
    assert (await code_of(ann, DELETION, body))[0] == 422
    assert await state(ann) is None


@pytest.mark.parametrize("role", ["admin", "developer", "viewer"])
async def test_only_owners_delete(ann: Person, person: MakePerson, role: str) -> None:
    other = await person("other")
    await ann.client.post("/api/v1/projects/weather/members", json={"email": other.email, "role": role})
    assert await code_of(other, DELETION, WANTED) == (403, "forbidden")
    assert await code_of(other, f"{DELETION}/cancel") == (403, "forbidden")
    assert (await other.client.get(DELETION)).json()["deletion"] is None


async def test_a_deleted_project_looks_as_if_it_had_never_been_and_its_name_is_kept(
    ann: Person, person: MakePerson, door: Door, owner_url: str
) -> None:
    made = await ann.client.post(
        "/api/v1/workflows", json={"project": "weather", "source": SOURCE.format(name="report")}
    )
    run = await ann.client.post("/api/v1/runs", json={"project": "weather", "workflow": "report"})
    assert run.status_code == 201
    await ann.client.post(DELETION, json=WANTED)
    await due(owner_url)
    removal = await claim_removal(door.engine)
    assert removal is not None
    paths = [
        "/api/v1/projects/weather",
        DELETION,
        f"/api/v1/runs/{run.json()['id']}",
        f"/api/v1/workflows/{made.json()['id']}",
    ]
    await seen_by_nobody(ann, paths)
    while await remove_some(door.engine, removal) != "empty":
        pass
    assert await end_removal(door.engine, door.engine.payloads, removal)
    await seen_by_nobody(ann, paths)
    status, text = await create(ann, "weather")
    assert (status, "is kept" in text) == (409, True), "what lies under its name elsewhere is for nobody who is quick"
    root = await administrator(person, door)
    assert (await create(root, "weather"))[0] == 201
    assert await state(root) is None


async def seen_by_nobody(ann: Person, paths: list[str]) -> None:
    for path in paths:
        assert (await ann.client.get(path)).status_code == 404, path
    assert (await ann.client.get("/api/v1/projects")).json()["items"] == []
    assert await code_of(ann, DELETION, WANTED) == (404, "not-found")


async def due(owner_url: str) -> None:
    """Let the delay be over; the application may not write this."""
    owner = await asyncpg.connect(owner_url)
    await owner.execute("UPDATE project_deletions SET due_at = clock_timestamp()")
    await owner.close()


async def test_what_a_project_keeps_is_set_and_audited(ann: Person, person: MakePerson, door: Door) -> None:
    kept = {"keep_runs_days": 90, "keep_log_days": 30, "keep_values_days": 7}
    answer = await ann.client.patch("/api/v1/projects/weather", json=kept)
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in kept} == kept
    answer = await ann.client.patch("/api/v1/projects/weather", json={"keep_log_days": None})
    assert (answer.json()["keep_log_days"], answer.json()["keep_runs_days"]) == (None, 90)
    lines = await door.database.pool.fetch(
        "SELECT before, after FROM audit WHERE action = 'project.retention' ORDER BY id"
    )
    assert [line["after"] for line in lines] == [kept, {"keep_log_days": None}]
    assert lines[1]["before"] == {"keep_log_days": 30}
    dev = await person("dev")
    await ann.client.post("/api/v1/projects/weather/members", json={"email": dev.email, "role": "developer"})
    assert (await dev.client.patch("/api/v1/projects/weather", json=kept)).status_code == 403


@pytest.mark.parametrize("days", [0, -1, 36_501, "many"])
async def test_a_time_to_keep_that_makes_no_sense_is_refused(ann: Person, days: object) -> None:
    assert (await ann.client.patch("/api/v1/projects/weather", json={"keep_runs_days": days})).status_code == 422


async def test_a_run_tells_what_is_no_longer_kept_of_it(ann: Person, door: Door, owner_url: str) -> None:
    await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": SOURCE.format(name="report")})
    run = (await ann.client.post("/api/v1/runs", json={"project": "weather", "workflow": "report"})).json()
    await ann.client.post(f"/api/v1/runs/{run['id']}/cancel")
    await ann.client.patch("/api/v1/projects/weather", json={"keep_log_days": 1, "keep_values_days": 1})
    await age(owner_url, UUID(run["id"]), days=2)
    assert await tidied(door.engine) == {"runs": 0, "logs": 1, "values": 1}
    shown = (await ann.client.get(f"/api/v1/runs/{run['id']}")).json()
    assert shown["log_removed_at"] is not None
    assert shown["values_removed_at"] is not None
    assert (shown["status"], shown["input"]) == ("cancelled", {"$removed": True})
    assert (await ann.client.get(f"/api/v1/runs/{run['id']}/events")).json()["items"] == []
    for path in ("steps", "calls", "artifacts"):
        assert (await ann.client.get(f"/api/v1/runs/{run['id']}/{path}")).status_code == 200, path
    assert await code_of(ann, f"/api/v1/runs/{run['id']}/rerun", {}) == (409, "values-removed")


async def create(person: Person, slug: str) -> tuple[int, str]:
    answer = await person.client.post("/api/v1/projects", json={"slug": slug, "name": slug})
    return answer.status_code, answer.text


async def administrator(person: MakePerson, door: Door) -> Person:
    root = await person("root")
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", root.id)
    return root


async def test_projects_are_created_by_administrators_unless_the_settings_say_everybody(
    app: FastAPI, eve: Person, person: MakePerson, door: Door
) -> None:
    root = await administrator(person, door)
    assert (await create(eve, "garden"))[0] == 201
    assert (await eve.client.get("/api/v1/me")).json()["may_create_projects"] is True
    only_administrators_create_projects(app)
    status, text = await create(eve, "orchard")
    assert status == 403
    assert "Only administrators" in text
    assert (await eve.client.get("/api/v1/me")).json()["may_create_projects"] is False
    assert (await root.client.get("/api/v1/me")).json()["may_create_projects"] is True
    assert (await create(root, "orchard"))[0] == 201
    key = await root.client.post(
        "/api/v1/api-keys", json={"name": "k", "scopes": ["run:read"], "projects": ["orchard"]}
    )
    async with client_of(app, Authorization=f"Bearer {key.json()['key']}") as machine:
        assert (await machine.post("/api/v1/projects", json={"slug": "third", "name": "T"})).status_code == 403


async def test_a_name_to_which_the_settings_give_something_is_given_by_administrators_alone(
    app: FastAPI, eve: Person, person: MakePerson, door: Door
) -> None:
    root = await administrator(person, door)
    given = {"issuer": "https://id.example.com", "client_id": "c", "groups": {"staff": {"wages": "viewer"}}}
    changed = {
        "oidc": Oidc.model_validate(given),
        "connections": {"hr": Connection.model_validate({"url": "postgresql://r@h/d", "projects": ["people", "*"]})},
        "models": {"m": ModelEndpoint(base_url="u", model="m", projects=("lab",))},
    }
    app.state.door = replace(door, settings=door.settings.model_copy(update=changed))
    for slug in ("wages", "people", "lab"):
        assert (await create(eve, slug))[0] == 409
        assert (await create(root, slug))[0] == 201
    assert (await create(eve, "other"))[0] == 201
