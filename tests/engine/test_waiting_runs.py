"""Runs that wait for a budget of runs, which pauses them, and begin by themselves when there is room."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from sparkops.engine.accept import RunRequest, accept_run
from sparkops.engine.admission import admit_project
from sparkops.engine.budgets import archive_budget
from sparkops.engine.cancel import cancel_run
from sparkops.engine.context import call
from sparkops.engine.errors import OverBudget
from sparkops.engine.pause import pause_run, resume_run
from sparkops.engine.sweep import sweep
from tests.engine.acts import ONE_STEP
from tests.engine.clearances import ONE_AT_A_TIME, answer, asks, questions
from tests.engine.conftest import World
from tests.engine.test_asking_budgets import change, counted
from tests.engine.test_budgets import at, budget
from tests.engine.test_turning import end_period

PAUSES = [at(100, "pause")]


async def full(world: World, **stated: Any) -> UUID:
    """A budget of no runs that lets them wait."""
    return await budget(world, **{"limit_runs": 0, "thresholds": PAUSES, **stated})


async def statuses(world: World, *runs: UUID) -> list[str]:
    return [await world.status(run_id) for run_id in runs]


async def behind(world: World, run_id: UUID) -> str | None:
    found: str | None = await world.database.pool.fetchval(
        "SELECT engine.blocked_by(r) FROM runs r WHERE id = $1", run_id
    )
    return found


async def by_ben(world: World, name: str) -> UUID:
    request = RunRequest(world.project_id, name)
    return (await accept_run(world.engine, world.ben, request)).run_id


async def swept(world: World) -> None:
    await sweep(world.engine, ("run",))


async def test_a_run_for_which_there_is_no_room_waits_without_a_worker(world: World) -> None:
    shared = await full(world)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await swept(world)
    assert (await world.status(run_id), await behind(world, run_id)) == ("queued", "budget")
    assert await world.database.pool.fetchval("SELECT held FROM steps WHERE run_id = $1", run_id)
    assert await counted(world, shared) == 0


@pytest.mark.parametrize("how", ["raised", "given up"])
async def test_it_begins_by_itself_when_the_limit_is_raised_or_the_budget_is_given_up(world: World, how: str) -> None:
    shared = await full(world)
    run_id = await world.run(await world.workflow(ONE_STEP))
    raised = {"limit_runs": 1, "thresholds": PAUSES}
    await (change(world, shared, **raised) if how == "raised" else archive_budget(world.engine, world.ada, shared))
    assert await world.status(run_id) == "running"
    await world.work_until(run_id)
    assert (await world.status(run_id), await counted(world, shared)) == ("succeeded", 1 if how == "raised" else 0)


async def test_it_begins_by_itself_when_the_period_turns(world: World) -> None:
    shared = await budget(world, limit_runs=1, period="day", thresholds=PAUSES)
    name = await world.workflow(ONE_STEP)
    first, second = await world.run(name), await world.run(name)
    await swept(world)
    assert await statuses(world, first, second) == ["running", "queued"]
    await end_period(world, shared)
    await swept(world)
    assert (await world.status(second), await counted(world, shared)) == ("running", 2)


async def test_two_that_wait_for_one_place_do_not_both_begin(world: World) -> None:
    shared = await full(world)
    name = await world.workflow(ONE_STEP)
    first, second = await world.run(name), await world.run(name)
    await world.sql("UPDATE budget_definitions SET limit_runs = 1")
    await world.sql("UPDATE budgets SET limit_runs = 1, top_runs = 1 WHERE definition_id IS NOT NULL")
    async with world.transaction() as other:
        await call(other.database.pool, "admit_run", first)
        late = await world.blocked(call(world.engine.database.pool, "admit_run", second))
    with pytest.raises(OverBudget):
        await late
    assert await statuses(world, first, second) == ["running", "queued"]
    assert await counted(world, shared) == 1


async def test_as_many_begin_as_there_is_room_for_and_the_first_goes_first(world: World) -> None:
    shared = await full(world)
    name = await world.workflow(ONE_STEP)
    runs = [await world.run(name) for _ in range(4)]
    await change(world, shared, limit_runs=2, thresholds=PAUSES)
    await asyncio.gather(*(admit_project(world.engine, world.project_id) for _ in range(3)))
    assert await statuses(world, *runs) == ["running", "running", "queued", "queued"]
    assert await counted(world, shared) == 2


async def test_it_keeps_nobody_else_back(world: World) -> None:
    """A budget for one person's runs is not in the way of those of another, in whatever line they stand."""
    await full(world, scope="user", target=world.ada.user_id)
    name = await world.workflow(ONE_AT_A_TIME)
    waits = await world.run(name)
    other = await by_ben(world, name)
    assert await statuses(world, waits, other) == ["queued", "running"]
    last = await by_ben(world, name)
    await world.work_until(last)
    assert await statuses(world, waits, last) == ["queued", "succeeded"]


