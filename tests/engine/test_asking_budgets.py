"""Runs that budgets ask people about: for how many there are, and for what one can be expected to cost."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.principal import Principal
from sparkops.domains.budgets.definition import Terms
from sparkops.domains.runs.state import SourceKind
from sparkops.engine import accept, judging
from sparkops.engine.advance import advance_run
from sparkops.engine.answer import OwnRequest, answer_approval
from sparkops.engine.budgets import archive_budget, change_budget
from sparkops.engine.draft import Rerun
from sparkops.engine.errors import OverBudget
from sparkops.engine.judging import DeniedByPolicy
from sparkops.engine.rerun import start_rerun
from sparkops.engine.sweep import sweep
from tests.engine.acts import ONE_STEP
from tests.engine.clearances import advance_and_admit, answer, asks, pending, questions, unheeded_answer
from tests.engine.conftest import World
from tests.engine.test_budgets import at, budget, spent_before, windows
from tests.engine.test_subjects import decisions, rule

ASKS_BEYOND = [at(100, "require_approval")]


async def counted(world: World, budget_id: UUID) -> int:
    return sum(window["runs"] for window in await windows(world, budget_id))


async def change(world: World, budget_id: UUID, **terms: Any) -> None:
    await change_budget(world.engine, world.ada, budget_id, Terms.model_validate({"name": "all", **terms}))


async def asked(world: World, run_id: UUID) -> Mapping[str, Any]:
    """The one question about a run that waits for people because of a budget."""
    assert await world.status(run_id) == "awaiting_approval"
    (question,) = await questions(world)
    return question


async def test_a_run_that_a_budget_asks_about_waits_for_people_and_is_counted_when_they_let_it(world: World) -> None:
    shared = await budget(world, limit_runs=0, thresholds=ASKS_BEYOND)
    run_id = await world.run(await world.workflow(ONE_STEP))
    question = await asked(world, run_id)
    assert (question["subject_kind"], question["rule"]) == ("run", "budget")
    assert question["reason"] == "The budget all allows 0 runs, 0 are used."
    (told,) = question["budgets"]
    assert (told["budget_id"], told["name"], told["about"]) == (str(shared), "all", "runs")
    assert (told["limit_runs"], told["used_runs"], told["percent"]) == (0, 0, 100)
    (decision,) = await decisions(world, "run.create")
    assert (decision["outcome"], decision["rule"], decision["id"]) == (
        "require_approval",
        "budget",
        question["decision_id"],
    )
    assert await counted(world, shared) == 0
    await answer(world)
    assert await world.status(run_id) == "running"
    assert await counted(world, shared) == 1
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_who_asks_for_the_run_does_not_let_it_pass_the_budget(world: World) -> None:
    await budget(world, limit_runs=0, thresholds=ASKS_BEYOND)
    run_id = await world.run(await world.workflow(ONE_STEP))
    with pytest.raises(OwnRequest):
        await answer_approval(world.engine, world.ada, await pending(world), approve=True, comment=None)
    assert await world.status(run_id) == "awaiting_approval"


async def test_a_no_counts_although_the_budget_has_room_by_now(world: World) -> None:
    shared = await budget(world, limit_runs=0, thresholds=ASKS_BEYOND)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await change(world, shared, limit_runs=5)
    await answer(world, approve=False, comment="not this month")
    run = await world.row(run_id)
    assert (run["status"], run["error"]["code"]) == ("denied", "rejected")
    assert await counted(world, shared) == 0


@pytest.mark.parametrize("how", ["raised", "given up"])
async def test_a_run_that_no_budget_asks_about_any_more_begins(world: World, how: str) -> None:
    shared = await budget(world, limit_runs=0, thresholds=ASKS_BEYOND)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await (change(world, shared, limit_runs=5) if how == "raised" else archive_budget(world.engine, world.ada, shared))
    await advance_and_admit(world, run_id)
    assert await world.status(run_id) == "running"
    assert await counted(world, shared) == (1 if how == "raised" else 0)


async def test_what_people_let_begin_is_denied_where_a_budget_refuses_by_now(world: World) -> None:
    shared = await budget(world, limit_runs=1, thresholds=[at(50, "require_approval")])
    name = await world.workflow(ONE_STEP)
    waits = await world.run(name)
    await change(world, shared, limit_runs=0)
    await answer(world)
    run = await world.row(waits)
    assert (run["status"], run["error"]["code"], run["error"]["rule"]) == ("denied", "budget-exceeded", "budget")
    assert run["error"]["message"] == "The budget all allows 0 runs, 0 are used."
    assert (await questions(world))[0]["status"] == "withdrawn"
    assert await counted(world, shared) == 0


async def test_as_many_wait_as_may_be_asked_about_and_as_many_begin_as_are_let(world: World) -> None:
    """What waits takes no place: that is for who begins first."""
    shared = await budget(world, limit_runs=1, thresholds=[at(50, "require_approval")])
    name = await world.workflow(ONE_STEP)
    first, second = await world.run(name), await world.run(name)
    for question in await questions(world):
        await answer_approval(world.engine, world.ben, question["id"], approve=True, comment=None)
    assert [await world.status(one) for one in (first, second)] == ["running", "denied"]
    assert await counted(world, shared) == 1
    with pytest.raises(OverBudget):
        await world.run(name)


async def test_another_budget_that_asks_by_now_is_asked_about_anew(world: World) -> None:
    await budget(world, limit_runs=0, thresholds=ASKS_BEYOND)
    run_id = await world.run(await world.workflow(ONE_STEP))
    other = await budget(world, name="other", limit_runs=0, thresholds=ASKS_BEYOND)
    await answer(world)
    assert await world.status(run_id) == "awaiting_approval"
    before, now = await questions(world)
    assert (before["status"], now["status"]) == ("withdrawn", "pending")
    assert {one["name"] for one in now["budgets"]} == {"all", "other"}
    await answer(world)
    assert await world.status(run_id) == "running"
    assert await counted(world, other) == 1


async def test_where_a_rule_asks_its_approvers_are_told_of_the_budget(world: World) -> None:
    await world.rules(asks("run.create", approval={"approvers": ["ben@example.com"]}))
    shared = await budget(world, limit_runs=0, thresholds=ASKS_BEYOND)
    run_id = await world.run(await world.workflow(ONE_STEP))
    question = await asked(world, run_id)
    assert (question["rule"], question["demands"]["approvers"]) == ("no-run.create", [["ben@example.com"]])
    assert [one["name"] for one in question["budgets"]] == ["all"]
    await answer(world)
    assert (await world.status(run_id), await counted(world, shared)) == ("running", 1)


async def test_a_run_that_only_rules_ask_about_is_counted_when_it_begins(world: World) -> None:
    await world.rules(asks("run.create"))
    shared = await budget(world, limit_runs=1)
    name = await world.workflow(ONE_STEP)
    first = await world.run(name)
    assert (await asked(world, first))["budgets"] == []
    await world.run(name)
    for question in await questions(world):
        await answer_approval(world.engine, world.ben, question["id"], approve=True, comment=None)
    assert await counted(world, shared) == 1
    with pytest.raises(OverBudget):
        await world.run(name)


async def test_the_rules_deny_what_a_budget_would_only_ask_about(world: World) -> None:
    await world.rules(rule("run.create"))
    await budget(world, limit_runs=0, thresholds=ASKS_BEYOND)
    with pytest.raises(DeniedByPolicy):
        await world.run(await world.workflow(ONE_STEP))
    assert await questions(world) == []


async def test_a_run_whose_budget_fills_up_while_it_is_asked_for_waits_for_people_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was judged while there was room, and another one takes that before it is written."""
    shared = await budget(world, limit_runs=1, thresholds=ASKS_BEYOND)
    name = await world.workflow(ONE_STEP)
    before, overtaken = judging.judge_run, False

    async def then_another(*given: Any) -> Any:
        nonlocal overtaken
        found = await before(*given)
        if not overtaken:
            overtaken = True
            await world.run(name)
        return found

    monkeypatch.setattr(accept, "judge_run", then_another)
    run_id = await world.run(name)
    assert await world.status(run_id) == "awaiting_approval"
    assert await counted(world, shared) == 1


