"""Large values where steps come and go while a run goes on: items, passes, sub-runs, events, undo, second chances."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from sparkops.core import payloads as bounds
from sparkops.core.blobs import Blobs
from sparkops.core.errors import Unavailable
from sparkops.core.ids import new_id
from sparkops.core.json import digest
from sparkops.core.payloads import INLINE_BYTES, Desk, NotAtHand, Payloads, references
from sparkops.domains.runs.state import SourceKind
from sparkops.engine.accept import RunRequest, accept_run
from sparkops.engine.draft import Rerun
from sparkops.engine.events import NewEvent, match_event, receive_event
from sparkops.engine.rerun import start_rerun
from sparkops.engine.sweep import sweep
from tests.engine.acts import rows
from tests.engine.bulk import LARGE, broken, echo, making, objects
from tests.engine.conftest import World

ANY = "input: {type: object, properties: {rows: {}, text: {}}}"
EACH = f"""
version: 1
name: each
{ANY}
steps:
  - id: each
    type: map
    with: {{over: "${{{{ input.rows }}}}", concurrency: 1000, on_item_error: continue}}
    steps: BODY
  - {{id: after, type: transform, needs: [each], with: {{value: "${{{{ size(steps.each.output) }}}}"}}}}
output: {{items: "${{{{ steps.each.output }}}}", size: "${{{{ steps.after.output }}}}"}}
"""
AGAIN = f"""
version: 1
name: again
{ANY}
steps:
  - id: again
    type: loop
    with: {{max: 3, until: "${{{{ iteration == 3 && size(steps.more.output.value) == 2 && size(previous) > 0 }}}}"}}
    steps:
      - {{id: more, type: tool, tool: echo, with: {{value: ["${{{{ input.text }}}}", "${{{{ previous }}}}"]}}}}
      - {{id: n, type: transform, with: {{value: "${{{{ iteration }}}}"}}}}
"""
CHILD = f"""
version: 1
name: child
{ANY}
steps:
  - {{id: work, type: tool, tool: echo, with: {{value: "${{{{ input.text }}}}"}}}}
"""
PARENT = f"""
version: 1
name: parent
{ANY}
steps:
  - {{id: sub, type: workflow, workflow: child, with: {{text: "${{{{ input.text }}}}"}}}}
output: "${{{{ steps.sub.output.work.value == input.text }}}}"
"""
WAITS = f"""
version: 1
name: waits
{ANY}
steps:
  - id: paid
    type: wait
    with: {{event: payment.received, filter: "${{{{ event.data.text == input.text }}}}", timeout: 1h}}
output: "${{{{ steps.paid.output.data.more == input.text }}}}"
"""
UNDONE = """
version: 1
name: undone
steps:
  - id: make
    type: tool
    tool: large
    undo: {type: tool, tool: echo, with: {value: "${{ steps.make.output }}"}}
  - {id: fails, type: tool, tool: broken, needs: [make]}
"""
CHANCE = f"""
version: 1
name: chance
{ANY}
steps:
  - {{id: make, type: tool, tool: echo, with: {{value: "${{{{ input.text }}}}"}}}}
  - {{id: seen, type: transform, needs: [make], with: {{value: "${{{{ size(steps.make.output.value) }}}}"}}}}
  - {{id: last, type: tool, tool: shaky, needs: [seen]}}
