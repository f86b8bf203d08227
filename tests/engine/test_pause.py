"""T_PAUSE and T_RESUME: a run stands still where it is, loses nothing, and goes on from there."""

from uuid import UUID

import pytest

from sparkops.core.errors import NotFound
from sparkops.core.ids import new_id
from sparkops.engine.answer import answer_approval
from sparkops.engine.cancel import cancel_overdue, cancel_run
from sparkops.engine.claim import claim
from sparkops.engine.pause import NotPausable, NotResumable, pause_run, resume_run
from sparkops.engine.sweep import sweep
from tests.engine.acts import HOLD_NOOP, ONE_STEP, Hands, fail, hands, prepared, proposal, succeed
from tests.engine.conftest import World
from tests.engine.test_cancel import THREE, statuses

PAIR = """
version: 1
name: pair
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: noop, needs: [a]}
"""
CHECKED = """
version: 1
name: checked
timeout: 1h
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: noop, needs: [a], if: "${{ steps.a.output.n > 1 }}"}
output: ${{ steps.a.output.n }}
"""

CALLER = """
version: 1
name: caller
steps:
  - {id: sub, type: workflow, workflow: pair}
"""


async def held(world: World, run_id: UUID) -> set[str]:
    return {key for key, step in (await world.steps(run_id)).items() if step["held"] and not step["finished_at"]}


async def test_nothing_of_a_paused_run_is_claimed_and_what_runs_goes_on(world: World) -> None:
    run_id = await world.run(await world.workflow(THREE))
    worker = await world.worker()
    (running,) = await world.claims(worker)
    await pause_run(world.engine, world.ada, run_id)
    assert (await world.status(run_id), await held(world, run_id)) == ("paused", {"a", "b", "c"})
    assert await world.claims(worker, 9) == []
    await prepared(world, running)
    await succeed(world, worker, running, take=5)
    assert (await statuses(world, run_id))[running.key] == "succeeded"
    await resume_run(world.engine, world.ada, run_id)
    assert (await world.status(run_id), await held(world, run_id)) == ("running", set())
    assert len(await world.claims(worker, 9)) == 1
    kinds = await world.kinds(run_id)
    assert [kind for kind in kinds if kind.startswith("run.")][2:] == ["run.paused", "run.resumed"]


@pytest.mark.parametrize("source", [PAIR, CHECKED])
async def test_what_follows_a_step_that_ends_in_a_paused_run_is_held_too(world: World, source: str) -> None:
    run_id = await world.run(await world.workflow(source))
    worker, first = await world.claimed(run_id)
    await pause_run(world.engine, world.ada, run_id)
    done = await succeed(world, worker, first, {"n": 2}, take=5)
    assert (done.claims, await statuses(world, run_id)) == ([], {"a": "succeeded", "b": "ready"})
    assert await world.claims(worker, 9) == []
    await resume_run(world.engine, world.ada, run_id)
    (second,) = await world.claims(worker, 9)
    await succeed(world, worker, second)
    assert await world.status(run_id) == "succeeded"


@pytest.mark.parametrize("source", [PAIR, CHECKED])
async def test_a_paused_run_ends_when_it_is_resumed_not_before(world: World, source: str) -> None:
    run_id = await world.run(await world.workflow(source))
    worker, first = await world.claimed(run_id)
    await pause_run(world.engine, world.ada, run_id)
    await fail(world, worker, first)
    await sweep(world.engine, ("run",))
    assert await world.status(run_id) == "paused"
    await resume_run(world.engine, world.ada, run_id)
    assert await world.status(run_id) == "failed"


