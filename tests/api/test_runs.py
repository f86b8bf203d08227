"""Runs and what lies below them, over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import event

from sparkops.api.deps import Door
from tests.api.conftest import SOURCE, Person
from tests.api.things import AGENT, REPORT, add_model_call, make_things


@pytest.fixture
async def workflow(ann: Person) -> str:
    await add_workflow(ann, "report")
    return "report"


async def add_workflow(ann: Person, name: str) -> None:
    body = {"project": "weather", "source": SOURCE.format(name=name)}
    assert (await ann.client.post("/api/v1/workflows", json=body)).status_code == 201


async def start(ann: Person, workflow: str = "report", **more: object) -> dict[str, object]:
    answer = await ann.client.post("/api/v1/runs", json={"project": "weather", "workflow": workflow, **more})
    assert answer.status_code == 201, answer.text
    run: dict[str, object] = answer.json()
    return run


async def test_a_started_run_is_shown_whole(ann: Person, workflow: str) -> None:
    run = await start(ann, input={"year": 2015}, budget_micros=1_000)

    assert run["status"] == "running"
    assert run["input"] == {"year": 2015}
    assert run["created_by"] == {"id": str(ann.id), "name": "ann"}
    assert run["budget"] == {"limit_micros": 1_000, "spent_micros": 0, "reserved_micros": 0}
    assert run["steps_by_status"] == {"ready": 1, "pending": 1}
    assert (run["steps_total"], run["cost_micros"], run["scripted"]) == (2, 0, False)
    assert (await ann.client.get(f"/api/v1/runs/{run['id']}")).json() == run


async def test_an_input_that_does_not_fit_is_refused_with_its_place(ann: Person, workflow: str) -> None:
    body = {"project": "weather", "workflow": "report", "input": {"year": "soon"}}
    answer = await ann.client.post("/api/v1/runs", json=body)
    assert answer.status_code == 422
    assert "year" in answer.json()["errors"][0]["path"]


async def test_a_number_that_cannot_be_kept_is_refused_with_its_place(ann: Person, workflow: str) -> None:
    for number, status in ((2**64, 422), (-(2**63) - 1, 422), (2**63 - 1, 201)):
        body = {"project": "weather", "workflow": "report", "input": {"year": number}}
        answer = await ann.client.post("/api/v1/runs", json=body)
        assert answer.status_code == status, answer.text
        assert status == 201 or answer.json()["errors"][0]["path"] == "input.year"


@pytest.mark.parametrize("more", [{"workflow": "none"}, {"workflow": "report", "version": 7}])
async def test_a_workflow_or_version_that_is_not_there(ann: Person, workflow: str, more: dict[str, object]) -> None:
    assert (await ann.client.post("/api/v1/runs", json={"project": "weather", **more})).status_code == 404


async def test_the_same_key_gives_the_first_run_again(ann: Person, workflow: str) -> None:
    body = {"project": "weather", "workflow": "report", "input": {"year": 2015}}
    key = {"Idempotency-Key": "order-1"}
    first = await ann.client.post("/api/v1/runs", json=body, headers=key)
    second = await ann.client.post("/api/v1/runs", json=body, headers=key)
    other = await ann.client.post("/api/v1/runs", json=body | {"input": {"year": 2016}}, headers=key)

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert (other.status_code, other.json()["type"]) == (422, "urn:sparkops:problem:idempotency-mismatch")


async def test_a_run_is_cancelled_once(ann: Person, workflow: str) -> None:
    run = await start(ann)
    for _ in range(2):
        answer = await ann.client.post(f"/api/v1/runs/{run['id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")


async def listed(ann: Person, **query: str | list[str]) -> list[str]:
    answer = await ann.client.get("/api/v1/runs", params={"project": "weather", **query})
    assert answer.status_code == 200, answer.text
    return [run["id"] for run in answer.json()["items"]]


async def test_runs_are_filtered_by_status_workflow_and_text(ann: Person, workflow: str) -> None:
    await add_workflow(ann, "billing")
    reports = [str((await start(ann))["id"]) for _ in range(3)]
    bill = str((await start(ann, "billing"))["id"])
    await ann.client.post(f"/api/v1/runs/{reports[0]}/cancel")

    assert await listed(ann) == [bill, *reports[::-1]]
    assert await listed(ann, status="cancelled") == [reports[0]]
    assert await listed(ann, status=["cancelled", "running"]) == [bill, *reports[::-1]]
    assert await listed(ann, workflow="report", status="running") == [reports[2], reports[1]]
    assert await listed(ann, workflow="none") == []
    assert await listed(ann, q="BILL") == [bill]
    assert await listed(ann, q="bill", workflow="report") == []
    assert await listed(ann, q=bill) == [bill]
    assert await listed(ann, q=bill[:30], status="running") == [bill]
    assert await listed(ann, q="0fffffff") == []
    assert await listed(ann, q="%") == []


async def test_filtered_runs_page_without_gap_or_repeat(ann: Person, workflow: str) -> None:
    started = [str((await start(ann))["id"]) for _ in range(7)]
    for run_id in started[::2]:
        await ann.client.post(f"/api/v1/runs/{run_id}/cancel")
    seen: list[str] = []
    query: dict[str, str | list[str] | None] = {"project": "weather", "status": ["cancelled", "running"], "limit": "3"}
    for _ in range(3):
        page = (await ann.client.get("/api/v1/runs", params=query)).json()
        seen += [run["id"] for run in page["items"]]
        query["cursor"] = page["next_cursor"]
    assert seen == started[::-1]
    assert query["cursor"] is None


@contextmanager
def counted(door: Door) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_c: object, _cu: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(door.database.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    event.remove(door.database.engine.sync_engine, "before_cursor_execute", note)


async def test_a_page_of_runs_takes_as_many_statements_as_one_run(ann: Person, door: Door, workflow: str) -> None:
    await start(ann)
    await listed(ann)  # what never changes is read once
    with counted(door) as few:
        assert len(await listed(ann)) == 1
    for _ in range(9):
        await start(ann)
    with counted(door) as many:
        assert len(await listed(ann)) == 10
    assert len(few) == len(many) <= 3


async def test_steps_calls_and_files_of_a_run(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    at = f"/api/v1/runs/{things.run_id}"
    steps = (await ann.client.get(f"{at}/steps")).json()["items"]
    step = (await ann.client.get(f"{at}/steps/{things.step_id}")).json()
    call = (await ann.client.get(f"{at}/calls", params={"step": str(things.step_id)})).json()["items"][0]
    run = (await ann.client.get(at)).json()

    assert [(one["key"], one["position"], one["needs"], one["name"]) for one in steps] == [
        ("first", 0, [], "noop"),
        ("second", 1, ["first"], None),
    ]
    assert (steps[0]["cost_micros"], steps[1]["cost_micros"]) == (250, 0)
    assert step == steps[0] | {"output": None, "attempts": [], "skipped_because": None}
    assert (call["step_key"], call["kind"], call["status"]) == ("first", "tool", "waiting_approval")
    assert call["request"] == {"tool": "files.write", "arguments": {"name": "report.md", "content": "# Report"}}
    assert call["decision"] == {
        "id": str(things.decision_id),
        "outcome": "require_approval",
        "rule": "publish",
        "reason": "Somebody reads it first.",
        "policy_version": 1,
    }
    assert call["approval_id"] == str(things.approval_id)
    assert (run["cost_micros"], run["tokens"]) == (250, {"input": 120, "output": 7})


async def test_steps_page_by_cursor(ann: Person, workflow: str) -> None:
    run = await start(ann)
    first = (await ann.client.get(f"/api/v1/runs/{run['id']}/steps", params={"limit": 1})).json()
    rest = (await ann.client.get(f"/api/v1/runs/{run['id']}/steps", params={"cursor": first["next_cursor"]})).json()
    assert [one["key"] for one in first["items"] + rest["items"]] == ["first", "second"]


async def test_the_log_goes_on_after_since(ann: Person, workflow: str) -> None:
    run = await start(ann)
    path = f"/api/v1/runs/{run['id']}/events"
    first = (await ann.client.get(path, params={"limit": 2})).json()
    rest = (await ann.client.get(path, params={"since": first["next_cursor"]})).json()
    assert [one["kind"] for one in first["items"] + rest["items"]] == ["run.created", "run.started", "step.ready"]
    assert (first["next_cursor"], rest["next_cursor"]) == ("2", None)


async def test_a_file_comes_as_a_download_that_cannot_act(ann: Person, door: Door) -> None:
    things = await make_things(ann, door)
    listed = (await ann.client.get(f"/api/v1/runs/{things.run_id}/artifacts")).json()["items"]
    answer = await ann.client.get(f"/api/v1/artifacts/{things.artifact_id}/content")

    assert listed[0]["name"] == "out/näme.md"
    assert answer.content == REPORT
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''n%C3%A4me.md"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["content-type"].startswith("text/markdown")


async def test_a_run_that_a_script_may_answer_says_so(ann: Person, app: FastAPI) -> None:
    agent = {"project": "weather", "name": "analyst", "definition": AGENT}
    await ann.client.post("/api/v1/agents", json=agent)
    by_agent = "version: 1\nname: asks\nsteps:\n  - {id: ask, type: agent, agent: analyst, with: {prompt: Hello}}\n"
    by_step = (
        "version: 1\nname: tells\nsteps:\n  - id: tell\n    type: llm\n"
        "    with: {model: scripted, prompt: Hello, max_output_tokens: 100, script: {turns: [{text: hi}]}}\n"
    )
    in_body = (
        "version: 1\nname: tells-all\nsteps:\n  - id: each\n    type: map\n    with: {over: 2}\n    steps:\n    "
        + by_step.partition("steps:\n")[2].replace("\n", "\n    ")
    )
    for source in (by_agent, by_step, in_body):
        answer = await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
        assert answer.status_code == 201, answer.text
    assert (await start(ann, "asks"))["scripted"] is True
    assert (await start(ann, "tells"))["scripted"] is True
    runs = (await ann.client.get("/api/v1/runs?project=weather")).json()["items"]
    steps = (await ann.client.get(f"/api/v1/runs/{runs[1]['id']}/steps")).json()["items"]
    assert [run["scripted"] for run in runs] == [True, True]
    assert steps[0]["name"] == "analyst"
    assert (await start(ann, "tells-all"))["scripted"] is True
    assert (await ann.client.get("/api/v1/runs?project=weather")).json()["items"][0]["scripted"] is True


async def test_questions_are_listed_by_state(ann: Person, bob: Person, door: Door) -> None:
    things = await make_things(ann, door)
    path = "/api/v1/approvals"
    found = (await bob.client.get(path, params={"project": "weather", "state": "open"})).json()["items"]

    assert [one["id"] for one in found] == [str(things.approval_id)]
    assert found[0]["workflow"]["name"] == "report"
    assert (found[0]["step_key"], found[0]["requested_by"]["name"]) == ("first", "ann")
    assert (found[0]["money_micros"], found[0]["status"]) == (250, "pending")
    assert (await bob.client.get(f"{path}/{things.approval_id}")).json() == found[0]
    assert (await bob.client.get(path, params={"project": "weather", "state": "done"})).json()["items"] == []
    assert len((await bob.client.get(path, params={"project": "weather"})).json()["items"]) == 1


async def test_who_started_the_run_may_not_answer_and_nobody_answers_twice(
    ann: Person, bob: Person, door: Door
) -> None:
    things = await make_things(ann, door)
    path = f"/api/v1/approvals/{things.approval_id}"

    own = await ann.client.post(f"{path}/approve", json={})
    assert (own.status_code, own.json()["type"]) == (403, "urn:sparkops:problem:own-request")
    assert (await bob.client.post(f"{path}/reject", json={})).status_code == 422, "a rejection needs a reason"
    rejected = await bob.client.post(f"{path}/reject", json={"reason": "Not yet."})
    assert rejected.status_code == 200, rejected.text
    assert (rejected.json()["status"], rejected.json()["decided_by"]["name"]) == ("rejected", "bob")
    assert rejected.json()["comment"] == "Not yet."
    assert (await bob.client.post(f"{path}/approve", json={})).status_code == 409
    done = (await bob.client.get("/api/v1/approvals?project=weather&state=done")).json()["items"]
    assert [UUID(one["id"]) for one in done] == [things.approval_id]


async def test_a_call_without_an_approval_has_a_decision_only(ann: Person, door: Door, workflow: str) -> None:
    run = await start(ann)
    steps = (await ann.client.get(f"/api/v1/runs/{run['id']}/steps")).json()["items"]
    await add_model_call(door, UUID(str(run["id"])), UUID(steps[0]["id"]))
    call = (await ann.client.get(f"/api/v1/runs/{run['id']}/calls")).json()["items"][0]
    assert (call["decision"]["outcome"], call["decision"]["rule"], call["approval_id"]) == ("allow", None, None)
