"""Retries, forks, re-runs and their plans, over HTTP."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from sparkops.api.deps import Door
from sparkops.core.ids import new_id
from sparkops.core.permissions import Permission
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.claim import claim
from sparkops.engine.complete import Ended, end_attempt
from sparkops.engine.effects import prepare, record
from sparkops.worker.loop import open_worker
from tests.api.conftest import SOURCE, Person
from tests.api.test_api_keys import make, of_key
from tests.api.test_runs import add_workflow, start
from tests.engine.acts import proposal, result


async def ended(ann: Person, door: Door, status: StepStatus, **more: Any) -> str:
    """Start a run and let its first step end so, after a paid call with an effect."""
    run = await start(ann, **more)
    worker = await open_worker(door.engine, new_id(), ["run"], 1)
    (held,) = await claim(door.engine, worker, limit=1)
    policy = await door.database.pool.fetchval("SELECT version FROM policy_stamps") or 0
    asked = proposal(effect_class="unsafe", bound_micros=9)
    (verdict,) = await prepare(door.engine, held.lease, [asked], policy_version=policy)
    usage = {"input_tokens": 12, "output_tokens": 3}
    await record(door.engine, held.lease, [result(verdict["call_id"], cost=7, usage=usage)])
    error = {"code": "broken", "message": "it is broken"} if status is StepStatus.FAILED else None
    await end_attempt(door.engine, worker, Ended(held, status, output={"n": 1}, error=error), claim=0)
    return str(run["id"])


@pytest.fixture
async def workflow(ann: Person) -> None:
    await add_workflow(ann, "report")


async def post(ann: Person, run_id: str, kind: str, body: Any = None, **headers: str) -> Any:
    return await ann.client.post(f"/api/v1/runs/{run_id}/{kind}", json=body, headers=headers)


async def plan(ann: Person, run_id: str, **query: str) -> dict[str, Any]:
    answer = await ann.client.get(f"/api/v1/runs/{run_id}/rerun-plan", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_plan_names_what_runs_again_what_it_cost_and_what_would_repeat(
    ann: Person, door: Door, workflow: None
) -> None:
    run_id = await ended(ann, door, StepStatus.SUCCEEDED)
    found = await plan(ann, run_id, kind="rerun")
    first, second = found["steps"]
    assert (first["key"], first["kept"], first["why"], first["last_status"]) == (
        *("first", False, "everything", "succeeded"),
    )
    assert (first["calls"], first["cost_micros"], first["tokens"]) == (1, 7, {"input": 12, "output": 3})
    assert (second["tokens"], second["inputs"], second["explanation"]) == (
        *(None, ["year"], "A re-run does everything again."),
    )
    (effect,) = found["effects"]
    assert (effect["key"], effect["name"], effect["status"], effect["arguments"]) == (
        *("first", "noop", "done", '{"seq": 1}'),
    )
    assert found["totals"] == {
        "kept_steps": 0,
        "kept_cost_micros": 0,
        "again_steps": 2,
        "again_calls": 1,
        "again_cost_micros": 7,
        "kept_calls": 0,
        "repeats": 1,
    }
    forked = await plan(ann, run_id, kind="fork", **{"from": "second"})
    assert [(step["kept"], step["why"]) for step in forked["steps"]] == [(True, None), (False, "chosen")]
    assert (forked["totals"]["kept_cost_micros"], forked["effects"]) == (7, [])


TRIP = """\
version: 1
name: trip
input: {type: object, properties: {city: {type: string, default: Rome}}}
steps:
  - {id: fetch, type: tool, tool: noop, with: {city: "${{ input.city }}"}}
  - {id: file, type: transform, with: {value: 1}, needs: [fetch]}