async def test_it_waits_for_the_limits_of_running_runs_too(world: World) -> None:
    shared = await full(world)
    name = await world.workflow(ONE_AT_A_TIME)
    first, second = await world.run(name), await world.run(name)
    await change(world, shared, limit_runs=5, thresholds=PAUSES)
    assert await statuses(world, first, second) == ["running", "queued"]
    assert (await behind(world, second), await counted(world, shared)) == ("concurrency", 1)


async def test_it_can_be_cancelled_and_is_never_counted(world: World) -> None:
    shared = await full(world)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await cancel_run(world.engine, world.ada, run_id)
    await change(world, shared, limit_runs=5, thresholds=PAUSES)
    assert (await world.status(run_id), await counted(world, shared)) == ("cancelled", 0)


async def test_a_pause_by_a_person_does_not_lead_past_the_budget(world: World) -> None:
    shared = await full(world)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await pause_run(world.engine, world.ada, run_id)
    await change(world, shared, limit_runs=1, thresholds=PAUSES)
    await swept(world)
    assert await world.status(run_id) == "paused"
    await resume_run(world.engine, world.ada, run_id)
    await swept(world)
    assert (await world.status(run_id), await counted(world, shared)) == ("running", 1)


async def test_its_clock_stands(world: World) -> None:
    shared = await full(world)
    run_id = await world.run(await world.workflow(ONE_AT_A_TIME))
    await world.sql(
        "UPDATE runs SET created_at = created_at - interval '2 hours', deadline_at = deadline_at - interval '2 hours'"
    )
    await swept(world)
    assert await world.status(run_id) == "queued"
    await change(world, shared, limit_runs=1, thresholds=PAUSES)
    assert await world.database.pool.fetchval(
        "SELECT deadline_at > clock_timestamp() + interval '59 minutes' FROM runs WHERE id = $1", run_id
    )


async def test_a_budget_that_denies_beyond_refuses_what_would_wait(world: World) -> None:
    await budget(world, limit_runs=0, thresholds=PAUSES)
    await budget(world, name="other", limit_runs=0)
    with pytest.raises(OverBudget):
        await world.run(await world.workflow(ONE_STEP))


async def test_where_people_are_asked_too_it_waits_when_they_have_agreed(world: World) -> None:
    shared = await full(world)
    other = await budget(world, name="other", limit_runs=0, thresholds=[at(100, "require_approval")])
    run_id = await world.run(await world.workflow(ONE_STEP))
    (question,) = await questions(world)
    assert [one["name"] for one in question["budgets"]] == ["other"]
    await answer(world)
    assert (await world.status(run_id), await behind(world, run_id)) == ("queued", "budget")
    await change(world, shared, limit_runs=1, thresholds=PAUSES)
    assert await world.status(run_id) == "running", "people let it pass the other one"
    assert [await counted(world, one) for one in (shared, other)] == [1, 1]


async def test_a_run_that_rules_ask_about_waits_when_people_have_agreed(world: World) -> None:
    await world.rules(asks("run.create"))
    shared = await full(world)
    run_id = await world.run(await world.workflow(ONE_STEP))
    assert await world.status(run_id) == "awaiting_approval"
    await answer(world)
    assert await world.status(run_id) == "queued"
    await archive_budget(world.engine, world.ada, shared)
    assert await world.status(run_id) == "running"


async def test_a_run_whose_budget_fills_up_while_it_is_asked_for_waits_too(world: World) -> None:
    shared = await budget(world, limit_runs=1, thresholds=PAUSES)
    name = await world.workflow(ONE_STEP)
    runs = await asyncio.gather(*(world.run(name) for _ in range(4)))
    assert sorted(await statuses(world, *runs)) == ["queued", "queued", "queued", "running"]
    assert await counted(world, shared) == 1


async def test_a_sub_run_does_not_wait_it_belongs_to_the_run_at_the_top(world: World) -> None:
    await world.workflow(ONE_STEP)
    name = await world.workflow("version: 1\nname: outer\nsteps:\n  - {id: sub, type: workflow, workflow: one}\n")
    shared = await budget(world, limit_runs=1, thresholds=PAUSES)
    run_id = await world.run(name)
    await world.work_until(run_id)
    assert (await world.status(run_id), await counted(world, shared)) == ("succeeded", 1)
