"""T_CANCEL: nothing more starts, nothing more leaves, and the run ends."""

import asyncio
from uuid import UUID

import pytest

from sparkops.core.errors import NotFound
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.answer import ApprovalClosed, answer_approval
from sparkops.engine.cancel import cancel_overdue, cancel_run
from sparkops.engine.complete import Ended, end_attempt
from sparkops.engine.errors import CancelRequested
from sparkops.engine.give_back import reap
from sparkops.engine.sweep import sweep
from sparkops.engine.wait import wait_for_approvals
from tests.engine.acts import HOLD_NOOP, ONE_STEP, fail, prepared, proposal, succeed
from tests.engine.conftest import World
from tests.engine.sink import listening, sending

THREE = """
version: 1
name: three
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: noop}
  - {id: c, type: tool, tool: noop, needs: [a, b]}
"""
SLOW = """
version: 1
name: slow
steps:
  - {id: only, type: tool, tool: send}
"""
HURRIED = """
version: 1
name: hurried
timeout: 1h
steps:
  - {id: only, type: tool, tool: noop}
"""


async def statuses(world: World, run_id: UUID) -> dict[str, str]:
    return {key: step["status"] for key, step in (await world.steps(run_id)).items()}


async def test_what_has_not_started_is_cancelled_at_once(world: World) -> None:
    run_id = await world.run(await world.workflow(THREE))
    await cancel_run(world.engine, world.ada, run_id)
    assert await world.status(run_id) == "cancelled"
    assert set((await statuses(world, run_id)).values()) == {"cancelled"}
    assert await world.claims(await world.worker(), 9) == []


@pytest.mark.parametrize("well", [True, False])
async def test_what_a_running_step_brings_after_the_cancel_stays_and_then_the_run_ends(
    world: World, well: bool
) -> None:
    run_id = await world.run(await world.workflow(THREE))
    worker = await world.worker()
    (held,) = await world.claims(worker)
    await cancel_run(world.engine, world.ben, run_id)
    assert await statuses(world, run_id) == {"a": "running", "b": "cancelled", "c": "cancelled"}
    assert await world.status(run_id) == "cancelling"
    await (succeed(world, worker, held, {"late": True}) if well else fail(world, worker, held))
    step = (await world.steps(run_id))["a"]
    assert (step["status"], step["output"]) == (("succeeded", {"late": True}) if well else ("cancelled", None))
    assert await world.status(run_id) == "cancelled"