output: {{size: "${{{{ steps.seen.output }}}}", made: "${{{{ steps.make.output.value }}}}"}}
"""


def each(body: str) -> str:
    return EACH.replace("BODY", body)


@pytest.fixture
def sent(world: World) -> list[Any]:
    sent: list[Any] = []
    world.tools["echo"] = echo(sent)
    world.tools["large"] = making([LARGE])
    world.tools["broken"] = broken()
    return sent


async def plain(world: World, stored: Any) -> Any:
    """Read a stored value as another process would."""
    return await Payloads(world.blobs).load(world.project_id, stored)


def is_reference(stored: Any, plain: Any) -> bool:
    return [each.sha256 for each in references(stored)] == [digest(plain)]


async def test_ten_thousand_items_give_their_large_results_in_order(world: World, sent: list[Any]) -> None:
    items = [f"row {n}" for n in range(10_000)]
    body = '[{id: say, type: transform, with: {value: ["${{ index }}", "${{ item }}"]}}]'
    run_id = await world.run(await world.workflow(each(body)), input={"rows": items})
    await world.work_until(run_id, seconds=100)
    row, wanted = await world.row(run_id), [[n, item] for n, item in enumerate(items)]
    assert row["status"] == "succeeded", row["error"]
    assert is_reference(row["input"], {"rows": items})
    assert is_reference((await world.steps(run_id))["each"]["output"], wanted)
    assert await plain(world, row["output"]) == {"items": wanted, "size": 10_000}
    assert len(objects(world)) == 3, "the input, the output of the map, that of the run; all items are small"


async def test_large_items_and_large_outputs_of_items(world: World, sent: list[Any]) -> None:
    items = [LARGE + str(n) for n in range(3)]
    body = '[{id: say, type: tool, tool: echo, if: "${{ item != input.text }}", with: {value: "${{ item }}"}}]'
    run_id = await world.run(await world.workflow(each(body)), input={"rows": items, "text": items[1]})
    await world.work_until(run_id)
    row = await world.row(run_id)
    assert row["status"] == "succeeded", row["error"]
    frames = await world.database.pool.fetch("SELECT value, output FROM frames ORDER BY frame_no")
    assert [is_reference(frame["value"], item) for frame, item in zip(frames, items, strict=True)] == [True] * 3
    assert is_reference(frames[0]["output"], {"value": items[0]})
    found = await plain(world, row["output"])
    assert found == {"items": [{"value": items[0]}, None, {"value": items[2]}], "size": 3}
    assert sorted(sent) == [items[0], items[2]]


async def test_outputs_of_several_leaves_of_an_item_are_put_together_by_reference(
    world: World, sent: list[Any]
) -> None:
    body = (
        '[{id: make, type: tool, tool: large}, {id: say, type: transform, with: {value: "${{ item }}"}},'
        ' {id: hidden, type: tool, tool: echo, with: {value: {$blob: {sha256: "x"}}}}]'
    )
    run_id = await world.run(await world.workflow(each(body)), input={"rows": [1, 2]})
    await world.work_until(run_id)
    row = await world.row(run_id)
    assert row["status"] == "succeeded", row["error"]
    frame = await world.database.pool.fetchval("SELECT output FROM frames WHERE frame_no = 0")
    assert len(references(frame)) == 2
    hidden = {"value": {"$blob": {"sha256": "x"}}}
    wanted = [{"make": [LARGE], "say": n, "hidden": hidden} for n in (1, 2)]
    assert (await plain(world, row["output"]))["items"] == wanted


@pytest.mark.parametrize("output", [[LARGE], LARGE[:60_000]], ids=["one object many times", "in rows"])
async def test_items_whose_outputs_are_too_large_together_fail_the_map(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch, output: Any
) -> None:
    """Little to store, and much to put together."""
    world.tools["large"] = making(output)
    monkeypatch.setattr(bounds, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr("sparkops.runtime.steps.map.MAX_BYTES", 1_000_000)
    body = "[{id: make, type: tool, tool: large}]"
    run_id = await world.run(await world.workflow(each(body)), input={"rows": 20})
    await world.work_until(run_id)
    step = (await world.steps(run_id))["each"]
    assert (step["status"], step["error"]["code"]) == ("failed", "output-too-large")
    assert "at most 1,000,000" in step["error"]["message"]


async def test_inline_steps_of_many_items_are_decided_together(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the items of one transaction need is read and written at once, and not one rollback for each."""
    tries = 0
    real = Desk.provide

    async def provide(self: Desk, missing: NotAtHand) -> None:
        nonlocal tries
        tries += 1
        await real(self, missing)

    monkeypatch.setattr(Desk, "provide", provide)
    items = [LARGE + str(n) for n in range(10)]
    body = '[{id: say, type: transform, with: {value: ["${{ item }}"]}}]'
    run_id = await world.run(await world.workflow(each(body)), input={"rows": items})
    await world.work_until(run_id)
    row = await world.row(run_id)
    assert row["status"] == "succeeded", row["error"]
    assert await plain(world, row["output"]) == {"items": [[item] for item in items], "size": 10}
    assert tries < 10


