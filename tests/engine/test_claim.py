"""T_CLAIM, T_HEARTBEAT and the fence: who may work on a step, and who no longer may."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from sparkops.core.ids import new_id
from sparkops.domains.identity.models import Membership
from sparkops.domains.projects.models import Project
from sparkops.engine.claim import Claim, claim, claim_isolated, heartbeat, isolated_steps_wait
from sparkops.engine.context import Worker
from sparkops.engine.errors import Fenced, WrongEpoch
from sparkops.engine.give_back import reap, release_session
from sparkops.engine.wait import ask, wait_for_approvals
from tests.engine.acts import ONE_STEP, fail, prepared, proposal, recorded, result, succeed
from tests.engine.conftest import World, person_of

FAN = """
version: 1
name: fan
steps:
""" + "".join(f"  - {{id: s{n}, type: tool, tool: noop}}\n" for n in range(8))


async def attempts(world: World, step_id: UUID) -> list[str | None]:
    rows = await world.database.pool.fetch(
        "SELECT outcome FROM step_attempts WHERE step_id = $1 ORDER BY attempt", step_id
    )
    return [row["outcome"] for row in rows]


async def second_project(world: World) -> World:
    project_id = new_id()
    async with world.database.sessions.begin() as session:
        await session.execute(insert(Project).values(id=project_id, slug="other", name="Other"))
        await session.execute(
            insert(Membership).values(project_id=project_id, user_id=world.ada.user_id, role="operator")
        )
    return replace(world, project_id=project_id, ada=person_of("ada", project_id, user_id=world.ada.user_id))


async def test_two_claimers_never_wait_for_each_other_nor_share_a_step(world: World) -> None:
    first = await world.run(await world.workflow(ONE_STEP))
    second = await world.run(await world.workflow(FAN))
    one, two = await world.worker(), await world.worker()
    async with world.transaction() as open_claim:
        (head,) = await claim(open_claim, one, limit=1)
        # Without SKIP LOCKED this would wait for the open transaction, and the lock timeout would end it.
        rest = await world.claims(two, 16)
    assert head.run_id == first
    assert ({each.run_id for each in rest}, len(rest)) == ({second}, 8)


async def test_a_claim_that_is_rolled_back_leaves_the_step_to_others(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    async with world.transaction(commit=False) as engine:
        assert await claim(engine, await world.worker(), limit=1)
    _, held = await world.claimed(run_id)
    assert held.lease.attempt == 1


async def test_one_projects_flood_does_not_delay_anothers_first_step(world: World) -> None:
    other = await second_project(world)
    flood = await world.workflow(FAN)
    for _ in range(3):
        await world.run(flood)
    late = await other.run(await other.workflow(ONE_STEP))
    claimed = await world.claims(await world.worker(), 2)
    assert late in {each.run_id for each in claimed}


async def test_a_step_is_not_claimed_before_its_time(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker = await world.worker()
    await world.sql("UPDATE steps SET not_before = clock_timestamp() + interval '1 hour' WHERE run_id = $1", run_id)
    assert await world.claims(worker) == []
    await world.sql("UPDATE steps SET not_before = clock_timestamp() WHERE run_id = $1", run_id)
    assert len(await world.claims(worker)) == 1


async def test_a_worker_of_another_epoch_gets_nothing(world: World) -> None:
    await world.run(await world.workflow(ONE_STEP))
    worker = await world.worker()
    with pytest.raises(WrongEpoch):
        await world.claims(Worker(worker.session_id, new_id(), worker.queues))


async def isolated(world: World, keys: Sequence[str], crashes: int) -> None:
    await world.sql("UPDATE steps SET isolate = true, crashes = $1 WHERE node_key = ANY ($2)", crashes, list(keys))


async def taken(world: World, limit: int, *, empty: bool) -> list[tuple[str, bool]]:
    claims = await claim_isolated(world.engine, await world.worker(), limit=limit, empty=empty)
    assert all(each.isolate for each in claims)
    return sorted((each.key, each.alone) for each in claims)


async def test_isolated_steps_are_taken_only_by_who_was_started_for_them(world: World) -> None:
    await world.run(await world.workflow(FAN))
    await isolated(world, ["s3", "s4"], 2)
    ordinary = await claim(world.engine, await world.worker(), limit=16)
    assert {each.key for each in ordinary} == {"s0", "s1", "s2", "s5", "s6", "s7"}
    assert await taken(world, 8, empty=True) == [("s3", False), ("s4", False)]
    assert await taken(world, 8, empty=True) == []


async def test_what_must_be_alone_is_taken_alone_and_only_by_a_process_that_holds_nothing(world: World) -> None:
    await world.run(await world.workflow(FAN))
    await isolated(world, ["s3", "s4"], 3)
    assert await taken(world, 8, empty=False) == []
    assert [len(await taken(world, 8, empty=True)) for _ in range(3)] == [1, 1, 0]


async def test_a_process_that_learned_nothing_of_its_claim_gets_nothing_beside_it(world: World) -> None:
    await world.run(await world.workflow(FAN))
    await isolated(world, ["s3", "s4"], 3)
    worker = await world.worker()
    assert [len(await claim_isolated(world.engine, worker, limit=8, empty=True)) for _ in range(2)] == [1, 0]


async def test_of_isolated_steps_the_first_in_line_decides_and_neither_kind_overtakes_the_other(world: World) -> None:
    await world.run(await world.workflow(FAN))
    await isolated(world, ["s0", "s1", "s3", "s4"], 2)
    await isolated(world, ["s2"], 3)
    await world.sql("UPDATE steps SET priority = right(node_key, 1)::int")
    assert await taken(world, 1, empty=False) == [("s0", False)]
    assert await taken(world, 8, empty=False) == [("s1", False)], "those behind the one that is to be alone wait"
    assert await taken(world, 8, empty=False) == [], "and the process is left to become empty"
    assert await taken(world, 8, empty=True) == [("s2", True)]
    assert await taken(world, 8, empty=False) == [("s3", False), ("s4", False)]


async def test_an_isolated_step_that_is_held_or_not_due_is_left_alone(world: World) -> None:
    await world.run(await world.workflow(ONE_STEP))
    worker = await world.worker()
    for state in ("held = true", "held = false, not_before = clock_timestamp() + interval '1 hour'"):
        await world.sql(f"UPDATE steps SET isolate = true, {state}")
        assert not await isolated_steps_wait(world.engine, worker)
        assert await claim_isolated(world.engine, worker, limit=8, empty=True) == []
    await world.sql("UPDATE steps SET not_before = clock_timestamp()")
    assert await isolated_steps_wait(world.engine, worker)


async def test_a_heartbeat_keeps_a_step_and_reports_one_that_is_lost(world: World) -> None:
    run_id = await world.run(await world.workflow(FAN))
    worker = await world.worker()
    kept, lost = await world.claims(worker, 2)
    await world.lapse(kept.lease.step_id)
    await world.lapse(lost.lease.step_id)
    await heartbeat(world.engine, worker, [kept.lease])
    assert await reap(world.engine) == 1
    answer = await heartbeat(world.engine, worker, [kept.lease, lost.lease])
    assert (answer.kept, answer.cancel) == (frozenset({kept.lease.step_id}), frozenset())
    await world.sql("UPDATE steps SET not_before = '-infinity' WHERE id = $1", lost.lease.step_id)
    (taken_over,) = await world.claims(await world.worker())
    assert taken_over.lease.step_id == lost.lease.step_id
    before = (await world.steps(run_id))[lost.key]
    answer = await heartbeat(world.engine, worker, [kept.lease, lost.lease])
    assert (answer.kept, (await world.steps(run_id))[lost.key]) == (frozenset({kept.lease.step_id}), before)


async def test_a_heartbeat_passes_over_a_locked_step_and_says_that_its_lease_did_not_grow(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    before = (await world.steps(run_id))["only"]["lease_expires_at"]
    async with world.transaction() as engine:
        await prepared(engine, held)
        answer = await heartbeat(world.engine, worker, [held.lease])
    assert (answer.kept, answer.extended) == (frozenset({held.lease.step_id}), frozenset())
    assert (await world.steps(run_id))["only"]["lease_expires_at"] == before
    answer = await heartbeat(world.engine, worker, [held.lease])
    assert answer.extended == {held.lease.step_id}
    assert (await world.steps(run_id))["only"]["lease_expires_at"] > before


async def test_a_lapsed_step_goes_to_another_attempt_with_what_was_recorded(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, first = await world.claimed(run_id)
    (verdict,) = await prepared(world, first)
    await recorded(world, first, result(verdict["call_id"]))
    assert await reap(world.engine) == 0
    await world.lapse(first.lease.step_id)
    assert await reap(world.engine) == 1
    _, second = await world.claimed(run_id)
    assert (second.lease.attempt, second.lease.token != first.lease.token) == (2, True)
    assert [(entry["seq"], entry["status"]) for entry in second.journal] == [(1, "done")]
    assert await attempts(world, first.lease.step_id) == ["lost", None]


async def superseded(world: World) -> tuple[Worker, Claim, Claim]:
    """A holder whose step was taken over by another, with a prepared call between them."""
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, old = await world.claimed(run_id)
    await prepared(world, old)
    await world.lapse(old.lease.step_id)
    await reap(world.engine)
    return worker, old, (await world.claimed(run_id))[1]


@pytest.mark.parametrize("act", ["prepare", "record", "complete", "end", "fail", "wait", "ask"])
async def test_a_superseded_holder_changes_nothing(world: World, act: str) -> None:
    worker, old, _ = await superseded(world)
    call_id = (await world.calls(old.run_id))[0]["id"]
    question = {"approval_id": str(new_id()), "title": "?", "request": {}, "request_hash": "h", "seconds": 60}
    state = "SELECT s::text, (SELECT array_agg(c::text) FROM calls c), (SELECT max(seq) FROM events) FROM steps s"
    before = await world.database.pool.fetchrow(state)
    acts: dict[str, Callable[[], Awaitable[Any]]] = {
        "prepare": lambda: prepared(world, old, proposal(2)),
        "record": lambda: recorded(world, old, result(call_id)),
        "end": lambda: succeed(world, worker, replace(old, hands_over=False)),
        "fail": lambda: fail(world, worker, old),
        "wait": lambda: wait_for_approvals(world.engine, old, [new_id()]),
        "ask": lambda: ask(world.engine, old, question),
    }
    if act == "complete":
        assert (await succeed(world, worker, old)).closed == frozenset()
    else:
        with pytest.raises(Fenced):
            await acts[act]()
    assert await world.database.pool.fetchrow(state) == before


async def test_a_completion_that_waits_behind_a_reaper_is_fenced(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    await world.lapse(held.lease.step_id)
    async with world.transaction() as reaper:
        await reap(reaper)
        late = await world.blocked(succeed(world, worker, held))
    assert (await late).closed == frozenset()
    assert (await world.steps(run_id))["only"]["status"] == "ready"


async def test_a_reaper_passes_over_a_step_that_is_just_being_completed(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    await world.lapse(held.lease.step_id)
    async with world.transaction() as completing:
        await succeed(completing, worker, held)
        assert await reap(world.engine) == 0
    assert await world.status(run_id) == "succeeded"


async def test_a_lease_lasts_as_long_as_the_setting_says(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.with_lease(seconds=3).claimed(run_id)
    step = (await world.steps(run_id))["only"]
    assert (step["lease_expires_at"] - step["started_at"]).total_seconds() == pytest.approx(3, abs=0.1)


async def test_releasing_a_session_twice_is_harmless(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    assert await release_session(world.engine, worker.session_id, crashed=True) == 1
    assert await release_session(world.engine, worker.session_id, crashed=True) == 0
    assert await attempts(world, held.lease.step_id) == ["released"]
