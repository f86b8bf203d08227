"""Outputs that people have to let out."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sparkops.core.payloads import INLINE_BYTES, Payloads
from sparkops.engine.advance import advance_run
from sparkops.engine.cancel import cancel_overdue, cancel_run
from sparkops.engine.sweep import sweep
from tests.engine.acts import ONE_STEP, govern
from tests.engine.bulk import LARGE, making, objects
from tests.engine.clearances import (
    ONE_AT_A_TIME,
    PLAIN,
    UNDOES,
    answer,
    asks,
    lapse,
    open_question,
    questions,
    say_no,
    unheeded_answer,
)
from tests.engine.conftest import World
from tests.engine.test_subjects import INLINE, WITH_INPUT, decisions, rule


async def ended(world: World, source: str = PLAIN, **request: Any) -> UUID:
    """A run whose steps have all ended, and whose output people are asked about."""
    run_id = await world.run(await world.workflow(source), **{"input": {"n": 1}, **request})
    await world.work_until(run_id, "awaiting_approval")
    return run_id


@pytest.mark.parametrize("declared", ["", 'output: {n: "${{ steps.a.output.n }}"}'], ids=["of the leaves", "declared"])
async def test_an_output_is_held_until_people_let_it_out(world: World, declared: str) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world, WITH_INPUT.replace("OUTPUT", declared))
    run = await world.row(run_id)
    assert (run["output"], run["finished_at"]) == (None, None)
    (question,) = await questions(world)
    assert (question["subject_kind"], question["step_id"]) == ("output", None)
    held = {"n": 1} if declared else {"a": {"n": 1}}
    assert question["proposed_request"] == {"workflow": "takes", "output": held}
    await answer(world)
    run = await world.row(run_id)
    assert (run["status"], run["output"]) == ("succeeded", held)
    assert (await questions(world))[0]["status"] == "consumed"
    assert [one["outcome"] for one in await decisions(world, "output")] == ["require_approval"] * 2
    assert (await world.kinds(run_id))[-4:] == [
        "approval.requested",
        "run.awaiting_approval",
        "approval.approved",
        "run.succeeded",
    ]


async def test_an_output_that_somebody_rejects_fails_the_run_and_what_it_did_is_taken_back(world: World) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world, UNDOES, input=None)
    await answer(world, approve=False, comment="too candid")
    assert await world.status(run_id) == "compensating"
    await world.work_until(run_id)
    run = await world.row(run_id)
    assert (run["status"], run["output"], run["error"]["code"]) == ("failed", None, "output-rejected")
    assert run["error"]["message"] == "A person rejected that the output is handed out: too candid"
    assert (await world.steps(run_id))["a:undo"]["status"] == "succeeded"


@pytest.mark.parametrize("answered", [True, False])
async def test_an_output_that_nobody_lets_out_in_time_fails_the_run(world: World, answered: bool) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world)
    if answered:
        await unheeded_answer(world)
    await lapse(world)
    await govern(world)
    await sweep(world.engine, ("run",))
    run = await world.row(run_id)
    assert (run["status"], run["output"], run["error"]["code"]) == ("failed", None, "approval-expired")


async def test_the_sweep_lets_out_what_whoever_answered_left(world: World) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world)
    await unheeded_answer(world)
    await sweep(world.engine, ("run",))
    assert await world.status(run_id) == "succeeded"


async def test_an_output_that_people_let_out_is_not_handed_out_where_the_rules_of_today_deny(world: World) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world)
    await world.rules(rule("output"))
    await answer(world)
    run = await world.row(run_id)
    assert (run["status"], run["output"], run["error"]["code"]) == ("failed", None, "output-denied")
    assert (await questions(world))[0]["status"] == "withdrawn"


async def test_an_output_that_no_rule_asks_about_any_more_is_handed_out(world: World) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world)
    await world.rules()
    await advance_run(world.engine, run_id)
    assert await world.status(run_id) == "succeeded"
    assert (await questions(world))[0]["status"] == "withdrawn"


@pytest.mark.parametrize("late", [False, True], ids=["said", "by silence"])
async def test_a_no_to_an_output_stays_a_no_where_no_rule_asks_any_more(world: World, *, late: bool) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world)
    await say_no(world, late=late)
    await world.rules()
    await advance_run(world.engine, run_id)
    run = await world.row(run_id)
    assert (run["status"], run["output"]) == ("failed", None)
    assert (await questions(world))[0]["status"] == ("expired" if late else "rejected")


async def test_consent_to_an_output_for_less_than_is_demanded_today_is_asked_for_anew(world: World) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world)
    await world.rules(asks("output", approval={"approvers": ["ben@example.com"]}))
    await answer(world)
    assert await world.status(run_id) == "awaiting_approval"
    assert [one["status"] for one in await questions(world)] == ["withdrawn", "pending"]
    await answer(world)
    assert await world.status(run_id) == "succeeded"


async def test_a_run_whose_output_is_held_can_be_cancelled(world: World) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world, UNDOES, input=None)
    await cancel_run(world.engine, world.ada, run_id)
    await world.work_until(run_id)
    assert (await world.row(run_id))["output"] is None
    assert await world.status(run_id) == "cancelled"
    assert (await world.steps(run_id))["a:undo"]["status"] == "succeeded"
    assert (await questions(world))[0]["status"] == "withdrawn"


async def test_a_run_whose_output_is_held_keeps_its_place_and_its_time_runs(world: World) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world, ONE_AT_A_TIME, input=None)
    assert await world.status(await world.run("one-at-a-time")) == "queued"
    await world.sql("UPDATE runs SET deadline_at = clock_timestamp() - interval '1 minute' WHERE id = $1", run_id)
    assert await cancel_overdue(world.engine, 10) == 1
    assert await world.status(run_id) == "cancelled"


async def test_the_output_of_a_run_that_ends_as_it_begins_is_held_too(world: World) -> None:
    await world.rules(asks("output"))
    accepted = await world.accept(await world.workflow(INLINE), input={"n": 1})
    assert (await world.status(accepted.run_id), accepted.begun) == ("awaiting_approval", None)
    await answer(world)
    assert (await world.row(accepted.run_id))["output"] == {"a": 1}


async def test_people_are_asked_twice_where_both_the_beginning_and_the_output_are_held(world: World) -> None:
    await world.rules(asks("run.create"), asks("output"))
    run_id = await world.run(await world.workflow(PLAIN), input={"n": 1})
    await answer(world)
    await world.work_until(run_id, "awaiting_approval")
    await answer(world)
    assert await world.status(run_id) == "succeeded"
    assert [one["subject_kind"] for one in await questions(world)] == ["run", "output"]


async def test_a_parent_waits_for_the_output_of_its_sub_run(world: World) -> None:
    await world.workflow(ONE_STEP)
    name = await world.workflow("version: 1\nname: outer\nsteps:\n  - {id: sub, type: workflow, workflow: one}\n")
    await world.rules(asks("output", workflows=["one"]))
    run_id = await world.run(name)
    await world.work(lambda: open_question(world))
    step = (await world.steps(run_id))["sub"]
    assert (step["status"], step["output"]) == ("waiting", None)
    await answer(world)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_a_large_output_is_held_and_handed_out(world: World) -> None:
    await world.rules(asks("output"))
    source = """
