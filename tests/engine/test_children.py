"""Sub-workflows: one run for a step, its end wakes the step, its cost counts above, a cancel reaches it."""

from typing import Any
from uuid import UUID

import pytest

from sparkops.core.errors import Invalid
from sparkops.engine.cancel import cancel_run
from sparkops.engine.children import MAX_DEPTH, TooDeep, accept_child, child_of
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine, Worker
from sparkops.engine.errors import CancelRequested, Fenced
from sparkops.engine.sweep import sweep
from sparkops.engine.wait import wait_for_child
from tests.engine.acts import ONE_STEP, fail, prepared, proposal, recorded, result, succeed
from tests.engine.conftest import World

CHILD = """
version: 1
name: child
input: {type: object, properties: {n: {type: integer}}, required: [n], additionalProperties: false}
steps:
  - {id: work, type: tool, tool: noop}
"""


class Family:
    """A parent step in a worker's hands, and the workflow that it starts."""

    def __init__(self, world: World, worker: Worker, held: Claim, version_id: UUID) -> None:
        self.world, self.worker, self.held, self.version_id = world, worker, held, version_id

    async def accept(self, engine: Engine | None = None, claim: Claim | None = None, **inputs: Any) -> UUID:
        return await accept_child(engine or self.world.engine, claim or self.held, self.version_id, inputs or {"n": 1})

    async def parent(self) -> str:
        return str((await self.world.steps(self.held.run_id))[self.held.key]["status"])

    async def child_work(self, run_id: UUID) -> Claim:
        (held,) = await self.world.claims(self.worker)
        assert held.run_id == run_id
        return held


async def family(world: World, **request: Any) -> Family:
    name = await world.workflow(CHILD)
    version_id = await world.database.pool.fetchval(
        "SELECT v.id FROM workflow_versions v JOIN workflows w ON w.id = v.workflow_id WHERE w.name = $1", name
    )
    run_id = await world.run(await world.workflow(ONE_STEP), **request)
    worker, held = await world.claimed(run_id)
    return Family(world, worker, held, version_id)


async def test_a_step_has_one_run_however_often_it_is_attempted(world: World) -> None:
    home = await family(world)
    first = await home.accept()
    await world.lapse(home.held.lease.step_id)
    await sweep(world.engine, ("run",))
    (again,) = [held for held in await world.claims(home.worker, 5) if held.run_id == home.held.run_id]
    assert await home.accept(claim=again) == first
    with pytest.raises(Fenced):
        await home.accept()
    row = await world.row(first)
    assert (row["parent_run_id"], row["parent_step_id"]) == (home.held.run_id, home.held.lease.step_id)
    assert (row["lineage"], row["created_by"]) == ([home.held.run_id], world.ada.user_id)
    assert (await world.steps(home.held.run_id))["only"]["child_run_id"] == first


async def test_the_input_of_a_sub_workflow_is_checked(world: World) -> None:
    home = await family(world)
    with pytest.raises(Invalid):
        await home.accept(n="one")
    assert await child_of(world.engine, home.held.lease.step_id) is None


async def test_a_sub_workflow_ten_deep_starts_no_other(world: World) -> None:
    home = await family(world)
    await world.sql(
        "UPDATE runs SET lineage = array_fill(id, ARRAY[$2::int]) WHERE id = $1", home.held.run_id, MAX_DEPTH
    )
    with pytest.raises(TooDeep):
        await home.accept()
    await world.sql("UPDATE runs SET lineage = '{}' WHERE id = $1", home.held.run_id)


async def test_the_end_of_the_run_wakes_the_step(world: World) -> None:
    home = await family(world)
    child = await home.accept()
    assert (await wait_for_child(world.engine, home.held)).status == "waiting"
    held = await home.child_work(child)
    await succeed(world, home.worker, held, {"n": 2})
    assert await home.parent() == "ready"
    found = await child_of(world.engine, home.held.lease.step_id)
    assert found is not None
    assert (found.status, found.output) == ("succeeded", {"work": {"n": 2}})


async def test_a_failed_run_wakes_the_step_too(world: World) -> None:
    home = await family(world)
    child = await home.accept()
    await wait_for_child(world.engine, home.held)
    await fail(world, home.worker, await home.child_work(child))
    assert await home.parent() == "ready"


