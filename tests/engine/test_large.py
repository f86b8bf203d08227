"""Large values end to end: rows hold references, expressions see values, what cannot be read fails with a reason."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from sparkops.core import payloads as bounds
from sparkops.core.blobs import Blobs
from sparkops.core.errors import NotFound, Unavailable
from sparkops.core.json import digest
from sparkops.core.payloads import Payloads, Reference
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.advance import advance_run
from sparkops.engine.complete import Ended, complete, end_attempt
from sparkops.engine.document import InputTooLarge
from sparkops.engine.give_back import reap
from sparkops.engine.sweep import sweep
from sparkops.runtime.attempt import Waiting, execute
from sparkops.runtime.trust import Trust
from tests.engine.bulk import LARGE, echo, making, objects
from tests.engine.conftest import World

HIDDEN = {"$blob": {"sha256": "0" * 64, "bytes": 5, "type": "string", "preview": ""}}

ECHO = """
version: 1
name: echo
input: {type: object, properties: {text: {type: string}, more: {}}}
steps:
  - {id: first, type: tool, tool: echo, with: {value: "${{ input.text }}"}}
  - {id: second, type: tool, tool: echo, needs: [first], with: {value: ["${{ steps.first.output.value }}", 1]}}
  - {id: third, type: tool, tool: echo, needs: [first], with: {value: small}}
"""
INLINE = """
version: 1
name: inline
input: {type: object, properties: {text: {type: string}}}
steps:
  - {id: early, type: transform, with: {value: {text: "${{ input.text }}"}}}
  - {id: make, type: tool, tool: echo, with: {value: "${{ input.text }}"}}
  - id: late
    type: transform
    needs: [make, early]
    if: ${{ size(steps.make.output.value) > 10 }}
    with: {value: ["${{ steps.make.output.value }}", "${{ steps.early.output.text }}"]}
output: {got: "${{ steps.late.output }}", and: small}
"""
QUESTION = 'approval, with: {title: "Send it?", show: "${{ input.text }}"}'
PASSED_ON = """
version: 1
name: passed-on
steps:
  - {id: make, type: tool, tool: large}
  - {id: late, type: transform, needs: [make], with: {value: "${{ steps.make.output }}"}}
  - {id: after, type: tool, tool: echo, needs: [late], with: {value: "${{ steps.late.output == steps.make.output }}"}}
"""
ASKS = """
version: 1
name: asks
steps:
  - {id: only, type: agent, agent: scout, with: {prompt: go}}
"""
SENDS = """
version: 1
name: sends
steps:
  - {id: only, type: tool, tool: large}
"""


@pytest.fixture
def sent(world: World) -> list[Any]:
    sent: list[Any] = []
    world.tools["echo"] = echo(sent)
    world.tools["large"] = making([LARGE])
    return sent


def forgetful(world: World) -> World:
    """The world as another process sees it: with nothing in its memory."""
    return replace(world, engine=replace(world.engine, payloads=Payloads(world.blobs)))


async def plain(world: World, stored: Any) -> Any:
    """Read a stored value as another process would."""
    return await Payloads(world.blobs).load(world.project_id, stored)


def reference(stored: Any) -> Reference:
    found = Reference.of(stored)
    assert found is not None, "the row holds the value itself"
    return found


async def test_a_large_value_passes_through_a_whole_run(world: World, sent: list[Any]) -> None:
    run_id = await world.run(await world.workflow(ECHO), input={"text": LARGE})
    await world.work_until(run_id)
    run, steps, calls = await world.row(run_id), await world.steps(run_id), await world.calls(run_id)

    assert run["status"] == "succeeded", run["error"]
    assert sorted(sent, key=str) == sorted([LARGE, [LARGE, 1], "small"], key=str)
    assert reference(run["input"]).sha256 == digest({"text": LARGE})
    assert reference(steps["first"]["output"]).sha256 == digest({"value": LARGE})
    assert steps["third"]["output"] == {"value": "small"}
    assert run["output"] == {key: steps[key]["output"] for key in ("second", "third")}, "references are copied along"
    assert await plain(world, run["output"]) == {"second": {"value": [LARGE, 1]}, "third": {"value": "small"}}
    first = next(call for call in calls if call["step_id"] == steps["first"]["id"])
    assert first["request_hash"] == digest({"tool": "echo", "arguments": {"value": LARGE}})
    assert reference(first["request"]).sha256 == first["request_hash"]
    assert reference(first["response"]) == reference(steps["first"]["output"])
    assert len(objects(world)) == 5, "input, two requests, two outputs"


async def test_expressions_of_the_engine_see_large_values(world: World, sent: list[Any]) -> None:
    run_id = await world.run(await world.workflow(INLINE), input={"text": LARGE})
    await world.work_until(run_id)
    run, steps = await world.row(run_id), await world.steps(run_id)

    assert run["status"] == "succeeded", run["error"]
    assert reference(steps["early"]["output"]).sha256 == digest({"text": LARGE})
    assert reference(steps["late"]["output"]).sha256 == digest([LARGE, LARGE])
    assert reference(run["output"]).sha256 == digest({"got": [LARGE, LARGE], "and": "small"})


async def test_no_transaction_is_open_while_a_large_value_is_read_or_written(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run can be locked by somebody else at every moment at which the object storage is asked."""
    run_id = await world.run(await world.workflow(INLINE), input={"text": LARGE})
    asked = 0

    async def look() -> None:
        nonlocal asked
        asked += 1
        async with world.database.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE NOWAIT", run_id)

    real_put, real_get = Blobs.put, Blobs.get

    async def put(self: Blobs, data: bytes) -> str:
        await look()
        return await real_put(self, data)

    async def get(self: Blobs, sha256: str, max_bytes: int) -> bytes:
        await look()
        return await real_get(self, sha256, max_bytes)

    monkeypatch.setattr(Blobs, "put", put)
    monkeypatch.setattr(Blobs, "get", get)
    monkeypatch.setattr(bounds, "CACHE_BYTES", 0)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    assert asked >= 8


