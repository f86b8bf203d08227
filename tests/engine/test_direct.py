"""Database functions met directly, where no caller of today would get past what stands before them."""

from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sparkops.core.ids import new_id
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.answer import answer_approval
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import claim, claim_isolated
from sparkops.engine.complete import Ended, complete
from sparkops.engine.context import call
from sparkops.engine.errors import CancelRequested, NonDeterministic, WrongEpoch
from sparkops.engine.give_back import reap, release_session
from sparkops.engine.pause import pause_run
from sparkops.engine.sweep import sweep
from sparkops.engine.wait import ask, wait_for_approvals
from tests.engine.acts import ONE_STEP, prepared, proposal, recorded, result
from tests.engine.conftest import World

JOIN = """
version: 1
name: join
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: noop}
  - {id: c, type: tool, tool: noop, needs: [a, b]}
"""
CONDITION = """
version: 1
name: condition
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: noop, needs: [a], if: "${{ false }}"}
"""
QUESTION = {"title": "?", "request": {}, "request_hash": "h", "seconds": 60}


async def one(world: World) -> tuple[UUID, UUID]:
    """A run and its only step, which is ready."""
    run_id = await world.run(await world.workflow(ONE_STEP))
    return run_id, (await world.steps(run_id))["only"]["id"]


async def apply(world: World, run_id: UUID, **command: str) -> list[object]:
    applied = await call(world.database.pool, "apply", run_id, [command])
    await call(world.database.pool, "emit", applied["events"])
    return list(applied["events"])


async def test_a_command_for_a_step_that_is_not_pending_any_more_changes_nothing(world: World) -> None:
    run_id, step_id = await one(world)
    assert await apply(world, run_id, op="skip", key="only", reason="late") == []
    assert (await call(world.database.pool, "hand_over", [step_id]))["ready"] == []


async def test_a_command_for_a_run_that_has_ended_or_stands_there_already_changes_nothing(world: World) -> None:
    run_id, _ = await one(world)
    assert len(await apply(world, run_id, op="attention")) == 1
    assert await apply(world, run_id, op="attention") == []
    await cancel_run(world.engine, world.ada, run_id)
    assert await apply(world, run_id, op="finish", status="failed") == []


async def test_a_run_that_is_held_back_does_not_end(world: World) -> None:
    run_id, _ = await one(world)
    await world.sql("UPDATE runs SET status = 'paused'")
    await world.sql("UPDATE steps SET status = 'cancelled', held = true, finished_at = clock_timestamp()")
    assert await call(world.database.pool, "end_runs", [run_id]) == {"parents": [], "left": [], "events": []}
    assert await world.status(run_id) == "paused"


async def test_a_run_with_effects_to_take_back_does_not_end_before(world: World) -> None:
    run_id, _ = await one(world)
    await world.sql("UPDATE runs SET has_undo = true")
    async with world.transaction(commit=False) as held:
        answer = await call(held.database.pool, "cancel", run_id, world.ada.user_id, None)
        assert (answer["status"], answer["parents"]) == ("cancelling", []), "its effects are taken back first"


async def test_of_two_ends_that_meet_at_a_join_the_second_sees_the_first(world: World) -> None:
    run_id = await world.run(await world.workflow(JOIN))
    worker = await world.worker()
    ends = [Ended(held, StepStatus.SUCCEEDED) for held in await world.claims(worker, 2)]
    async with world.transaction() as first:
        await complete(first, worker, ends[:1], claim=0)
        second = await world.blocked(complete(world.engine, worker, ends[1:], claim=0))
    await second
    assert (await world.steps(run_id))["c"]["status"] == "ready"


async def test_an_end_waits_for_who_holds_a_step_before_it_locks_what_both_spend(world: World) -> None:
    run_id = await world.run(await world.workflow(JOIN), budget_micros=100)
    late, worker = await world.worker(), await world.worker()
    held = {each.key: each for each in await world.claims(late, 2)}
    sent = {key: (await prepared(world, each, proposal(bound_micros=10)))[0]["call_id"] for key, each in held.items()}
    await world.lapse(held["b"].lease.step_id)
    await reap(world.engine)
    (again,) = await world.claims(worker, 1)
    ends = [Ended(held[key], StepStatus.SUCCEEDED, results=[result(sent[key], cost=1)]) for key in "ab"]
    async with world.transaction() as preparing:
        await preparing.database.pool.fetchval("SELECT 1 FROM steps WHERE id = $1 FOR UPDATE", again.lease.step_id)
        ending = await world.blocked(complete(world.engine, late, ends, claim=0))
        await preparing.database.pool.fetchval("SELECT engine.lock_budgets($1)", [UUID(sent["b"])])
    assert (await ending).closed == {held["a"].lease.step_id}
    assert (await world.steps(run_id))["b"]["attempt"] == 2


