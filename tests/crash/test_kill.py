"""A worker is killed with SIGKILL at every point where it matters; another one finishes the run."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.failpoints import ENV
from sparkops.core.ids import new_id
from sparkops.core.payloads import Payloads
from sparkops.domains.effects.state import EffectClass
from sparkops.engine.answer import answer_approval
from sparkops.engine.give_back import release_session
from sparkops.worker.loop import WorkerLoop
from tests.crash.children import Given
from tests.engine.bulk import LARGE, making, objects
from tests.engine.conftest import World
from tests.engine.sink import Sink, listening, sending
from tests.reused import Clone

ROOT = Path(__file__).parents[2]
REPORT = """
version: 1
name: report
steps:
  - {id: think, type: agent, agent: scout, with: {prompt: go}}
  - {id: ask, type: approval, needs: [think], with: {title: "Publish?"}}
  - {id: publish, type: tool, tool: send, needs: [ask]}
"""
USAGE = {"input_tokens": 100, "output_tokens": 10}
SCOUT = {
    "model": "scripted",
    "instructions": "look",
    "tools": ["send"],
    "price": {"input_usd_per_million": "10", "output_usd_per_million": "20"},
    "script": {
        "turns": [
            {"tool_calls": [{"tool": "send", "arguments": {"n": 1}}, {"tool": "send"}], "usage": USAGE},
            {"tool_calls": [{"tool": "send", "arguments": {"n": 2}}], "usage": USAGE},
            {"text": "done", "usage": USAGE},
        ]
    },
}
LARGE_VALUES = {
    "request": "{id: a, type: tool, tool: noop, with: {text: '${{ input.text }}', n: 1}}",
    "response": "{id: a, type: tool, tool: large}",
    "inline": "{id: a, type: tool, tool: noop}\n"
    "  - {id: b, type: transform, needs: [a], with: {value: ['${{ input.text }}', 1]}}",
}
"""Steps whose first large value to be written is this one."""
POINTS = [
    *("after_claim", "after_prepare", "after_send", "before_record", "after_record", "after_execute"),
    *("before_complete", "after_complete", "before_wait", "after_give_back"),
]


async def half_done(world: World, sink: Sink) -> UUID:
    """A run whose agent has one recorded answer, and two calls whose answers were lost with their worker."""
    sink.open.clear()
    run_id = await world.run(await world.workflow(REPORT))
    loop = WorkerLoop(world.runtime(), await world.worker(), slots=2, drain_seconds=0)
    running = asyncio.create_task(loop.run())
    await sink.reached.wait()
    loop.drain()
    await running
    sink.open.set()
    assert [call["status"] for call in await world.calls(run_id)] == ["done", "prepared", "prepared"]
    return run_id


async def killed(world: World, clone: Clone, sink: Sink, point: str) -> None:
    """Run a worker in a process of its own until it has killed itself there, and release what it held."""
    session = new_id()
    given = Given(clone.app_url, session, world.settings.data_dir, sink.port)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash.worker_child", given.to_json()),
        env={**os.environ, ENV: f"{point}=kill"},
        cwd=ROOT,
    )
    assert await child.wait() == -signal.SIGKILL
    await release_session(world.engine, session, crashed=True)


async def bought(world: World, run_id: UUID) -> dict[UUID, tuple[Any, ...]]:
    """What is on record and final: these answers are never asked for again."""
    return {
        call["id"]: (call["sends"], call["response"], call["cost_micros"])
        for call in await world.calls(run_id)
        if call["status"] == "done"
    }


async def finish(world: World, run_id: UUID) -> None:
    """Let another worker finish the run; a person says yes."""

    async def ended() -> bool:
        for row in await world.database.pool.fetch("SELECT id FROM approvals WHERE status = 'pending'"):
            await answer_approval(world.engine, world.ben, row["id"], approve=True, comment=None)
        return await world.status(run_id) in ("succeeded", "failed")

    await world.work(ended)


@pytest.mark.parametrize("point", POINTS)
async def test_a_run_survives_the_death_of_its_worker(world: World, clone: Clone, point: str) -> None:
    await world.agent("scout", SCOUT)
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        run_id = await half_done(world, sink)
        if point == "after_give_back":
            await world.claims(await world.worker())
            await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")
        await killed(world, clone, sink, point)
        before = await bought(world, run_id)
        await finish(world, run_id)
    assert before
    assert await world.status(run_id) == "succeeded"
    after, calls = await bought(world, run_id), await world.calls(run_id)
    assert {call_id: after[call_id] for call_id in before} == before, "a recorded answer was bought again"
    assert [call["status"] for call in calls] == ["done"] * 7
    for call in calls:
        assert sink.got[str(call["id"])] <= call["sends"]
    assert (await world.kinds(run_id))[-1] == "run.succeeded"
    assert (await world.steps(run_id))["think"]["output"]["text"] == "done"


@pytest.mark.parametrize("value", LARGE_VALUES)
async def test_a_worker_dies_when_a_large_value_is_written_and_no_row_refers_to_it(
    world: World, clone: Clone, value: str
) -> None:
    schema = "{type: object, properties: {text: {type: string}}}"
    source = f"version: 1\nname: bulky\ninput: {schema}\nsteps:\n  - {LARGE_VALUES[value]}\n"
    world.tools["large"] = making([LARGE])
    run_id = await world.run(await world.workflow(source), input={"text": LARGE})
    await killed(world, clone, Sink(), "after_blob_written")
    unused = set(objects(world))
    assert len(unused) == 2, "the input, and the value that no row refers to"
    assert all(step["output"] is None for step in (await world.steps(run_id)).values())
    await finish(world, run_id)
    assert await world.status(run_id) == "succeeded"
    last = list((await world.steps(run_id)).values())[-1]
    wanted = {"request": {"text": LARGE, "n": 1}, "response": [LARGE], "inline": [LARGE, 1]}[value]
    assert await Payloads(world.blobs).load(world.project_id, last["output"]) == wanted
    assert unused <= set(objects(world))
    assert len(objects(world)) == (3 if value == "request" else 2), "what lay there already was used"
