"""Pausing, halting and limiting over HTTP; what workers make of it is told in tests/engine."""

from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from sparkops.api.deps import Door
from tests.api.conftest import SOURCE, MakePerson, Person

SINGLE = """\
version: 1
name: single
concurrency: {limit: 1, when_full: WHEN_FULL}
steps:
  - {id: only, type: tool, tool: noop, with: {}}
"""


async def made(client: AsyncClient, path: str, body: dict[str, Any], *, status: int = 201) -> dict[str, Any]:
    answer = await client.post(f"/api/v1{path}", json=body)
    assert answer.status_code == status, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def refused(client: AsyncClient, path: str, body: dict[str, Any] | None = None) -> tuple[int, str, str]:
    answer = await client.post(f"/api/v1{path}", json=body)
    problem = answer.json()
    return answer.status_code, problem["type"].rpartition(":")[2], problem["detail"]


async def workflow(ann: Person, source: str = SOURCE.format(name="report")) -> dict[str, Any]:
    return await made(ann.client, "/workflows", {"project": "weather", "source": source})


async def run(ann: Person, name: str = "report", **more: Any) -> dict[str, Any]:
    return await made(ann.client, "/runs", {"project": "weather", "workflow": name, **more})


def order(**changed: Any) -> dict[str, Any]:
    return {"kind": "stop", "scope": "project", "project": "weather", "reason": "it spends too much", **changed}


async def test_a_run_is_paused_and_resumed(ann: Person, bob: Person) -> None:
    await workflow(ann)
    started = await run(ann)
    assert (started["status"], started["paused_at"]) == ("running", None)
    paused = await made(bob.client, f"/runs/{started['id']}/pause", {}, status=200)
    assert (paused["status"], paused["paused_by"]["id"]) == ("paused", str(bob.id))
    assert (await made(ann.client, f"/runs/{started['id']}/pause", {}, status=200))["paused_by"] == paused["paused_by"]
    resumed = await made(ann.client, f"/runs/{started['id']}/resume", {}, status=200)
    assert (resumed["status"], resumed["paused_at"], resumed["paused_by"]) == ("running", None, None)
    events = (await ann.client.get(f"/api/v1/runs/{started['id']}/events")).json()["items"]
    spoken = [(event["kind"], event["data"]["status"]) for event in events if event["kind"].startswith("run.")]
    assert spoken[2:] == [("run.paused", "paused"), ("run.resumed", "running")]


async def test_a_run_that_has_ended_is_neither_paused_nor_resumed(ann: Person) -> None:
    await workflow(ann)
    started = await run(ann)
    await ann.client.post(f"/api/v1/runs/{started['id']}/cancel")
    assert await refused(ann.client, f"/runs/{started['id']}/pause") == (
        409,
        "not-pausable",
        "It cannot be paused: it has ended.",
    )
    assert (await refused(ann.client, f"/runs/{started['id']}/resume"))[:2] == (409, "not-resumable")


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
async def test_a_request_may_set_the_priority(ann: Person, priority: str) -> None:
    await workflow(ann)
    assert (await run(ann, priority=priority))["priority"] == priority


async def test_another_priority_is_another_request(ann: Person) -> None:
    await workflow(ann)
    body = {"project": "weather", "workflow": "report"}
    key = {"Idempotency-Key": "k"}
    answers = [
        await ann.client.post("/api/v1/runs", json={**body, **more}, headers=key)
        for more in ({}, {"priority": "low"}, {})
    ]
    assert [answer.status_code for answer in answers] == [201, 422, 200]


async def test_a_priority_that_does_not_exist_is_refused(ann: Person) -> None:
    await workflow(ann)
    status, code, detail = await refused(
        ann.client, "/runs", {"project": "weather", "workflow": "report", "priority": "urgent"}
    )
    assert (status, code) == (422, "invalid")
    assert "'high', 'normal' or 'low'" in detail


async def test_a_run_beyond_the_projects_limit_queues_until_the_limit_is_lifted(ann: Person, door: Door) -> None:
    await workflow(ann)
    answer = await ann.client.patch("/api/v1/projects/weather", json={"max_running_runs": 1})
    assert (answer.status_code, answer.json()["max_running_runs"]) == (200, 1)
    first, second = await run(ann), await run(ann)
    assert (first["status"], second["status"], second["started_at"]) == ("running", "queued", None)
    await ann.client.post(f"/api/v1/runs/{first['id']}/cancel")
    assert (await ann.client.get(f"/api/v1/runs/{second['id']}")).json()["status"] == "running"
    answer = await ann.client.patch("/api/v1/projects/weather", json={"max_running_runs": None})
    assert answer.json()["max_running_runs"] is None
    wanted = "SELECT before, after FROM audit WHERE action = 'project.limits' ORDER BY id"
    lines = await door.database.pool.fetch(wanted)
    one, any_number = {"max_running_runs": 1}, {"max_running_runs": None}
    assert [(line["before"], line["after"]) for line in lines] == [(any_number, one), (one, any_number)]


async def test_a_workflow_has_a_limit_of_its_own(ann: Person, door: Door) -> None:
    report = await workflow(ann)
    await workflow(ann, SOURCE.format(name="other"))
    answer = await ann.client.patch(f"/api/v1/workflows/{report['id']}", json={"max_running_runs": 1})
    assert (answer.status_code, answer.json()["max_running_runs"]) == (200, 1)
    found = [(await run(ann, name))["status"] for name in ("report", "report", "other")]
    assert found == ["running", "queued", "running"]
    assert await door.database.pool.fetchval("SELECT count(*) FROM audit WHERE action = 'workflow.limits'") == 1


