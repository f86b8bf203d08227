"""The audit trail as those read it who look after a project, and administrators; and the security events beside it."""

import csv
import io
import json
from typing import Any
from uuid import UUID

from sparkops.api.denials import SERIES
from sparkops.api.deps import Door
from sparkops.domains.audit.actions import ACTIONS
from sparkops.domains.audit.seals import SealKeys
from sparkops.domains.audit.security import note
from sparkops.engine.seals import seal_some
from tests.api.conftest import SOURCE, MakePerson, Person

KEYS = SealKeys(["a" * 32])
WEATHER = {"project": "weather"}


async def got(person: Person, path: str, **query: Any) -> Any:
    answer = await person.client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def listed(person: Person, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await got(person, "/audit", **WEATHER, **query))["items"]
    return found


async def administrator(door: Door, person: MakePerson) -> Person:
    made = await person("root")
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", made.id)
    return made


async def developer(ann: Person, person: MakePerson) -> Person:
    made = await person("dan")
    await ann.client.post("/api/v1/projects/weather/members", json={"email": made.email, "role": "developer"})
    return made


async def a_run(ann: Person) -> str:
    await ann.client.post("/api/v1/workflows", json=WEATHER | {"source": SOURCE.format(name="report")})
    answer = await ann.client.post(
        "/api/v1/runs", json=WEATHER | {"workflow": "report"}, headers={"X-Request-Id": "request-of-run"}
    )
    run_id: str = answer.json()["id"]
    return run_id


async def test_a_line_says_who_did_what_from_where_and_under_which_request(ann: Person) -> None:
    run_id = await a_run(ann)
    await ann.client.post(f"/api/v1/runs/{run_id}/cancel", headers={"X-Request-Id": "request-of-cancel"})
    cancelled, created, workflow, project = await listed(ann)
    assert [line["action"] for line in (project, workflow, created, cancelled)] == [
        "project.create",
        "workflow.create",
        "run.create",
        "run.cancel",
    ]
    for line, request_id in ((created, "request-of-run"), (cancelled, "request-of-cancel")):
        assert line["who"] == {"id": str(ann.id), "name": "ann"}
        assert (line["actor"], line["object"]) == (f"user:{ann.id}", f"run:{run_id}")
        assert (line["request_id"], line["address"], line["project"]) == (request_id, "127.0.0.1", "weather")
        assert line["via"].startswith("session:")


async def test_lines_are_found_by_who_what_when_and_request(ann: Person, bob: Person) -> None:
    run_id = await a_run(ann)
    await bob.client.post(f"/api/v1/runs/{run_id}/cancel")
    everything = await listed(ann)
    assert [line["action"] for line in await listed(ann, actor=f"user:{bob.id}")] == ["run.cancel"]
    assert [line["action"] for line in await listed(ann, action="run")] == ["run.cancel", "run.create"]
    assert [line["action"] for line in await listed(ann, action="run.create")] == ["run.create"]
    assert await listed(ann, action="ru") == []
    assert len(await listed(ann, object=f"run:{run_id}")) == 2
    assert len(await listed(ann, object="run")) == 2
    assert [line["action"] for line in await listed(ann, request_id="request-of-run")] == ["run.create"]
    assert await listed(ann, address="192.0.2.1") == []
    middle = everything[2]["at"]
    assert len(await listed(ann, since=middle)) + len(await listed(ann, until=middle)) == len(everything)


async def test_the_list_is_read_page_by_page(ann: Person) -> None:
    await a_run(ann)
    first = await got(ann, "/audit", **WEATHER, limit=2)
    second = await got(ann, "/audit", **WEATHER, limit=2, cursor=first["next_cursor"])
    assert [*first["items"], *second["items"]] == await listed(ann)
    assert second["next_cursor"] is None


async def test_a_line_shows_what_was_before_and_after_and_which_seal_covers_it(ann: Person, door: Door) -> None:
    await ann.client.patch("/api/v1/projects/weather", json={"max_running_runs": 3})
    (line,) = await listed(ann, action="project.limits")
    path = f"/audit/lines/{line['number']}"
    shown = await got(ann, path, **WEATHER)
    assert (shown["before"], shown["after"]) == ({"max_running_runs": None}, {"max_running_runs": 3})
    assert shown["seal"] is None
    sealed = await seal_some(door.engine, KEYS)
    assert sealed is not None
    assert (await got(ann, path, **WEATHER))["seal"]["root"] == sealed.root


async def test_the_chain_says_how_far_it_goes(ann: Person, door: Door) -> None:
    before = await got(ann, "/audit/chain", **WEATHER)
    assert (before["state"], before["seals"], before["waiting"]) == ("never", 0, 1)
    sealed = await seal_some(door.engine, KEYS)
    assert sealed is not None
    after = await got(ann, "/audit/chain", **WEATHER)
    assert (after["state"], after["lines"], after["waiting"]) == ("sealed", 1, 0)
    assert after["last"]["root"] == sealed.root


