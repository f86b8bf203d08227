"""Effects that nobody knows about, over HTTP."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from sparkops.api.deps import Door
from sparkops.core.ids import new_id
from sparkops.engine.claim import claim
from sparkops.engine.effects import prepare
from sparkops.engine.give_back import release_session
from sparkops.worker.loop import open_worker
from tests.api.conftest import Person
from tests.api.test_runs import add_workflow, start
from tests.engine.acts import proposal


@dataclass(frozen=True)
class Doubt:
    """A step that is uncertain."""

    run_id: str
    step_id: str
    calls: tuple[str, ...]

    @property
    def path(self) -> str:
        return f"/api/v1/runs/{self.run_id}/steps/{self.step_id}/resolve"


@pytest.fixture
async def doubt(ann: Person, door: Door) -> Doubt:
    await add_workflow(ann, "report")
    return await in_doubt(ann, door)


async def in_doubt(ann: Person, door: Door, calls: int = 1) -> Doubt:
    """Start a run whose worker is lost with its first step, after it has prepared calls that must not be repeated."""
    run = await start(ann)
    worker = await open_worker(door.engine, new_id(), ["run"], 1)
    (held,) = await claim(door.engine, worker, limit=1)
    unsafe = [proposal(seq, effect_class="unsafe") for seq in range(1, calls + 1)]
    policy = await door.database.pool.fetchval("SELECT version FROM policy_stamps")
    verdicts = await prepare(door.engine, held.lease, unsafe, policy_version=policy or 0)
    await release_session(door.engine, worker.session_id, crashed=True)
    return Doubt(str(run["id"]), str(held.lease.step_id), tuple(verdict["call_id"] for verdict in verdicts))


async def listed(person: Person, **query: str) -> dict[str, Any]:
    answer = await person.client.get("/api/v1/uncertain", params={"project": "weather", **query})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_step_in_doubt_is_listed_with_the_reason_and_what_each_answer_would_do(
    ann: Person, doubt: Doubt
) -> None:
    (item,) = (await listed(ann))["items"]
    (call,) = item["calls"]
    assert (item["id"], item["run_id"], item["run_status"]) == (doubt.step_id, doubt.run_id, "attention")
    assert (item["key"], item["type"], item["workflow"]["name"]) == ("first", "tool", "report")
    assert item["since"] is not None
    assert (call["name"], call["status"], call["request"]["tool"]) == ("noop", "unknown", "noop")
    assert (call["attempt"], call["outcome"]) == (1, "uncertain")
    assert call["sent_at"] is not None
    assert call["worker"]["pid"] > 0
    assert "before an answer was on record" in call["why"]
    assert [one["answer"] for one in item["answers"]] == ["happened", "did_not_happen", "fail"]
    assert "makes a new call" in item["answers"][1]["effect"]


async def test_steps_in_doubt_page_newest_first(ann: Person, door: Door, doubt: Doubt) -> None:
    second = await in_doubt(ann, door)
    page = await listed(ann, limit="1")
    rest = await listed(ann, limit="1", cursor=page["next_cursor"])
    assert [one["id"] for one in page["items"] + rest["items"]] == [second.step_id, doubt.step_id]
    assert rest["next_cursor"] is None


async def test_who_started_the_run_says_what_happened_and_nobody_says_it_twice(
    ann: Person, bob: Person, doubt: Doubt
) -> None:
    said = {"answer": "happened", "evidence": "The report lies there.", "output": {"ok": True}}
    body = said | {"call_id": doubt.calls[0]}
    answer = await ann.client.post(doubt.path, json=body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["id"], answer.json()["status"]) == (doubt.step_id, "ready")
    assert (await ann.client.get(f"/api/v1/runs/{doubt.run_id}")).json()["status"] == "running"
    again = await bob.client.post(doubt.path, json=body | {"answer": "did_not_happen", "output": None})
    assert (again.status_code, again.json()["type"]) == (409, "urn:sparkops:problem:not-uncertain")
    assert again.json()["status_now"] == "ready"
    assert (await listed(ann))["items"] == []


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"evidence": ""}, 422),
        ({"answer": "maybe"}, 422),
        ({"call_id": None}, 422),
        ({"answer": "fail", "output": 1}, 422),
        ({"output": "x" * 64_000}, 413),
        ({"call_id": str(UUID(int=7))}, 404),
    ],
)
async def test_an_answer_that_cannot_be_taken(
    ann: Person, doubt: Doubt, changed: dict[str, object], status: int
) -> None:
    body = {"answer": "happened", "evidence": "It is there.", "call_id": doubt.calls[0], **changed}
    answer = await ann.client.post(doubt.path, json=body)
    assert (answer.status_code, len((await listed(ann))["items"])) == (status, 1), answer.text


async def test_of_several_calls_in_doubt_the_others_remain(ann: Person, door: Door, doubt: Doubt) -> None:
    many = await in_doubt(ann, door, calls=2)
    first, second = many.calls
    body = {"answer": "happened", "evidence": "It is there.", "call_id": first}
    answer = await ann.client.post(many.path, json=body)
    assert answer.json()["status"] == "uncertain"
    (item,) = [one for one in (await listed(ann))["items"] if one["id"] == many.step_id]
    assert [call["id"] for call in item["calls"]] == [second]
