"""The worker's loop: a bug in one part of it costs that part a turn, and nobody waits for it for ever."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sparkops.domains.effects.state import EffectClass
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import Kept, Lease, heartbeat
from sparkops.engine.complete import Completion, Ended, complete
from sparkops.engine.context import Engine, Worker
from sparkops.runtime.tools.base import ToolContext, ToolResult
from sparkops.worker import completer
from sparkops.worker import loop as worker_loop
from sparkops.worker.loop import WorkerLoop
from tests.engine.acts import ONE_STEP
from tests.engine.conftest import LIMIT_SECONDS, World
from tests.engine.sink import listening, sending


async def test_a_heartbeat_that_broke_once_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[int] = []

    async def broken_once(engine: Engine, worker: Worker, leases: Sequence[Lease]) -> Kept:
        beats.append(len(leases))
        if len(beats) == 1:
            raise RuntimeError("a bug")
        return await heartbeat(engine, worker, leases)

    monkeypatch.setattr(worker_loop, "heartbeat", broken_once)

    async def beats_again() -> bool:
        return len(beats) > 1

    await world.with_lease(seconds=0.2).work(beats_again)


async def test_a_step_whose_end_could_not_be_written_is_not_held_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    async def broken_once(engine: Engine, worker: Worker, ended: Sequence[Ended], **more: Any) -> Completion:
        tries.append(len(ended))
        if len(tries) == 1:
            raise RuntimeError("a bug")
        return await complete(engine, worker, ended, **more)

    monkeypatch.setattr(completer, "complete", broken_once)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.with_lease(seconds=0.6).work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    assert (await world.steps(run_id))["only"]["attempt"] == 2


ASKS = """
version: 1
name: asks
steps:
  - {id: only, type: agent, agent: scout, with: {prompt: go}}
"""
SCOUT = {
    "model": "scripted",
    "instructions": "look",
    "tools": ["send"],
    "script": {"turns": [{"tool_calls": [{"tool": "send", "arguments": {}}]}, {"text": "done"}]},
}
SIDE_BY_SIDE = SCOUT | {
    "tools": ["send", "slow"],
    "script": {
        "turns": [
            {"tool_calls": [{"tool": "send", "arguments": {}}, {"tool": "slow", "arguments": {}}]},
            {"text": "done"},
        ]
    },
}


@asynccontextmanager
async def rules_out_of_reach(world: World, owner_url: str) -> AsyncIterator[None]:
    """The rules have changed, and nobody can read the new ones: whoever judges a call waits."""
    await world.rules({"name": "other", "on": ["tool.call"], "tools": ["other"], "effect": "deny", "reason": "no"})
    owner = await asyncpg.connect(owner_url)
    try:
        async with owner.transaction():
            await owner.execute("LOCK TABLE policy_versions")
            yield
    finally:
        await owner.close()


async def paid(world: World, run_id: UUID) -> list[tuple[str, int]]:
    """Status and cost of the calls of tools."""
    return [(call["status"], call["cost_micros"]) for call in await world.calls(run_id) if call["kind"] == "tool"]


async def test_what_came_back_before_a_step_was_told_to_stop_is_recorded_with_its_end(
    world: World, owner_url: str
) -> None:
    """The agent has an answer, and waits to be let out with what it does next when somebody cancels the run."""
    await world.agent("scout", SCOUT)
    run_id = await world.run(await world.workflow(ASKS))
    async with listening() as sink:
        sink.open.clear()
        world.tools["send"] = sending(sink.port, EffectClass.PURE)
        working = asyncio.create_task(world.with_lease(seconds=1.5).work_until(run_id))
        await sink.reached.wait()
        async with rules_out_of_reach(world, owner_url):
            sink.open.set()
            await world.reaches(world.someone_waits)
            await cancel_run(world.engine, world.ada, run_id)
            await working
    assert (await world.status(run_id), await paid(world, run_id)) == ("cancelled", [("done", 3)])


async def test_what_came_back_beside_a_call_that_was_cut_off_is_recorded(world: World) -> None:
    came = asyncio.Event()
    await world.agent("scout", SIDE_BY_SIDE)
    run_id = await world.run(await world.workflow(ASKS))
    async with listening() as quick, listening() as slow:
        slow.open.clear()
        sends = sending(quick.port, EffectClass.IDEMPOTENT)

        async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            answer = await sends.run(arguments, context)
            came.set()
            return answer

        world.tools["send"] = replace(sends, run=run)
        world.tools["slow"] = sending(slow.port, EffectClass.IDEMPOTENT, "slow")
        working = asyncio.create_task(world.with_lease(seconds=1.5).work_until(run_id))
        await came.wait()
        await slow.reached.wait()
        await cancel_run(world.engine, world.ada, run_id)
        await working
    assert await paid(world, run_id) == [("done", 3), ("unknown", 5)]


async def test_what_came_back_before_a_worker_drained_is_not_bought_again(world: World, owner_url: str) -> None:
    await world.agent("scout", SCOUT)
    run_id = await world.run(await world.workflow(ASKS))
    async with listening() as sink:
        sink.open.clear()
        world.tools["send"] = sending(sink.port, EffectClass.PURE)
        draining = asyncio.Event()

        async def drains() -> bool:
            return draining.is_set()

        working = asyncio.create_task(world.work(drains))
        await sink.reached.wait()
        async with rules_out_of_reach(world, owner_url):
            sink.open.set()
            await world.reaches(world.someone_waits)
            draining.set()
            await working
        step = (await world.steps(run_id))["only"]
        assert (step["status"], step["crashes"], await paid(world, run_id)) == ("ready", 0, [("done", 3)])
        await world.work_until(run_id)
        assert (await world.status(run_id), sink.got.total()) == ("succeeded", 1)


@dataclass
class Line:
    """A pool whose database cannot be reached while `cut`."""

    pool: Any
    cut: bool = False

    def __getattr__(self, name: str) -> Any:
        if self.cut:
            raise ConnectionError("the line to the database is cut")
        return getattr(self.pool, name)


async def test_an_open_call_ends_with_the_trust_in_its_lease_also_while_no_database_can_be_reached(
    world: World,
) -> None:
    """Neither the heartbeat nor the sweep comes to an end then, and the lease runs out for everybody else."""
    line: Any = Line(world.database.pool)
    far = replace(world, engine=replace(world.engine, database=replace(world.database, pool=line))).with_lease(
        seconds=1.5
    )
    run_id = await world.run(await world.workflow(ONE_STEP.replace("noop", "send")))
    broken_off = asyncio.Event()
    async with listening() as sink:
        sink.open.clear()
        sends = sending(sink.port, EffectClass.IDEMPOTENT)

        async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            try:
                return await sends.run(arguments, context)
            except asyncio.CancelledError:
                broken_off.set()
                raise

        world.tools["send"] = replace(sends, run=run)
        loop = WorkerLoop(far.runtime(), await far.worker(), slots=1, drain_seconds=0)
        working = asyncio.create_task(loop.run())
        try:
            await sink.reached.wait()
            line.cut = True
            async with asyncio.timeout(LIMIT_SECONDS):
                await broken_off.wait()
        finally:
            loop.drain()
            await working
        assert (await world.steps(run_id))["only"]["status"] == "running", "it is not given back: it may be another's"
        sink.open.set()
        world.tools["send"] = sends
        await world.work_until(run_id)
        assert (await world.status(run_id), list(sink.got.values())) == ("succeeded", [2])