async def test_the_trail_is_taken_away_as_json_lines_and_that_is_on_record(ann: Person) -> None:
    await a_run(ann)
    answer = await ann.client.get("/api/v1/audit/export", params=WEATHER | {"action": "workflow"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"].startswith('attachment; filename="audit-weather-')
    (line,) = [json.loads(text) for text in answer.text.splitlines()]
    assert (line["action"], line["detail"], line["name"]) == ("workflow.create", {"name": "report"}, "ann")
    (taken,) = await listed(ann, action="audit.export")
    shown = await got(ann, f"/audit/lines/{taken['number']}", **WEATHER)
    assert shown["detail"] == {"format": "jsonl", "filters": {"action": "workflow"}}


async def test_as_a_table_it_computes_nothing_in_a_spreadsheet(ann: Person, door: Door) -> None:
    project_id = await door.database.pool.fetchval("SELECT id FROM projects")
    await door.database.pool.execute(
        "SELECT engine.write_audit($1, '=1+1', 'run.create', 'a,\"b\"\n', '{}', NULL, NULL, NULL)", project_id
    )
    answer = await ann.client.get("/api/v1/audit/export", params=WEATHER | {"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert (rows[1]["actor"], rows[1]["object"]) == ("'=1+1", 'a,"b"\n')
    assert rows[0]["action"] == "audit.export"


async def test_more_lines_than_a_page_are_taken_away_whole(ann: Person, door: Door) -> None:
    project_id = await door.database.pool.fetchval("SELECT id FROM projects")
    await door.database.pool.execute(
        "SELECT engine.write_audit($1, 'system', 'run.create', 'run:' || n, '{}') FROM generate_series(1, 450) n",
        project_id,
    )
    answer = await ann.client.get("/api/v1/audit/export", params=WEATHER | {"object": "run"})
    assert [json.loads(text)["object"] for text in answer.text.splitlines()] == [f"run:{n}" for n in range(450, 0, -1)]


async def test_only_those_who_look_after_a_project_read_its_trail(ann: Person, eve: Person, person: MakePerson) -> None:
    dan = await developer(ann, person)
    (line, *_) = await listed(ann)
    for path in ("", "/chain", "/export", f"/lines/{line['number']}", "/security-events"):
        assert (await dan.client.get(f"/api/v1/audit{path}", params=WEATHER)).status_code == 403, path
        assert (await eve.client.get(f"/api/v1/audit{path}", params=WEATHER)).status_code == 404, path
    audit = ("audit", "audit/chain", "audit/export", f"audit/lines/{line['number']}", "audit/roots")
    for path in (*audit, "security-events"):
        assert (await ann.client.get(f"/api/v1/installation/{path}")).status_code == 403, path


async def test_lines_of_another_project_are_not_there(ann: Person, eve: Person) -> None:
    await eve.client.post("/api/v1/projects", json={"slug": "other", "name": "Other"})
    (line,) = (await got(eve, "/audit", project="other"))["items"]
    assert (await ann.client.get(f"/api/v1/audit/lines/{line['number']}", params=WEATHER)).status_code == 404
    assert line["number"] not in [one["number"] for one in await listed(ann)]


async def test_administrators_read_the_trail_of_all_projects_and_keep_the_roots(
    ann: Person, door: Door, person: MakePerson
) -> None:
    root = await administrator(door, person)
    await seal_some(door.engine, KEYS)
    everything = (await got(root, "/installation/audit"))["items"]
    assert [(line["project"], line["action"]) for line in everything] == [("weather", "project.create")]
    line = await got(root, f"/installation/audit/lines/{everything[0]['number']}")
    assert line["after"] == {"slug": "weather", "name": "Weather"}
    (kept,) = (await got(root, "/installation/audit/roots"))["items"]
    assert (kept["number"], kept["lines"], len(kept["mac"])) == (1, 1, 64)
    answer = await root.client.get("/api/v1/installation/audit/export")
    assert [json.loads(text)["action"] for text in answer.text.splitlines()] == ["audit.export", "project.create"]


async def test_the_actions_are_told_in_words(ann: Person) -> None:
    told = (await got(ann, "/audit/actions"))["items"]
    assert {one["action"]: one["meaning"] for one in told} == dict(ACTIONS)


async def test_security_events_are_listed_and_found(ann: Person, door: Door, person: MakePerson) -> None:
    root = await administrator(door, person)
    pool = door.database.pool
    project_id: UUID = await pool.fetchval("SELECT id FROM projects")
    await note(pool, "sign-in.failed", severity="info", email="x@example.com", address="192.0.2.1", tries=3)
    await note(pool, "key.new-network", severity="warning", user_id=ann.id, project_id=project_id, address="192.0.2.2")
    everything = (await got(root, "/installation/security-events"))["items"]
    assert [one["kind"] for one in everything] == ["key.new-network", "sign-in.failed"]
    assert everything[0]["who"] == {"id": str(ann.id), "name": "ann"}
    assert (everything[1]["email"], everything[1]["detail"]) == ("x@example.com", {"tries": 3})
    for query in ({"kind": "sign-in"}, {"severity": "info"}, {"address": "192.0.2.1"}):
        assert [one["kind"] for one in (await got(root, "/installation/security-events", **query))["items"]] == [
            "sign-in.failed"
        ]
    own = (await got(ann, "/audit/security-events", **WEATHER))["items"]
    assert [(one["kind"], one["project"]) for one in own] == [("key.new-network", "weather")]


async def test_refusals_in_series_are_noted_once(ann: Person, door: Door, person: MakePerson) -> None:
    dan = await developer(ann, person)

    async def try_it(person: Person) -> int:
        return (await person.client.get("/api/v1/audit", params=WEATHER)).status_code

    async def noted() -> list[Any]:
        return list(await door.database.pool.fetch("SELECT * FROM security_events"))

    assert {await try_it(dan) for _ in range(SERIES - 1)} == {403}
    assert {await try_it(ann) for _ in range(SERIES)} == {200}
    assert await noted() == []
    assert {await try_it(dan) for _ in range(3 * SERIES)} == {403}
    (event,) = await noted()
    assert (event["kind"], event["severity"], event["user_id"]) == ("permission.denied", "warning", dan.id)
    assert (event["email"], event["detail"]["times"], event["detail"]["path"]) == (dan.email, SERIES, "/api/v1/audit")