async def test_what_expressions_pass_on_whole_keeps_its_reference(world: World, sent: list[Any]) -> None:
    run_id = await world.run(await world.workflow(PASSED_ON))
    await world.work_until(run_id)
    steps = await world.steps(run_id)
    assert steps["late"]["output"] == steps["make"]["output"]
    assert sent == [True]


async def test_data_that_looks_like_a_reference_is_never_followed(world: World, sent: list[Any]) -> None:
    world.tools["large"] = making(HIDDEN)
    run_id = await world.run(await world.workflow(PASSED_ON))
    await world.work_until(run_id)
    run, steps = await world.row(run_id), await world.steps(run_id)
    assert run["status"] == "succeeded", run["error"]
    assert await plain(world, steps["late"]["output"]) == HIDDEN
    assert sent == [True]
    other = await world.run(await world.workflow(ECHO), input={"text": "a", "more": [HIDDEN]})
    assert await plain(world, (await world.row(other))["input"]) == {"text": "a", "more": [HIDDEN]}


async def test_the_same_large_input_under_one_key_is_one_run(world: World, sent: list[Any]) -> None:
    workflow = await world.workflow(ECHO)
    first = await world.accept(workflow, input={"text": LARGE}, idem_key="k")
    second = await world.accept(workflow, input={"text": LARGE}, idem_key="k")
    assert (first.run_id, first.created, second.created) == (second.run_id, True, False)
    assert len(objects(world)) == 1