async def test_a_step_that_somebody_holds_is_not_taken(world: World) -> None:
    run_id, step_id = await one(world)
    worker, held = await world.claimed(run_id)
    taken = await call(world.database.pool, "take", [step_id], 1, worker.session_id, world.engine.lease)
    assert taken == {"claims": [], "events": []}
    assert (await world.steps(run_id))["only"]["claim_token"] == held.lease.token


async def test_a_step_that_is_held_back_is_not_taken(world: World) -> None:
    run_id, step_id = await one(world)
    await pause_run(world.engine, world.ada, run_id)
    worker = await world.worker()
    assert (await call(world.database.pool, "take", [step_id], 1, worker.session_id, world.engine.lease))[
        "claims"
    ] == []
    assert await world.claims(worker) == []
    assert (await world.steps(run_id))["only"]["status"] == "ready"


@pytest.mark.parametrize("take", [partial(claim, limit=1), partial(claim_isolated, limit=1, empty=True)])
async def test_no_kind_of_claim_counts_in_another_epoch(world: World, take: Any) -> None:
    await one(world)
    with pytest.raises(WrongEpoch):
        await take(world.engine, replace(await world.worker(), epoch=new_id()))


async def test_only_a_step_that_waits_is_woken(world: World) -> None:
    run_id, _ = await one(world)
    await world.claimed(run_id)
    assert await world.database.pool.fetchval("SELECT engine.wake(s) FROM steps s") == []
    assert (await world.steps(run_id))["only"]["status"] == "running"


async def test_a_worker_records_nothing_for_the_step_of_another(world: World) -> None:
    run_id = await world.run(await world.workflow(JOIN))
    mine, other = await world.claims(await world.worker(), 2)
    (verdict,) = await prepared(world, other, proposal())
    with pytest.raises(asyncpg.PostgresError):
        await recorded(world, mine, result(verdict["call_id"]))
    assert [row["status"] for row in await world.calls(run_id)] == ["prepared"]


async def test_a_superseded_holder_does_not_record_what_its_calls_came_to(world: World) -> None:
    run_id, step_id = await one(world)
    worker, held = await world.claimed(run_id)
    (verdict,) = await prepared(world, held, proposal())
    await world.lapse(step_id)
    await reap(world.engine)
    await world.claimed(run_id)
    end = Ended(held, StepStatus.SUCCEEDED, results=[result(verdict["call_id"])])
    assert (await complete(world.engine, worker, [end], claim=0)).closed == frozenset()
    assert [row["status"] for row in await world.calls(run_id)] == ["prepared"]


async def test_a_session_that_ends_gives_back_what_it_holds_and_not_what_it_has_finished(world: World) -> None:
    run_id = await world.run(await world.workflow(JOIN))
    worker = await world.worker()
    finished, _ = await world.claims(worker, 2)
    await complete(world.engine, worker, [Ended(finished, StepStatus.SUCCEEDED)], claim=0)
    assert await release_session(world.engine, worker.session_id, crashed=True) == 1
    statuses = {key: step["status"] for key, step in (await world.steps(run_id)).items()}
    assert statuses == {finished.key: "succeeded", "a" if finished.key == "b" else "b": "ready", "c": "pending"}


async def test_a_step_that_did_not_run_alone_is_not_given_up_whatever_it_is_allowed(world: World) -> None:
    run_id, _ = await one(world)
    await world.sql("UPDATE steps SET max_crashes = 1")
    for status in ("ready", "ready", "ready", "failed"):
        worker, _ = await world.claimed(run_id)
        await release_session(world.engine, worker.session_id, crashed=True)
        assert (await world.steps(run_id))["only"]["status"] == status