async def test_a_call_that_is_being_prepared_was_before_the_cancel(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    async with world.transaction() as preparing:
        lease = (held.lease.step_id, held.lease.attempt, held.lease.token)
        await preparing.database.pool.fetchval("SELECT engine.hold_lease($1, $2, $3)", *lease)
        cancelling = await world.blocked(cancel_run(world.engine, world.ada, run_id))
        await prepared(preparing, held)
    await cancelling
    # The audit after the test holds that the call was prepared before the request to stop.
    assert [call["status"] for call in await world.calls(run_id)] == ["prepared"]


async def test_once_the_cancel_has_begun_nothing_more_is_prepared(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    async with world.transaction() as cancelling:
        await cancelling.database.pool.fetchval("SELECT engine.cancel($1, $2, NULL)", run_id, world.ada.user_id)
        preparing = await world.blocked(prepared(world, held))
    with pytest.raises(CancelRequested):
        await preparing
    assert await world.calls(run_id) == []


async def test_a_cancelled_run_withdraws_its_questions(world: World) -> None:
    await world.rules(HOLD_NOOP)
    run_id = await world.run(await world.workflow(ONE_STEP))

    async def waits() -> bool:
        return await statuses(world, run_id) == {"only": "waiting"}

    await world.work(waits)
    await cancel_run(world.engine, world.ada, run_id)
    approval = await world.database.pool.fetchrow("SELECT id, status FROM approvals")
    (call,) = await world.calls(run_id)
    assert (approval["status"], call["status"], await world.status(run_id)) == ("withdrawn", "denied", "cancelled")
    with pytest.raises(ApprovalClosed):
        await answer_approval(world.engine, world.ben, approval["id"], approve=True, comment=None)


async def test_a_step_that_was_about_to_wait_is_cancelled_instead(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    (asked,) = await prepared(world, held, proposal(outcome="require_approval"))
    await cancel_run(world.engine, world.ada, run_id)
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == "withdrawn"
    await wait_for_approvals(world.engine, held, [UUID(asked["approval_id"])])
    assert (await world.status(run_id), (await world.calls(run_id))[0]["status"]) == ("cancelled", "denied")


async def test_the_heartbeat_tells_a_working_step_to_stop(world: World) -> None:
    async with listening() as sink:
        sink.open.clear()
        world.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        quick = world.with_lease(seconds=1.5)
        run_id = await world.run(await world.workflow(SLOW))
        working = asyncio.create_task(quick.work_until(run_id))
        await sink.reached.wait()
        await cancel_run(world.engine, world.ada, run_id)
        await working
    (call,) = await world.calls(run_id)
    assert (await world.status(run_id), call["status"], call["cost_micros"]) == ("cancelled", "unknown", 5)


async def test_a_cancel_does_not_interrupt_an_end_that_is_being_written(world: World) -> None:
    seen = "SELECT max(seen_at) FROM worker_sessions"
    async with listening() as sink:
        sink.open.clear()
        world.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        run_id = await world.run(await world.workflow(SLOW + "output: ${{ run.id }}\n"))
        working = asyncio.create_task(world.with_lease(seconds=3).work_until(run_id))
        await sink.reached.wait()
        async with world.transaction() as other:
            await other.database.pool.execute("SELECT 1 FROM runs FOR UPDATE")
            sink.open.set()
            await world.reaches(world.someone_waits)
            # The worker waits to write the end. A heartbeat tells it meanwhile that it was asked to stop.
            before = await world.database.pool.fetchval(seen)
            await world.sql("UPDATE steps SET cancel_requested = true")
            await world.reaches(lambda: newer(world, seen, before))
        await working
    step = (await world.steps(run_id))["only"]
    assert (step["status"], step["crashes"]) == ("succeeded", 0)


async def newer(world: World, query: str, before: object) -> bool:
    return bool(await world.database.pool.fetchval(f"SELECT ({query}) > $1", before))


async def test_repeating_a_cancel_changes_nothing(world: World) -> None:
    run_id = await world.run(await world.workflow(THREE))
    await world.claims(await world.worker())
    await cancel_run(world.engine, world.ada, run_id)
    before = await world.row(run_id)
    await cancel_run(world.engine, world.ben, run_id)
    assert await world.row(run_id) == before
    await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")
    await reap(world.engine)
    ended = await world.row(run_id)
    await cancel_run(world.engine, world.ada, run_id)
    assert (await world.row(run_id), ended["status"]) == (ended, "cancelled")
    assert (await world.kinds(run_id)).count("run.cancelling") == 1
    assert await world.database.pool.fetchval("SELECT count(*) FROM audit WHERE action = 'run.cancel'") == 1


async def test_an_effect_that_nobody_knows_about_is_let_go_by_a_second_cancel(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    await prepared(world, held, proposal(effect_class="unsafe"))
    await cancel_run(world.engine, world.ada, run_id)
    await end_attempt(world.engine, worker, Ended(held, StepStatus.FAILED), claim=0)
    assert (await world.status(run_id), await statuses(world, run_id)) == ("cancelling", {"only": "uncertain"})
    assert (await sweep(world.engine, ("run",))).repaired == 0
    asked = await world.row(run_id)
    await cancel_run(world.engine, world.ben, run_id)
    assert (await world.status(run_id), (await world.calls(run_id))[0]["status"]) == ("cancelled", "unknown")
    ended = await world.row(run_id)
    assert (ended["cancelled_by"], ended["cancel_requested_at"]) == (world.ada.user_id, asked["cancel_requested_at"])
    assert (await world.kinds(run_id)).count("run.cancelling") == 1


async def test_only_members_cancel(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    with pytest.raises(NotFound):
        await cancel_run(world.engine, world.eve, run_id)
    assert await world.status(run_id) == "running"


async def test_a_run_that_takes_too_long_is_stopped_by_the_sweep(world: World) -> None:
    run_id = await world.run(await world.workflow(HURRIED))
    assert await cancel_overdue(world.engine, 9) == 0
    await world.sql("UPDATE runs SET deadline_at = clock_timestamp()")
    assert (await sweep(world.engine, ("run",))).overdue == 1
    run = await world.row(run_id)
    assert (run["status"], run["error"]["code"], run["cancelled_by"]) == ("cancelled", "timeout", None)
    line = await world.database.pool.fetchrow("SELECT actor, detail FROM audit WHERE action = 'run.cancel'")
    assert (line["actor"], line["detail"]["code"]) == ("system", "timeout")
