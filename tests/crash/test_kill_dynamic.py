"""A worker is killed between any two transactions of maps, loops, waits, sub-runs and undo; another one goes on."""

import asyncio
import os
import signal
import sys
from uuid import UUID

import pytest

from sparkops.core.failpoints import ENV
from sparkops.core.ids import new_id
from sparkops.core.json import dumps
from sparkops.engine.events import NewEvent, receive_event
from tests.crash.test_kill import ROOT, killed
from tests.engine.acts import hands
from tests.engine.conftest import World
from tests.engine.sink import listening
from tests.reused import Clone

WHOLE = """
version: 1
name: whole
steps:
  - id: each
    type: map
    with: {over: 220, concurrency: 3, on_item_error: continue}
    steps:
      - {id: twice, type: transform, if: "${{ index != 5 }}", with: {value: "${{ item * 2 }}"}}
  - id: few
    type: map
    with: {over: [1, 2, 3], concurrency: 2}
    steps:
      - {id: touch, type: tool, tool: noop}
      - {id: same, type: transform, needs: [touch], with: {value: "${{ item }}"}}
  - id: again
    type: loop
    needs: [few]
    with: {max: 3}
    steps:
      - {id: touch_again, type: tool, tool: noop}
      - {id: count, type: transform, needs: [touch_again], with: {value: "${{ iteration }}"}}
  - {id: nap, type: wait, needs: [again], with: {for: 100ms}}
  - {id: paid, type: wait, with: {event: paid}}
  - {id: sub, type: workflow, workflow: below, needs: [nap]}
output:
  few: "${{ steps.few.output }}"
  again: "${{ steps.again.output }}"
  sub: "${{ steps.sub.output }}"
  last: "${{ steps.each.output[219] }}"
  paid: "${{ steps.paid.output.data }}"
"""
BELOW = """
version: 1
name: below
steps:
  - {id: work, type: tool, tool: noop}
output: done
"""
OUTPUT = {"few": [1, 2, 3], "again": 3, "sub": "done", "last": 438, "paid": 7}
POINTS = ("before_wait", "after_wait", "before_complete", "after_complete")
"""Those that only such runs reach are in `test_failpoints.py`."""


async def finish(world: World, run_id: UUID) -> None:
    async def ended() -> bool:
        return await world.status(run_id) in ("succeeded", "failed", "cancelled")

    await world.work(ended)


@pytest.mark.parametrize("point", POINTS)
async def test_a_run_goes_on_where_its_worker_died(world: World, clone: Clone, point: str) -> None:
    await world.workflow(BELOW)
    run_id = await world.run(await world.workflow(WHOLE))
    await receive_event(world.engine, world.ada, world.project_id, NewEvent(new_id().hex, "paid", 7))
    async with listening() as sink:
        await killed(world, clone, sink, point)
    await finish(world, run_id)
    row = await world.row(run_id)
    assert row["error"] is None
    assert row["output"] == OUTPUT
    assert await world.database.pool.fetchval("SELECT count(*) FROM runs") == 2, "one run below"
    assert await world.database.pool.fetchval("SELECT count(*) FROM frames") == 220 + 3 + 3


TRIP = """
version: 1
name: trip
steps:
  - {id: a, type: tool, tool: noop, undo: {type: tool, tool: noop}}
  - {id: b, type: tool, tool: noop, needs: [a], undo: {type: tool, tool: noop}}
  - {id: c, type: tool, tool: noop, needs: [b]}
"""


@pytest.mark.parametrize("point", ["after_claim", "before_complete", "after_complete"])
async def test_undoing_goes_on_where_the_worker_died(world: World, clone: Clone, point: str) -> None:
    run_id = await world.run(await world.workflow(TRIP))
    hand = await hands(world, run_id)
    for path in ("a", "b"):
        await hand.take()
        await hand.end(path)
    await hand.take()
    await hand.fail("c")
    async with listening() as sink:
        await killed(world, clone, sink, point)
    await finish(world, run_id)
    steps = await world.steps(run_id)
    assert [steps[key]["status"] for key in ("b:undo", "a:undo")] == ["succeeded", "succeeded"]
    assert steps["b:undo"]["finished_at"] <= steps["a:undo"]["started_at"]
    assert await world.status(run_id) == "failed"


async def test_an_event_is_matched_by_the_sweep_where_its_receiver_died(world: World, clone: Clone) -> None:
    source = "version: 1\nname: w\nsteps:\n  - {id: paid, type: wait, with: {event: paid}}\n"
    run_id = await world.run(await world.workflow(source))

    async def waits() -> bool:
        return str((await world.steps(run_id))["paid"]["status"]) == "waiting"

    await world.work(waits)
    child = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "tests.crash.sender_child",
            dumps({"database": clone.app_url, "project": str(world.project_id), "user": str(world.ada.user_id)}),
        ),
        env={**os.environ, ENV: "after_event_received=kill"},
        cwd=ROOT,
    )
    assert await child.wait() == -signal.SIGKILL
    assert (await world.steps(run_id))["paid"]["status"] == "waiting"
    await finish(world, run_id)
    assert (await world.steps(run_id))["paid"]["output"]["id"] == "e-1"