async def test_a_step_that_somebody_holds_does_not_keep_the_reaper_from_its_neighbour(world: World) -> None:
    run_id = await world.run(await world.workflow(JOIN))
    held, other = await world.claims(await world.worker(), 2)
    await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")
    async with world.transaction() as holder:
        await holder.database.pool.execute("SELECT 1 FROM steps WHERE id = $1 FOR UPDATE", held.lease.step_id)
        assert await reap(world.engine) == 1
    assert (await world.steps(run_id))[other.key]["status"] == "ready"


async def test_an_uncertain_step_keeps_its_open_question(world: World) -> None:
    run_id, _ = await one(world)
    worker, held = await world.claimed(run_id)
    await prepared(world, held, proposal(effect_class="unsafe"), proposal(2, outcome="require_approval"))
    await release_session(world.engine, worker.session_id, crashed=True)
    assert [row["status"] for row in await world.calls(run_id)] == ["unknown", "waiting_approval"]
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == "pending"


async def test_the_database_alone_starts_nothing_that_has_a_condition(world: World) -> None:
    run_id = await world.run(await world.workflow(CONDITION))
    worker, held = await world.claimed(run_id)
    await complete(world.engine, worker, [Ended(held, StepStatus.SUCCEEDED)], claim=1)
    assert (await world.steps(run_id))["b"]["status"] == "pending"
    await sweep(world.engine, ("run",))
    assert (await world.steps(run_id))["b"]["status"] == "skipped"


async def test_a_step_that_was_asked_to_stop_asks_nobody(world: World) -> None:
    run_id, _ = await one(world)
    _, held = await world.claimed(run_id)
    await cancel_run(world.engine, world.ada, run_id)
    with pytest.raises(CancelRequested):
        await ask(world.engine, held, {**QUESTION, "approval_id": str(held.lease.token)})


async def test_a_step_does_not_ask_something_else_than_before(world: World) -> None:
    run_id, _ = await one(world)
    _, held = await world.claimed(run_id)
    question = {**QUESTION, "approval_id": str(held.lease.token)}
    await ask(world.engine, held, question)
    with pytest.raises(NonDeterministic):
        await ask(world.engine, held, {**question, "request_hash": "other"})


async def test_a_question_that_was_withdrawn_while_another_expired_does_not_expire(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    runs = [await world.run(name), await world.run(name)]
    for held in await world.claims(await world.worker(), 2):
        await ask(world.engine, held, {**QUESTION, "approval_id": str(held.lease.token)})
        await wait_for_approvals(world.engine, held, [held.lease.token])
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
    first, second = sorted(runs)
    async with world.transaction() as other:
        await other.database.pool.execute("SELECT 1 FROM steps WHERE run_id = $1 FOR UPDATE", first)
        expiring = await world.blocked(call(world.database.pool, "expire_approvals", 9))
        await cancel_run(world.engine, world.ada, second)
    await expiring
    assert "approval.expired" in await world.kinds(first)
    assert "approval.expired" not in await world.kinds(second)


async def test_an_answer_waits_for_whoever_holds_the_run(world: World) -> None:
    run_id, _ = await one(world)
    _, held = await world.claimed(run_id)
    await ask(world.engine, held, {**QUESTION, "approval_id": str(held.lease.token)})
    async with world.transaction() as other:
        await other.database.pool.execute("SELECT 1 FROM runs WHERE id = $1 FOR NO KEY UPDATE", run_id)
        answering = await world.blocked(
            answer_approval(world.engine, world.ben, held.lease.token, approve=True, comment=None)
        )
    await answering


async def test_the_end_of_a_step_that_was_asked_to_stop_is_left_to_who_looks_at_the_whole_run(world: World) -> None:
    run_id = await world.run(await world.workflow(JOIN.replace("needs: [a, b]", "needs: [a]")))
    worker = await world.worker()
    held = next(each for each in await world.claims(worker, 2) if each.key == "a")
    await world.sql("UPDATE steps SET cancel_requested = true WHERE id = $1", held.lease.step_id)
    ended = Ended(held, StepStatus.SUCCEEDED, output=1)
    answer = await call(
        world.database.pool,
        "complete",
        *[[held.lease.step_id], [held.lease.attempt], [held.lease.token], [run_id]],
        *[[{"output": 1}], [ended.calls()], worker.session_id, world.engine.lease, 0],
    )
    assert (answer["closed"], answer["ready"], answer["left"]) == ([str(held.lease.step_id)], 0, [str(run_id)])
    assert (await world.steps(run_id))["c"]["status"] == "pending"
