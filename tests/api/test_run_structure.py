"""What lies in a run beside plain steps: items, branches, sub-workflows, limits, and why something is skipped."""

from typing import Any

import pytest

from sparkops.api.deps import Door
from sparkops.core.ids import new_id
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.children import accept_child
from sparkops.engine.claim import Claim, claim
from sparkops.engine.complete import Ended, end_attempt
from sparkops.engine.context import Worker
from sparkops.engine.expand import expand_map
from sparkops.engine.wait import wait_for_child, wait_for_frames
from sparkops.worker.loop import open_worker
from tests.api.conftest import Person
from tests.api.test_runs import add_workflow, start
from tests.engine.acts import fail, succeed

EACH = """\
version: 1
name: each
timeout: 1h
concurrency: {limit: 3}
steps:
  - id: pick
    type: branch
    with: {cases: [{when: "${{ true }}", then: [each]}], else: [other]}
  - {id: other, type: tool, tool: noop, needs: [pick]}
  - id: each
    type: map
    needs: [pick, other]
    join: {at_least: 1}
    with: {over: 3, concurrency: 2, on_item_error: continue}
    steps: [{id: work, type: tool, tool: noop}]
"""
OUTER = """\
version: 1
name: outer
steps: [{id: child, type: workflow, workflow: report}]
"""


@pytest.fixture
async def worker(door: Door) -> Worker:
    return await open_worker(door.engine, new_id(), ["run"], 1)


async def add(ann: Person, source: str) -> None:
    answer = await ann.client.post("/api/v1/workflows", json={"project": "weather", "source": source})
    assert answer.status_code == 201, answer.text


async def get(ann: Person, path: str, **query: object) -> dict[str, Any]:
    answer = await ann.client.get(f"/api/v1{path}", params={key: str(value) for key, value in query.items()})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def expanded(ann: Person, door: Door, worker: Worker, items: list[Any]) -> tuple[str, list[Claim]]:
    """Start a run whose map has been expanded and waits; its first items' steps are claimed."""
    await add(ann, EACH)
    run_id = str((await start(ann, "each"))["id"])
    (held,) = await claim(door.engine, worker, limit=5)
    graph = await door.engine.graphs.get(door.database.pool, held.workflow_version_id)
    await expand_map(door.engine, held, graph.find("each"), items, 0)
    await wait_for_frames(door.engine, held)
    return run_id, sorted(await claim(door.engine, worker, limit=5), key=lambda one: one.path)


async def test_a_map_says_how_far_it_is_and_its_items_are_listed_in_pages(
    ann: Person, door: Door, worker: Worker
) -> None:
    run_id, (first, second) = await expanded(ann, door, worker, [{"city": "x" * 400}, "Rome", "Oslo"])
    await succeed(door.engine, worker, first)
    await fail(door.engine, worker, second)

    top = (await get(ann, f"/runs/{run_id}/steps", bodies=False))["items"]
    assert [step["key"] for step in top] == ["pick", "other", "each"]
    each = top[2]
    assert each["frames"] == {
        "total": 3,
        "concurrency": 2,
        "stop_on_error": False,
        "expanded": 3,
        "started": 3,
        "ended": 2,
        "failed": 1,
    }
    path = f"/runs/{run_id}/steps/{each['id']}/frames"
    page = await get(ann, path, limit=2)
    rest = await get(ann, path, limit=2, after=page["next_cursor"])
    items = page["items"] + rest["items"]
    assert [(one["no"], one["status"]) for one in items] == [(0, "succeeded"), (1, "failed"), (2, "open")]
    assert (len(items[0]["value"]), items[1]["value"], rest["next_cursor"]) == (300, '"Rome"', None)
    assert "it is broken" in items[1]["error"]["message"]
    assert [one["no"] for one in (await get(ann, path, status="failed"))["items"]] == [1]

    whole = (await get(ann, f"/runs/{run_id}/steps"))["items"]
    assert [step["path"] for step in whole if step["parent_id"] == each["id"]] == [
        "each[0].work",
        "each[1].work",
        "each[2].work",
    ]
    (step,) = (await get(ann, f"/runs/{run_id}/steps", parent=each["id"], frame=1))["items"]
    assert (step["path"], step["frame_no"], step["status"]) == ("each[1].work", 1, "failed")


async def test_items_of_somebody_elses_run_are_not_shown(ann: Person, eve: Person, door: Door, worker: Worker) -> None:
    run_id, _ = await expanded(ann, door, worker, [1])
    each = (await get(ann, f"/runs/{run_id}/steps", bodies=False))["items"][2]
    answer = await eve.client.get(f"/api/v1/runs/{run_id}/steps/{each['id']}/frames")
    assert answer.status_code == 404


async def test_a_branch_says_what_it_chose_and_a_skipped_step_why(ann: Person, door: Door, worker: Worker) -> None:
    run_id, _ = await expanded(ann, door, worker, [1])
    pick, other, each = (await get(ann, f"/runs/{run_id}/steps", bodies=False))["items"]
    assert (pick["chosen"], other["chosen"]) == (["each"], None)
    assert [(step["join"], step["join_count"]) for step in (pick, each)] == [("all", None), ("at_least", 1)]
    detail = await get(ann, f"/runs/{run_id}/steps/{other['id']}")
    assert (detail["status"], detail["skipped_because"]) == ("skipped", "branch")


async def test_a_run_says_what_limits_it_and_a_queued_one_what_it_queues_behind(ann: Person) -> None:
    await add(ann, EACH.replace("limit: 3", "limit: 1"))
    first = await start(ann, "each")
    second = await start(ann, "each")
    assert (first["status"], first["concurrency"], first["queued_behind"]) == (
        "running",
        {"key": "-", "limit": 1},
        None,
    )
    assert first["deadline_at"] is not None
    assert (second["status"], second["queued_behind"]) == ("queued", "concurrency")
    step = (await get(ann, f"/runs/{second['id']}/steps", bodies=False))["items"][-1]
    assert step["held"] is True


async def test_a_sub_workflow_and_its_run_name_each_other(ann: Person, door: Door, worker: Worker) -> None:
    await add_workflow(ann, "report")
    await add(ann, OUTER)
    run = await start(ann, "outer")
    (held,) = await claim(door.engine, worker, limit=1)
    version = held.pins["workflows"]["report"]
    child_id = str(await accept_child(door.engine, held, version, None))
    await wait_for_child(door.engine, held)

    (step,) = (await get(ann, f"/runs/{run['id']}/steps"))["items"]
    assert (step["child"]["run_id"], step["child"]["status"]) == (child_id, "running")
    assert step["child"]["workflow"]["name"] == "report"
    child = await get(ann, f"/runs/{child_id}")
    assert child["parent"] == {"run_id": run["id"], "step_id": step["id"], "step_key": "child"}


async def test_the_runs_made_from_a_run_are_found(ann: Person, door: Door, worker: Worker) -> None:
    await add_workflow(ann, "report")
    run = await start(ann)
    (held,) = await claim(door.engine, worker, limit=1)
    await end_attempt(door.engine, worker, Ended(held, StepStatus.SUCCEEDED, output=1), claim=0)
    again = (await ann.client.post(f"/api/v1/runs/{run['id']}/rerun")).json()
    found = await get(ann, "/runs", project="weather", source=run["id"])
    assert [one["id"] for one in found["items"]] == [again["id"]]