async def test_a_run_whose_budget_fills_up_while_it_is_cleared_is_looked_at_once_more(world: World) -> None:
    """Two are let begin at once, and there is room for one."""
    shared = await budget(world, limit_runs=1, thresholds=[at(50, "require_approval")])
    name = await world.workflow(ONE_STEP)
    first, second = await world.run(name), await world.run(name)
    for run_id in (first, second):
        await unheeded_answer(world, run_id=run_id)
    async with world.transaction() as other:
        await advance_run(other, first)
        late = await world.blocked(advance_run(world.engine, second))
    await late
    assert await world.status(second) == "awaiting_approval"
    await sweep(world.engine, ("run",))
    assert await world.status(second) == "denied"
    assert await counted(world, shared) == 1


async def test_a_forecast_that_does_not_fit_is_asked_about_with_its_figures(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    await spent_before(world, name, 10, 10, 10, 10, 20)
    shared = await budget(world, limit_micros=5, admission="ask")
    run_id = await world.run(name)
    question = await asked(world, run_id)
    (told,) = question["budgets"]
    assert (told["budget_id"], told["about"], told["runs"]) == (str(shared), "forecast", 5)
    assert (told["room_micros"], told["expected_micros"], told["median_micros"]) == (5, 20, 10)
    assert question["reason"] == (
        "The budget all has $0.000005 left, and such a run costs $0.00002 (p95 of the last 5 runs of this version)."
    )
    await answer(world)
    assert await world.status(run_id) == "running"


async def test_a_forecast_that_fits_by_now_asks_nobody_any_more(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    await spent_before(world, name, 10, 10, 10, 10, 10)
    shared = await budget(world, limit_micros=5, admission="ask")
    run_id = await world.run(name)
    await change(world, shared, limit_micros=500, admission="ask")
    await advance_run(world.engine, run_id)
    assert await world.status(run_id) == "queued"


async def test_a_second_chance_is_asked_about_by_how_many_runs_there_are(world: World) -> None:
    shared = await budget(world, limit_runs=1, thresholds=ASKS_BEYOND)
    before = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(before)
    again = await start_rerun(world.engine, world.ada, before, Rerun(SourceKind.RERUN))
    assert await world.status(again.run_id) == "awaiting_approval"
    await answer(world)
    await world.work_until(again.run_id)
    assert (await world.status(again.run_id), await counted(world, shared)) == ("succeeded", 2)


async def test_a_sub_run_asks_nobody_it_belongs_to_the_run_at_the_top(world: World) -> None:
    await world.workflow(ONE_STEP)
    name = await world.workflow("version: 1\nname: outer\nsteps:\n  - {id: sub, type: workflow, workflow: one}\n")
    shared = await budget(world, limit_runs=1, thresholds=ASKS_BEYOND)
    run_id = await world.run(name)
    await world.work_until(run_id)
    assert (await world.status(run_id), await counted(world, shared)) == ("succeeded", 1)
    assert await questions(world) == []


async def test_a_budget_for_each_person_asks_about_the_runs_of_that_person(world: World) -> None:
    async def runs(who: Principal) -> UUID:
        request = accept.RunRequest(world.project_id, "one")
        return (await accept.accept_run(world.engine, who, request)).run_id

    await budget(world, scope="user", target=world.ben.user_id, limit_runs=0, thresholds=ASKS_BEYOND)
    await world.workflow(ONE_STEP)
    assert [await world.status(await runs(who)) for who in (world.ada, world.ben)] == ["running", "awaiting_approval"]