version: 1
name: big
input: {type: object, properties: {text: {type: string}}}
steps:
  - {id: a, type: tool, tool: noop, with: {text: "${{ input.text }}"}}
output: {text: "${{ steps.a.output.text }}"}
"""
    run_id = await ended(world, source, input={"text": "x" * (2 * INLINE_BYTES)})
    assert "$blob" in str((await questions(world))[0]["proposed_request"])
    await answer(world)
    assert await world.status(run_id) == "succeeded"


async def test_an_output_that_cannot_be_read_any_more_fails_its_run(world: World) -> None:
    await world.rules(asks("output"))
    world.tools["large"] = making([LARGE])
    run_id = await ended(world, "version: 1\nname: large\nsteps:\n  - {id: a, type: tool, tool: large}\n", input=None)
    for path in objects(world):
        path.unlink()
    await answer(replace(world, engine=replace(world.engine, payloads=Payloads(world.blobs))))
    run = await world.row(run_id)
    assert (run["status"], run["error"]["code"], run["output"]) == ("failed", "value-lost", None)
    assert (await questions(world))[0]["status"] == "withdrawn"


async def test_no_output_is_handed_out_past_the_guard_of_the_database(world: World) -> None:
    await world.rules(asks("output"))
    run_id = await ended(world)
    with pytest.raises(asyncpg.PostgresError, match="let go without"):
        await world.sql("UPDATE runs SET status = 'succeeded', finished_at = clock_timestamp() WHERE id = $1", run_id)