async def test_a_run_that_ends_before_the_step_waits_is_not_waited_for(world: World) -> None:
    home = await family(world)
    child = await home.accept()
    await succeed(world, home.worker, await home.child_work(child))
    assert (await wait_for_child(world.engine, home.held)).status == "there"


async def test_a_run_that_is_ending_while_the_step_parks_wakes_it(world: World) -> None:
    home = await family(world)
    child = await home.accept()
    held = await home.child_work(child)
    async with world.transaction() as parking:
        await wait_for_child(parking, home.held)
        ending = await world.blocked(succeed(world, home.worker, held))
    await ending
    assert await home.parent() == "ready"


async def test_the_sweep_wakes_what_nobody_woke(world: World) -> None:
    home = await family(world)
    child = await home.accept()
    await wait_for_child(world.engine, home.held)
    await succeed(world, home.worker, await home.child_work(child))
    await world.sql(
        "UPDATE steps SET status = 'running', claim_token = gen_random_uuid(), lease_expires_at = clock_timestamp()"
        " WHERE id = $1",
        home.held.lease.step_id,
    )
    await world.sql(
        "UPDATE steps SET status = 'waiting', waiting_for = '{\"kind\": \"run\"}', claim_token = NULL,"
        " lease_expires_at = NULL WHERE id = $1",
        home.held.lease.step_id,
    )
    await sweep(world.engine, ("run",))
    assert await home.parent() == "ready"


async def test_cancelling_the_parent_cancels_the_runs_below(world: World) -> None:
    home = await family(world)
    child = await home.accept()
    await wait_for_child(world.engine, home.held)
    held = await home.child_work(child)
    await cancel_run(world.engine, world.ada, home.held.run_id)
    assert (await world.status(home.held.run_id), await world.status(child)) == ("cancelled", "cancelling")
    with pytest.raises(CancelRequested):
        await prepared(world, held)
    await succeed(world, home.worker, held)
    assert await world.status(child) == "cancelled"


async def test_a_run_is_not_started_below_one_that_is_being_cancelled(world: World) -> None:
    home = await family(world)
    await cancel_run(world.engine, world.ada, home.held.run_id)
    with pytest.raises(CancelRequested):
        await home.accept()


async def test_a_run_that_is_being_started_while_its_parent_is_cancelled_is_cancelled(world: World) -> None:
    home = await family(world)
    async with world.transaction() as starting:
        child = await home.accept(starting)
        cancelling = await world.blocked(cancel_run(world.engine, world.ada, home.held.run_id))
    await cancelling
    assert await world.status(child) == "cancelled"


async def test_the_sweep_cancels_a_run_whose_step_has_ended(world: World) -> None:
    home = await family(world)
    child = await home.accept()
    await fail(world, home.worker, home.held)
    assert (await world.status(home.held.run_id), await world.status(child)) == ("failed", "running")
    await sweep(world.engine, ("run",))
    assert await world.status(child) == "cancelled"
    assert (await world.row(child))["error"]["code"] == "parent-ended"


async def spent(world: World, run_id: UUID) -> tuple[int, int]:
    row = await world.database.pool.fetchrow(
        "SELECT spent_micros, reserved_micros FROM budgets WHERE scope_id = $1", run_id
    )
    return row["spent_micros"], row["reserved_micros"]


async def test_what_a_run_spends_counts_for_the_runs_above_it(world: World) -> None:
    home = await family(world, budget_micros=100)
    child = await home.accept()
    await wait_for_child(world.engine, home.held)
    held = await home.child_work(child)
    (sent,) = await prepared(world, held, proposal(bound_micros=60))
    assert (await spent(world, child), await spent(world, home.held.run_id)) == ((0, 60), (0, 60))
    await recorded(world, held, result(sent["call_id"], cost=50))
    assert (await spent(world, child), await spent(world, home.held.run_id)) == ((50, 0), (50, 0))
    (refused,) = await prepared(world, held, proposal(2, bound_micros=60))
    assert refused["error"]["code"] == "budget-exceeded"
    assert await spent(world, child) == (50, 0), "it fitted there, and is held nowhere"