async def test_a_last_step_that_succeeds_while_paused_leaves_the_end_to_the_resume(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, only = await world.claimed(run_id)
    await pause_run(world.engine, world.ada, run_id)
    await succeed(world, worker, only, {"n": 1})
    assert await world.status(run_id) == "paused"
    await resume_run(world.engine, world.ben, run_id)
    run = await world.row(run_id)
    assert (run["status"], run["output"]) == ("succeeded", {"only": {"n": 1}})


async def test_an_answer_that_comes_during_a_pause_is_kept(world: World) -> None:
    await world.rules(HOLD_NOOP)
    run_id = await world.run(await world.workflow(ONE_STEP))

    async def waits() -> bool:
        return await statuses(world, run_id) == {"only": "waiting"}

    await world.work(waits)
    await pause_run(world.engine, world.ada, run_id)
    approval = await world.database.pool.fetchval("SELECT id FROM approvals")
    await answer_approval(world.engine, world.ben, approval, approve=True, comment=None)
    assert (await statuses(world, run_id), await world.claims(await world.worker(), 9)) == ({"only": "ready"}, [])
    await resume_run(world.engine, world.ada, run_id)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_an_uncertain_step_calls_for_a_person_only_after_the_resume(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, only = await world.claimed(run_id)
    await prepared(world, only, proposal(effect_class="unsafe"))
    await pause_run(world.engine, world.ada, run_id)
    await fail(world, worker, only)
    assert (await world.status(run_id), await statuses(world, run_id)) == ("paused", {"only": "uncertain"})
    await resume_run(world.engine, world.ada, run_id)
    assert await world.status(run_id) == "attention"
    with pytest.raises(NotPausable, match="uncertain"):
        await pause_run(world.engine, world.ada, run_id)


async def test_repeating_a_pause_or_a_resume_changes_nothing(world: World) -> None:
    run_id = await world.run(await world.workflow(THREE))
    await pause_run(world.engine, world.ada, run_id)
    before = await world.row(run_id)
    await pause_run(world.engine, world.ben, run_id)
    assert (await world.row(run_id), before["paused_by"]) == (before, world.ada.user_id)
    await resume_run(world.engine, world.ada, run_id)
    after = await world.row(run_id)
    await resume_run(world.engine, world.ada, run_id)
    assert (await world.row(run_id), after["paused_at"], after["paused_by"]) == (after, None, None)
    lines = await world.database.pool.fetch("SELECT actor, action FROM audit WHERE action LIKE 'run.%' ORDER BY id")
    ada = f"user:{world.ada.user_id}"
    assert [tuple(line) for line in lines][1:] == [(ada, "run.pause"), (ada, "run.resume")]


async def test_a_paused_run_can_be_cancelled(world: World) -> None:
    run_id = await world.run(await world.workflow(THREE))
    worker = await world.worker()
    (running,) = await world.claims(worker)
    await pause_run(world.engine, world.ada, run_id)
    await cancel_run(world.engine, world.ada, run_id)
    assert (await world.status(run_id), await held(world, run_id)) == ("cancelling", set())
    with pytest.raises(NotPausable, match="cancelled"):
        await pause_run(world.engine, world.ada, run_id)
    await succeed(world, worker, running)
    assert await world.status(run_id) == "cancelled"
    for act, refusal in ((pause_run, NotPausable), (resume_run, NotResumable)):
        with pytest.raises(refusal, match="ended"):
            await act(world.engine, world.ada, run_id)


async def test_a_pause_waits_for_a_cancel_that_is_being_written_and_says_that_it_came_too_late(world: World) -> None:
    run_id = await world.run(await world.workflow(THREE))
    await world.claims(await world.worker())
    async with world.transaction() as other:
        await cancel_run(other, world.ada, run_id)
        pausing = await world.blocked(pause_run(world.engine, world.ada, run_id))
    with pytest.raises(NotPausable, match="cancelled"):
        await pausing
    assert await world.status(run_id) == "cancelling"


async def test_only_members_pause_and_resume(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    for act in (pause_run, resume_run):
        with pytest.raises(NotFound):
            await act(world.engine, world.eve, run_id)
    assert await world.status(run_id) == "running"


async def test_the_time_of_a_pause_does_not_count_against_the_run(world: World) -> None:
    run_id = await world.run(await world.workflow(CHECKED))
    await pause_run(world.engine, world.ada, run_id)
    await world.sql("UPDATE runs SET deadline_at = clock_timestamp(), paused_at = paused_at - interval '1 hour'")
    assert await cancel_overdue(world.engine, 9) == 0
    await resume_run(world.engine, world.ada, run_id)
    assert await cancel_overdue(world.engine, 9) == 0
    left = await world.database.pool.fetchval("SELECT deadline_at - clock_timestamp() FROM runs")
    assert 3500 < left.total_seconds() < 3700


_COPY = """
INSERT INTO steps (id, run_id, project_id, node_key, path, type, position, effect_class, status, held)
SELECT $2, run_id, project_id, 'inner', 'a[0].inner', type, position, effect_class, 'pending', held
  FROM steps WHERE id = $1
"""


async def test_a_pause_waits_for_a_step_that_adds_rows_and_holds_those_too(world: World) -> None:
    run_id = await world.run(await world.workflow(PAIR))
    _, first = await world.claimed(run_id)
    async with world.transaction() as other:
        await prepared(other, first)  # holds the lease's row, as an expansion does
        await other.database.pool.execute(_COPY, first.lease.step_id, new_id())
        pausing = await world.blocked(pause_run(world.engine, world.ada, run_id))
    await pausing
    assert await held(world, run_id) == {"a", "b", "inner"}
    await cancel_run(world.engine, world.ada, run_id)


async def test_rows_added_after_a_pause_inherit_that_they_are_held(world: World) -> None:
    run_id = await world.run(await world.workflow(PAIR))
    _, first = await world.claimed(run_id)
    async with world.transaction() as other:
        await pause_run(other, world.ada, run_id)
        adding = await world.blocked(prepared(world, first))
    await adding
    await world.sql(_COPY, first.lease.step_id, new_id())
    assert await held(world, run_id) == {"a", "b", "inner"}
    async with world.transaction() as other:
        await resume_run(other, world.ada, run_id)
    assert await held(world, run_id) == set()
    await cancel_run(world.engine, world.ada, run_id)


async def test_a_pause_waits_for_an_end_that_is_being_written_and_holds_what_follows(world: World) -> None:
    run_id = await world.run(await world.workflow(PAIR))
    worker, first = await world.claimed(run_id)
    async with world.transaction() as other:
        await succeed(other, worker, first)
        pausing = await world.blocked(pause_run(world.engine, world.ada, run_id))
    await pausing
    assert (await statuses(world, run_id), await held(world, run_id)) == ({"a": "succeeded", "b": "ready"}, {"b"})


async def test_an_end_that_waits_for_a_pause_takes_nothing_of_the_run(world: World) -> None:
    run_id = await world.run(await world.workflow(PAIR))
    worker, first = await world.claimed(run_id)
    async with world.transaction() as other:
        await pause_run(other, world.ada, run_id)
        ending = await world.blocked(succeed(world, worker, first, take=3))
    assert ((await ending).claims, await statuses(world, run_id)) == ([], {"a": "succeeded", "b": "ready"})


async def test_a_step_that_is_being_claimed_is_waited_for_and_goes_on(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker = await world.worker()
    async with world.transaction() as other:
        (taken,) = await claim(other, worker, limit=1)
        pausing = await world.blocked(pause_run(world.engine, world.ada, run_id))
    await pausing
    await succeed(world, worker, taken)
    assert (await world.status(run_id), await statuses(world, run_id)) == ("paused", {"only": "succeeded"})


async def test_a_claim_passes_over_a_step_that_is_being_held(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker = await world.worker()
    async with world.transaction() as other:
        await pause_run(other, world.ada, run_id)
        assert await world.claims(worker, 5) == []
    assert await world.claims(worker, 5) == []


async def with_child(world: World) -> tuple[UUID, UUID, Hands]:
    """A run that waits for the run of its sub-workflow, and that one; its step is ready."""
    await world.workflow(PAIR)
    run_id = await world.run(await world.workflow(CALLER))
    hand = await hands(world, run_id)
    await hand.take()
    await hand.attempt("sub")
    return run_id, (await world.steps(run_id))["sub"]["child_run_id"], hand


async def test_the_runs_below_a_paused_run_stand_still_and_go_on_with_it(world: World) -> None:
    run_id, child, hand = await with_child(world)
    await pause_run(world.engine, world.ada, run_id)
    assert (await world.status(child), await hand.take()) == ("paused", set())
    with pytest.raises(NotResumable, match="above"):
        await resume_run(world.engine, world.ada, child)
    await resume_run(world.engine, world.ada, run_id)
    assert (await world.status(run_id), await world.status(child)) == ("running", "running")
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_a_run_that_people_let_begin_below_a_paused_run_stands_still_and_goes_on_with_it(world: World) -> None:
    await world.rules({"name": "ask", "on": ["run.create"], "workflows": ["pair"], "effect": "require_approval"})
    run_id, child, hand = await with_child(world)
    await pause_run(world.engine, world.ada, run_id)
    assert await world.status(child) == "awaiting_approval"
    asked = await world.database.pool.fetchval("SELECT id FROM approvals WHERE status = 'pending'")
    await answer_approval(world.engine, world.ben, asked, approve=True, comment=None)
    await sweep(world.engine, ("run",))
    row = await world.row(child)
    assert (row["status"], row["paused_by"], row["started_at"]) == ("paused", world.ada.user_id, None)
    assert await hand.take() == set()
    assert (await world.kinds(child))[-2:] == ["run.queued", "run.paused"]
    with pytest.raises(NotResumable, match="above"):
        await resume_run(world.engine, world.ada, child)
    await resume_run(world.engine, world.ada, run_id)
    assert (await world.status(run_id), await world.status(child)) == ("running", "running")
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_a_run_that_is_let_go_while_its_parent_is_being_paused_is_paused_with_it(world: World) -> None:
    await world.rules({"name": "ask", "on": ["run.create"], "workflows": ["pair"], "effect": "require_approval"})
    run_id, child, _ = await with_child(world)
    asked = await world.database.pool.fetchval("SELECT id FROM approvals WHERE status = 'pending'")
    async with world.transaction() as other:
        await answer_approval(other, world.ben, asked, approve=True, comment=None)
        pausing = await world.blocked(pause_run(world.engine, world.ada, run_id))
    await pausing
    assert (await world.status(run_id), await world.status(child)) == ("paused", "paused")
    await resume_run(world.engine, world.ada, run_id)
    assert await world.status(child) == "running"


async def test_a_run_that_is_started_while_its_parent_is_being_paused_is_paused_by_the_sweep(world: World) -> None:
    await world.workflow(PAIR)
    run_id = await world.run(await world.workflow(CALLER))
    hand = await hands(world, run_id)
    await hand.take()
    await pause_run(world.engine, world.ada, run_id)
    await hand.attempt("sub")
    child = (await world.steps(run_id))["sub"]["child_run_id"]
    assert await world.status(child) == "running"
    await sweep(world.engine, ("run",))
    assert await world.status(child) == "paused"
    await resume_run(world.engine, world.ada, run_id)
    assert await world.status(child) == "running"