async def test_a_loop_hands_large_outputs_from_pass_to_pass(world: World, sent: list[Any]) -> None:
    run_id = await world.run(await world.workflow(AGAIN), input={"text": LARGE})
    await world.work_until(run_id)
    row = await world.row(run_id)
    assert row["status"] == "succeeded", row["error"]
    wanted: Any = None
    for n in (1, 2, 3):
        wanted = {"more": {"value": [LARGE, wanted]}, "n": n}
    assert await plain(world, row["output"]) == {"again": wanted}
    assert is_reference((await world.steps(run_id))["again"]["output"], wanted)


async def test_a_sub_run_takes_a_large_input_and_gives_a_large_output(world: World, sent: list[Any]) -> None:
    await world.workflow(CHILD)
    run_id = await world.run(await world.workflow(PARENT), input={"text": LARGE})
    await world.work_until(run_id)
    row, step = await world.row(run_id), (await world.steps(run_id))["sub"]
    assert (row["status"], row["output"]) == ("succeeded", True), row["error"]
    child = await world.row(step["child_run_id"])
    assert child["input"] == row["input"], "the same value lies there once"
    assert is_reference(child["output"], {"value": LARGE})
    assert is_reference(step["output"], {"work": {"value": LARGE}})


async def test_a_sub_run_whose_input_is_too_large_is_not_started(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.workflow(CHILD)
    run_id = await world.run(await world.workflow(PARENT), input={"text": LARGE})
    monkeypatch.setattr("sparkops.engine.document.MAX_INPUT_BYTES", 1_000)
    await world.work_until(run_id)
    step = (await world.steps(run_id))["sub"]
    assert (step["status"], step["error"]["code"], step["attempt"]) == ("failed", "input-too-large", 1)
    assert "at most 1,000" in step["error"]["message"]


async def send(world: World, data: Any) -> UUID:
    event = NewEvent(new_id().hex, "payment.received", data)
    return (await receive_event(world.engine, world.ada, world.project_id, event)).id


async def until_waiting(world: World, run_id: UUID) -> None:
    async def waits() -> bool:
        return (await rows(world, run_id))["paid"] == "waiting"

    await world.work(waits)


async def test_a_wait_reads_large_values_and_gives_a_large_event(world: World, sent: list[Any]) -> None:
    run_id = await world.run(await world.workflow(WAITS), input={"text": LARGE})
    await until_waiting(world, run_id)
    await send(world, {"text": "other"})
    assert (await rows(world, run_id))["paid"] == "waiting"
    await send(world, {"text": LARGE, "more": LARGE})
    assert (await rows(world, run_id))["paid"] == "ready"
    await world.work_until(run_id)
    row = await world.row(run_id)
    assert (row["status"], row["output"]) == ("succeeded", True), row["error"]
    output = (await world.steps(run_id))["paid"]["output"]
    assert (await plain(world, output))["data"] == {"text": LARGE, "more": LARGE}
    assert len(references(output)) == 1


async def test_an_event_whose_filter_cannot_be_read_now_is_matched_by_the_sweep(world: World, sent: list[Any]) -> None:
    run_id = await world.run(await world.workflow(WAITS), input={"text": LARGE})
    await until_waiting(world, run_id)
    blind = replace(world, engine=replace(world.engine, payloads=Payloads()))
    row_id = await send(blind, {"text": LARGE, "more": LARGE})
    with pytest.raises(Unavailable):
        await match_event(blind.engine, row_id)
    await world.sql("UPDATE received_events SET received_at = received_at - interval '3 seconds'")
    await world.sql("UPDATE runs SET created_at = created_at - interval '1 minute'")
    await sweep(blind.engine, ("run",))
    assert (await rows(world, run_id))["paid"] == "waiting"
    await sweep(world.engine, ("run",))
    assert (await rows(world, run_id))["paid"] == "ready"
    await world.work_until(run_id)


async def test_an_undo_step_reads_the_large_output_that_it_takes_back(world: World, sent: list[Any]) -> None:
    run_id = await world.run(await world.workflow(UNDONE))
    await world.work_until(run_id)
    assert (await world.row(run_id))["error"]["step"] == "fails"
    steps = await world.steps(run_id)
    assert (steps["make:undo"]["status"], sent) == ("succeeded", [[LARGE]])
    assert is_reference(steps["make:undo"]["output"], {"value": [LARGE]})


async def test_a_retry_and_a_fork_keep_large_values(world: World, sent: list[Any]) -> None:
    world.tools["shaky"] = replace(broken(), name="shaky")
    first = await world.run(await world.workflow(CHANCE), input={"text": LARGE})
    await world.work_until(first)
    assert await world.status(first) == "failed"
    world.tools["shaky"] = world.tools["noop"]
    source = await world.steps(first)
    for request in (Rerun(SourceKind.RETRY), Rerun(SourceKind.FORK, "seen")):
        again = (await start_rerun(world.engine, world.ada, first, request)).run_id
        await world.work_until(again)
        row, steps = await world.row(again), await world.steps(again)
        assert row["status"] == "succeeded", row["error"]
        assert row["input"] == (await world.row(first))["input"]
        assert steps["make"]["copied_from"] == source["make"]["id"]
        assert steps["make"]["output"] == source["make"]["output"]
        assert await plain(world, row["output"]) == {"size": INLINE_BYTES, "made": LARGE}
    assert sent == [LARGE], "what was kept was not done again"


async def test_a_local_tool_that_only_notes_its_call_keeps_large_values(world: World, sent: list[Any]) -> None:
    world.tools["echo"] = replace(echo(sent, cost=0), local=True)
    source = CHILD.replace("name: child", "name: local")
    run_id = await world.run(await world.workflow(source), input={"text": LARGE})
    await world.work_until(run_id)
    (call,), step = await world.calls(run_id), (await world.steps(run_id))["work"]
    assert is_reference(call["request"], {"tool": "echo", "arguments": {"value": LARGE}})
    assert call["response"] == step["output"]
    assert is_reference(step["output"], {"value": LARGE})
    assert await plain(world, (await world.row(run_id))["output"]) == {"work": {"value": LARGE}}


async def test_large_and_small_inputs_are_accepted_in_one_batch(world: World, sent: list[Any]) -> None:
    workflow = await world.workflow(CHILD)
    texts = [LARGE + str(n) if n % 2 else str(n) for n in range(6)]
    requests = [RunRequest(world.project_id, workflow, input={"text": text}) for text in texts]
    accepted = await asyncio.gather(*(accept_run(world.engine, world.ada, request) for request in requests))
    for text, one in zip(texts, accepted, strict=True):
        stored = (await world.row(one.run_id))["input"]
        assert await plain(world, stored) == {"text": text}
        assert bool(references(stored)) == (len(text) > INLINE_BYTES)
        assert one.begun is not None
        assert one.begun.input == stored


async def test_an_item_whose_value_is_gone_fails_with_its_name(
    world: World, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [LARGE + "0", LARGE + "1"]
    body = '[{id: say, type: tool, tool: echo, retry: {attempts: 1}, with: {value: "${{ item }}"}}]'
    run_id = await world.run(await world.workflow(each(body)), input={"rows": items})
    real = Blobs.get

    async def get(self: Blobs, sha256: str, max_bytes: int) -> bytes:
        return await real(self, "0" * 64 if sha256 == digest(items[1]) else sha256, max_bytes)

    monkeypatch.setattr(Blobs, "get", get)
    monkeypatch.setattr(bounds, "CACHE_BYTES", 0)
    await world.work_until(run_id)
    frames = await world.database.pool.fetch("SELECT status, error FROM frames ORDER BY frame_no")
    assert [frame["status"] for frame in frames] == ["succeeded", "failed"]
    assert digest(items[1]) in frames[1]["error"]["message"]
    assert (await world.row(run_id))["status"] == "succeeded", "the map goes on without it"
    assert sent == [items[0]]