"""


async def test_a_plan_with_another_input_names_what_reads_it(ann: Person, door: Door, workflow: None) -> None:
    answer = await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": TRIP})
    assert answer.status_code == 201, answer.text
    run_id = await ended(ann, door, StepStatus.SUCCEEDED, workflow="trip")

    async def asked(**more: Any) -> Any:
        answer = await post(ann, run_id, "rerun-plan", {"kind": "fork", "from": "file", **more})
        assert answer.status_code == 200, answer.text
        return [(step["key"], step["kept"], step["why"]) for step in answer.json()["steps"]]

    assert await asked() == await asked(input={"city": "Rome"}) == [("fetch", True, None), ("file", False, "chosen")]
    assert await asked(input={"city": "Oslo"}) == [("fetch", False, "input"), ("file", False, "chosen")]
    refused = await post(ann, run_id, "rerun-plan", {"kind": "fork", "from": "file", "input": {"city": 7}})
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "input.city")
    listed = await ann.client.get("/api/v1/runs", params={"project": "weather"})
    assert len(listed.json()["items"]) == 1, "a plan starts nothing"


async def test_a_retry_is_a_new_run_that_names_its_source(ann: Person, door: Door, workflow: None) -> None:
    run_id = await ended(ann, door, StepStatus.FAILED)
    assert (await plan(ann, run_id, kind="retry"))["totals"]["kept_calls"] == 1
    without = await plan(ann, run_id, kind="retry", keep_calls="false")
    assert (without["totals"]["kept_calls"], without["totals"]["repeats"]) == (0, 1)

    answer = await post(ann, run_id, "retry", **{"Idempotency-Key": "again"})
    assert answer.status_code == 201, answer.text
    run = answer.json()
    assert (run["source"], run["status"], run["cost_micros"]) == (*({"run_id": run_id, "kind": "retry"}, "running", 0),)
    assert run["tokens"] == {"input": 0, "output": 0}
    (call,) = (await ann.client.get(f"/api/v1/runs/{run['id']}/calls")).json()["items"]
    assert (call["attempt"], call["status"], call["decision"]["outcome"]) == (0, "done", "allow")
    same = await post(ann, run_id, "retry", {}, **{"Idempotency-Key": "again"})
    other = await post(ann, run_id, "rerun", {}, **{"Idempotency-Key": "again"})
    assert (same.status_code, same.json()["id"], other.status_code) == (200, run["id"], 422)
    assert (await ann.client.get(f"/api/v1/runs/{run_id}")).json()["source"] is None


async def test_a_fork_takes_another_input_and_version(ann: Person, door: Door, workflow: None) -> None:
    run_id = await ended(ann, door, StepStatus.SUCCEEDED)
    workflow_id = (await ann.client.get(f"/api/v1/runs/{run_id}")).json()["workflow"]["id"]
    source = SOURCE.format(name="report").replace("id: second", "id: other")
    added = await ann.client.post(f"/api/v1/workflows/{workflow_id}/versions", json={"source": source})
    assert added.status_code == 201, added.text

    answer = await post(ann, run_id, "fork", {"from": "other", "version": 2, "input": {"year": 2020}})
    assert answer.status_code == 201, answer.text
    run = answer.json()
    assert (run["workflow"]["version"], run["input"], run["status"]) == (2, {"year": 2020}, "succeeded")
    steps = (await ann.client.get(f"/api/v1/runs/{run['id']}/steps")).json()["items"]
    assert [(step["key"], step["copied_from"] is None) for step in steps] == [("first", False), ("other", True)]


@pytest.mark.parametrize("kind", ["fork", "rerun"])
async def test_a_number_that_cannot_be_kept_is_refused(ann: Person, door: Door, workflow: None, kind: str) -> None:
    run_id = await ended(ann, door, StepStatus.SUCCEEDED)
    begin = {"from": "second"} if kind == "fork" else {}
    answer = await post(ann, run_id, kind, {**begin, "input": {"year": 2**70}})
    assert answer.status_code == 422, answer.text


async def test_a_rerun_without_an_input_has_that_of_the_source_and_null_is_no_input(
    ann: Person, door: Door, workflow: None
) -> None:
    run_id = await ended(ann, door, StepStatus.SUCCEEDED, input={"year": 1999})
    for body, year in [(None, 1999), ({"budget_micros": 5}, 1999), ({"input": None}, 2014)]:
        run = (await post(ann, run_id, "rerun", body)).json()
        assert run["input"] == {"year": year}
    assert run["budget"]["limit_micros"] == 5_000_000


async def test_labels_of_the_input_stay_unless_a_person_states_others(
    app: FastAPI, ann: Person, door: Door, workflow: None
) -> None:
    run_id = await ended(ann, door, StepStatus.SUCCEEDED, labels=["private:customer"])
    made = await make(ann, Permission.RUN_READ, Permission.RUN_CREATE)
    other = {"input": {"year": 2020}}

    async def labels(client: AsyncClient, **more: Any) -> Any:
        path = f"/api/v1/runs/{run_id}"
        told = await client.post(f"{path}/rerun-plan", json={"kind": "rerun", **other, **more})
        answer = await client.post(f"{path}/rerun", json={**other, **more})
        assert answer.status_code == 201, answer.text
        found = "SELECT labels FROM runs WHERE id = $1"
        assert told.json()["labels"] == await door.database.pool.fetchval(found, answer.json()["id"])
        return told.json()["labels"]

    async with of_key(app, made) as key:
        for client in (ann.client, key):
            assert await labels(client) == await labels(client, labels=None) == ["private:customer"]
        assert await labels(key, labels=["untrusted:mail"]) == ["private:customer", "untrusted:mail"]
        assert await labels(key, labels=[]) == ["private:customer"]
    assert await labels(ann.client, labels=[]) == []
    unknown = await post(ann, run_id, "rerun", {"labels": ["secret"]})
    assert unknown.status_code == 422


async def test_with_one_key_other_labels_are_another_request(ann: Person, door: Door, workflow: None) -> None:
    run_id = await ended(ann, door, StepStatus.SUCCEEDED, labels=["private:customer"])
    bodies: list[dict[str, Any]] = [{"labels": []}, {"labels": []}, {}, {"labels": ["private:staff"]}]
    answers = [await post(ann, run_id, "rerun", body, **{"Idempotency-Key": "again"}) for body in bodies]
    assert [answer.status_code for answer in answers] == [201, 200, 422, 422]


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("retry", {}, 409, "nothing-to-retry"),
        ("fork", {"from": "nowhere"}, 422, "invalid"),
        ("fork", {}, 422, "invalid"),
        ("fork", {"from": "first", "version": 9}, 404, "not-found"),
        ("rerun", {"input": {"year": "soon"}}, 422, "input-invalid"),
    ],
)
async def test_what_cannot_be_made_of_a_run_is_refused_in_words(
    ann: Person, door: Door, workflow: None, kind: str, body: dict[str, object], status: int, code: str
) -> None:
    run_id = await ended(ann, door, StepStatus.SUCCEEDED)
    answer = await post(ann, run_id, kind, body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:sparkops:problem:{code}")


async def test_a_run_that_goes_on_is_neither_retried_nor_run_again(ann: Person, workflow: None) -> None:
    run = await start(ann)
    for kind in ("retry", "rerun"):
        answer = await post(ann, str(run["id"]), kind, {})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:sparkops:problem:run-not-ended")
        assert answer.json()["status_now"] == "running"
        planned = await ann.client.get(f"/api/v1/runs/{run['id']}/rerun-plan", params={"kind": kind})
        assert planned.status_code == 409