async def test_an_input_that_is_too_large_is_refused_in_words(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkops.engine.document.MAX_INPUT_BYTES", 1_000)
    with pytest.raises(InputTooLarge, match="1,011 bytes as JSON; at most 1,000") as refused:
        await world.accept(await world.workflow(ECHO), input={"text": "x" * 1_000})
    assert refused.value.code == "input-too-large"
    assert await world.database.pool.fetchval("SELECT count(*) FROM runs") == 0


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty megabytes are a hundred thousand bytes here."""
    monkeypatch.setattr(bounds, "MAX_BYTES", 100_000)


async def test_an_output_that_is_too_large_fails_its_step(world: World, sent: list[Any], tight: None) -> None:
    world.tools["large"] = making("x" * 100_000)
    run_id = await world.run(await world.workflow(SENDS))
    await world.work_until(run_id)
    step, (call,) = (await world.steps(run_id))["only"], await world.calls(run_id)
    assert (step["status"], step["error"]["code"], step["attempt"]) == ("failed", "output-too-large", 1)
    assert "100,002 bytes as JSON; at most 100,000" in step["error"]["message"]
    assert (call["status"], call["error"]["code"], call["cost_micros"]) == ("failed", "output-too-large", 2)


async def test_an_inline_output_that_is_too_large_fails_its_step(world: World, sent: list[Any], tight: None) -> None:
    run_id = await world.run(await world.workflow(INLINE), input={"text": "x" * 60_000})
    await world.work_until(run_id)
    step = (await world.steps(run_id))["late"]
    assert (step["status"], step["error"]["code"]) == ("failed", "output-too-large")
    assert (await world.row(run_id))["error"]["step"] == "late"


async def test_a_request_that_is_too_large_is_not_sent(world: World, sent: list[Any], tight: None) -> None:
    source = ECHO.replace('["${{ steps.first.output.value }}", 1]', '["${{ input.text }}", "${{ input.text }}"]')
    run_id = await world.run(await world.workflow(source), input={"text": "x" * 60_000})
    await world.work_until(run_id)
    step = (await world.steps(run_id))["second"]
    assert (step["status"], step["error"]["code"]) == ("failed", "request-too-large")
    assert all(not isinstance(value, list) for value in sent)
    assert not [call for call in await world.calls(run_id) if call["step_id"] == step["id"]]


async def test_a_question_that_shows_something_large_is_asked_once(world: World, sent: list[Any]) -> None:
    source = ECHO.replace('tool, tool: echo, with: {value: "${{ input.text }}"}', QUESTION)
    run_id = await world.run(await world.workflow(source), input={"text": LARGE})
    for _ in range(2):
        _, claim = await world.claimed(run_id)
        assert await execute(world.runtime(), claim, Trust.since(time.monotonic(), 15)) == Waiting()
        asked = await world.database.pool.fetchrow("SELECT * FROM approvals")
        await world.sql("UPDATE steps SET status = 'ready' WHERE status = 'waiting'")
    assert asked["request_hash"] == digest({"title": "Send it?", "show": LARGE})
    assert await plain(world, asked["proposed_request"]) == {"title": "Send it?", "show": LARGE}
    assert reference(asked["proposed_request"]["show"]).sha256 == digest(LARGE)


async def test_a_step_whose_input_is_gone_fails_with_its_name(world: World, sent: list[Any]) -> None:
    source = ECHO.replace("type: tool, tool: echo, with", "type: tool, tool: echo, retry: {attempts: 2}, with")
    run_id = await world.run(await world.workflow(source), input={"text": LARGE})
    objects(world)[0].unlink()
    await world.work_until(run_id, runtime=forgetful(world).runtime())
    step = (await world.steps(run_id))["first"]
    assert (step["status"], step["error"]["code"], step["failures"]) == ("failed", "value-lost", 2)
    assert digest({"text": LARGE}) in step["error"]["message"]
    assert not sent


async def test_an_expression_of_the_engine_fails_where_its_value_is_gone(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(self: Blobs, sha256: str, max_bytes: int) -> bytes:
        raise NotFound("The bytes of this file are not in the object storage.")

    monkeypatch.setattr(Blobs, "get", get)
    monkeypatch.setattr(bounds, "CACHE_BYTES", 0)
    run_id = await world.run(await world.workflow(PASSED_ON))
    await world.work_until(run_id)
    steps = await world.steps(run_id)
    assert (steps["late"]["status"], steps["late"]["error"]["code"]) == ("failed", "value-lost")
    assert (await world.status(run_id), steps["after"]["status"]) == ("failed", "skipped")


async def test_a_recorded_large_answer_is_read_and_not_bought_again(world: World, sent: list[Any]) -> None:
    script = {"turns": [{"tool_calls": [{"tool": "large"}]}, {"text": "${{ string(size(results[0].output)) }}"}]}
    await world.agent("scout", {"model": "scripted", "instructions": "look", "tools": ["large"], "script": script})
    run_id = await world.run(await world.workflow(ASKS))
    _, claim = await world.claimed(run_id)
    trust = Trust.since(time.monotonic(), 15)
    first = await execute(world.runtime(), claim, trust)
    assert isinstance(first, Ended)
    await world.lapse(claim.lease.step_id)
    await reap(world.engine)
    _, again = await world.claimed(run_id)
    assert [Reference.of(entry["response"]) is not None for entry in again.journal] == [False, True, False]
    second = await execute(forgetful(world).runtime(), again, trust)
    assert isinstance(second, Ended)
    assert second.output == first.output
    # What came last is recorded with the end, which was never written.
    assert [call["sends"] for call in await world.calls(run_id)] == [1, 1, 2]


async def test_a_step_waits_with_its_end_while_the_storage_is_away(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of `make` needs its large output at once, for the condition of `late`; nothing is lost meanwhile."""
    away, asked = True, asyncio.Event()
    real = Blobs.get

    async def get(self: Blobs, sha256: str, max_bytes: int) -> bytes:
        if away:
            asked.set()
            raise Unavailable("The object storage does not answer.")
        return await real(self, sha256, max_bytes)

    monkeypatch.setattr(Blobs, "get", get)
    monkeypatch.setattr(bounds, "CACHE_BYTES", 0)
    run_id = await world.run(await world.workflow(PASSED_ON))

    async def ended() -> bool:
        nonlocal away
        if asked.is_set():
            away = False
        return await world.status(run_id) == "succeeded"

    await world.work(ended)
    assert (await world.steps(run_id))["make"]["attempt"] == 1


async def test_a_run_whose_values_cannot_be_read_now_is_left_to_a_later_sweep(world: World, sent: list[Any]) -> None:
    run_id = await world.run(await world.workflow(PASSED_ON))
    worker, claim = await world.claimed(run_id)
    output = (await world.engine.payloads.store(world.project_id, [LARGE])).value
    blind = replace(world.engine, payloads=Payloads())
    with pytest.raises(Unavailable):
        await end_attempt(blind, worker, Ended(claim, StepStatus.SUCCEEDED, output), claim=0)
    assert (await world.steps(run_id))["make"]["status"] == "running", "nothing was written"
    await world.sql("UPDATE steps SET hands_over = true WHERE id = $1", claim.lease.step_id)
    await complete(world.engine, worker, [Ended(claim, StepStatus.SUCCEEDED, output)], claim=0)
    await advance_run(blind, run_id)
    assert (await world.steps(run_id))["late"]["status"] == "pending"
    assert (await sweep(world.engine, ("run",))).repaired == 1
    assert (await world.steps(run_id))["late"]["status"] == "succeeded"
    await world.work_until(run_id)