@pytest.mark.parametrize("limit", [0, -1, 10_001, "many"])
async def test_a_limit_that_makes_no_sense_is_refused(ann: Person, limit: object) -> None:
    answer = await ann.client.patch("/api/v1/projects/weather", json={"max_running_runs": limit})
    assert answer.status_code == 422


async def test_a_workflow_may_reject_what_does_not_fit(ann: Person) -> None:
    await workflow(ann, SINGLE.replace("WHEN_FULL", "reject"))
    await run(ann, "single")
    assert (await refused(ann.client, "/runs", {"project": "weather", "workflow": "single"}))[:2] == (
        409,
        "concurrency-full",
    )


async def test_the_newest_run_may_displace_the_one_before(ann: Person) -> None:
    await workflow(ann, SINGLE.replace("WHEN_FULL", "cancel_running"))
    first, second = await run(ann, "single"), await run(ann, "single")
    before = (await ann.client.get(f"/api/v1/runs/{first['id']}")).json()
    assert (before["status"], before["error"]["code"], second["status"]) == ("cancelled", "displaced", "running")
    assert second["id"] in before["error"]["message"]


async def test_a_project_is_stopped_and_released(ann: Person, bob: Person, door: Door) -> None:
    ordered = await made(bob.client, "/halts", order())
    assert (ordered["kind"], ordered["scope"], ordered["project"]) == ("stop", "project", "weather")
    assert (ordered["reason"], ordered["ordered_by"]["id"]) == ("it spends too much", str(bob.id))
    assert (ordered["released_at"], ordered["workflow"]) == (None, None)
    assert (await made(ann.client, "/halts", order(reason="again"), status=200))["id"] == ordered["id"]
    released = await made(ann.client, f"/halts/{ordered['id']}/release", {}, status=200)
    assert (released["released_by"]["id"], released["released_at"] is None) == (str(ann.id), False)
    again = await made(bob.client, f"/halts/{ordered['id']}/release", {}, status=200)
    assert again == released
    lines = await door.database.pool.fetch("SELECT action, detail FROM audit WHERE action LIKE 'halt.%' ORDER BY id")
    assert [line["action"] for line in lines] == ["halt.order", "halt.release"]
    assert lines[0]["detail"]["reason"] == "it spends too much"


async def test_a_paused_workflow_is_named_and_its_runs_say_why_they_do_not_go_on(ann: Person) -> None:
    report = await workflow(ann)
    started = await run(ann)
    body = {"kind": "pause", "scope": "workflow", "workflow_id": report["id"], "reason": "a bad release"}
    ordered = await made(ann.client, "/halts", body)
    assert ordered["workflow"] == {"id": report["id"], "name": "report"}
    paused = (await ann.client.get(f"/api/v1/runs/{started['id']}")).json()
    assert (paused["status"], paused["paused_by"]) == ("paused", None)
    status, code, detail = await refused(ann.client, f"/runs/{started['id']}/resume")
    assert (status, code, "Release that halt" in detail) == (409, "not-resumable", True)
    late = await run(ann)
    assert late["status"] == "queued"
    await made(ann.client, f"/halts/{ordered['id']}/release", {}, status=200)
    for each in (started, late):
        assert (await ann.client.get(f"/api/v1/runs/{each['id']}")).json()["status"] == "running"


async def test_only_an_administrator_stops_the_installation(ann: Person, bob: Person, door: Door) -> None:
    everything = order(scope="installation", project=None)
    assert (await refused(ann.client, "/halts", everything))[:2] == (403, "forbidden")
    await door.database.pool.execute("UPDATE users SET is_admin = true WHERE id = $1", ann.id)
    ordered = await made(ann.client, "/halts", everything)
    assert (ordered["project"], ordered["scope"]) == (None, "installation")
    assert (await refused(bob.client, f"/halts/{ordered['id']}/release"))[:2] == (403, "forbidden")
    seen = (await bob.client.get("/api/v1/halts", params={"project": "weather", "in_force": True})).json()
    assert [one["id"] for one in seen["items"]] == [ordered["id"]]
    await made(ann.client, f"/halts/{ordered['id']}/release", {}, status=200)


@pytest.mark.parametrize(
    "body",
    [
        order(project=None),
        order(scope="workflow"),
        order(scope="installation"),
        order(workflow_id=str(uuid4())),
        order(reason=" "),
        order(reason="x" * 1_001),
        order(kind="freeze"),
        order(scope="workflow", project=None, workflow_id=str(uuid4())),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(ann: Person, body: dict[str, Any]) -> None:
    assert (await refused(ann.client, "/halts", body))[:2] == (422, "invalid")


async def test_halts_are_listed_in_pages_of_one_project(ann: Person, person: MakePerson) -> None:
    eve = await person("eve")
    await made(eve.client, "/projects", {"slug": "other", "name": "Other"})
    await made(eve.client, "/halts", order(project="other"))
    ordered = []
    for _ in range(3):
        ordered.append((await made(ann.client, "/halts", order()))["id"])
        await made(ann.client, f"/halts/{ordered[-1]}/release", {}, status=200)
    ordered.append((await made(ann.client, "/halts", order(kind="pause")))["id"])
    listed: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query: dict[str, str | int] = {"project": "weather", "limit": 3}
        if cursor:
            query["cursor"] = cursor
        page = (await ann.client.get("/api/v1/halts", params=query)).json()
        listed += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert listed == list(reversed(ordered))
    for in_force, expected in ((True, ordered[3:]), (False, list(reversed(ordered[:3])))):
        page = (await ann.client.get("/api/v1/halts", params={"project": "weather", "in_force": in_force})).json()
        assert [one["id"] for one in page["items"]] == expected
