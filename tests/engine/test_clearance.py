"""Runs that people have to let begin."""

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from sparkops.core.payloads import INLINE_BYTES, Payloads
from sparkops.domains.runs.state import SourceKind
from sparkops.engine import accept, judging
from sparkops.engine.accept import Accepted, IdempotencyMismatch
from sparkops.engine.advance import advance_run
from sparkops.engine.answer import ApprovalClosed, OwnRequest, answer_approval
from sparkops.engine.cancel import cancel_overdue, cancel_run
from sparkops.engine.draft import Rerun
from sparkops.engine.judging import DeniedByPolicy
from sparkops.engine.pause import NotPausable, pause_run
from sparkops.engine.rerun import start_rerun
from sparkops.engine.sweep import sweep
from tests.engine.acts import ONE_STEP, govern
from tests.engine.bulk import objects
from tests.engine.clearances import (
    MIXED,
    ONE_AT_A_TIME,
    PLAIN,
    UNDOES,
    advance_and_admit,
    answer,
    asks,
    lapse,
    open_question,
    pending,
    questions,
    say_no,
    unheeded_answer,
)
from tests.engine.conftest import World
from tests.engine.test_consent import person
from tests.engine.test_subjects import INLINE, decisions, rule


async def test_a_run_is_accepted_and_nothing_of_it_is_done_before_people_let_it(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(MIXED), input={"n": 1})
    assert await world.status(run_id) == "awaiting_approval"
    assert {(step["status"], step["held"], step["output"]) for step in (await world.steps(run_id)).values()} == {
        ("pending", True, None)
    }
    assert await world.claims(await world.worker()) == []
    (question,) = await questions(world)
    assert (question["subject_kind"], question["subject_id"], question["step_id"]) == ("run", run_id, None)
    assert question["proposed_request"] == {"workflow": "mixed", "version": 1, "input": {"n": 1}} | {
        "limit_micros": world.engine.run_budget_micros
    }
    (decision,) = await decisions(world, "run.create")
    assert (decision["outcome"], decision["id"]) == ("require_approval", question["decision_id"])
    await answer(world)
    assert await world.status(run_id) == "running"
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    assert [one["outcome"] for one in await decisions(world, "run.create")] == ["require_approval"] * 2
    kinds = await world.kinds(run_id)
    asked = ["run.created", "run.awaiting_approval", "approval.requested", "approval.approved", "run.queued"]
    assert kinds[:6] == [*asked, "run.started"]
    assert (await questions(world))[0]["status"] == "consumed"


async def test_a_run_that_somebody_rejects_is_denied_and_was_never_begun(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await answer(world, approve=False, comment="not on a Friday")
    run = await world.row(run_id)
    assert (run["status"], run["started_at"], run["error"]["code"]) == ("denied", None, "rejected")
    assert run["error"]["message"] == "A person rejected that this run begins: not on a Friday"
    assert [step["status"] for step in (await world.steps(run_id)).values()] == ["cancelled"]
    assert await world.database.pool.fetchval("SELECT count(*) FROM audit WHERE action = 'run.refuse'") == 1


async def test_who_asks_for_a_run_does_not_let_it_begin(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    with pytest.raises(OwnRequest):
        await answer_approval(world.engine, world.ada, await pending(world), approve=True, comment=None)
    assert await world.status(run_id) == "awaiting_approval"


async def test_as_many_have_to_agree_as_the_rule_says(world: World) -> None:
    await world.rules(asks("run.create", approval={"quorum": 2}))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await answer(world)
    assert await world.status(run_id) == "awaiting_approval"
    await answer_approval(world.engine, await person(world, "cy"), await pending(world), approve=True, comment=None)
    assert await world.status(run_id) == "running"


@pytest.mark.parametrize("answered", [True, False])
async def test_a_run_that_nobody_lets_begin_in_time_is_denied(world: World, answered: bool) -> None:
    """An answer that nobody heeded in time, because whoever gave it died, is none."""
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    if answered:
        await unheeded_answer(world)
    await lapse(world)
    await govern(world)
    await sweep(world.engine, ("run",))
    run = await world.row(run_id)
    assert (run["status"], run["error"]["code"]) == ("denied", "approval-expired")


async def test_consent_that_is_heeded_only_when_its_time_is_over_is_none(world: World) -> None:
    """Before a sweep has said that it is."""
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await unheeded_answer(world)
    await lapse(world)
    await advance_run(world.engine, run_id)
    assert (await world.row(run_id))["error"]["code"] == "approval-expired"
    assert (await questions(world))[0]["status"] == "expired"


async def test_others_are_asked_when_nobody_answers(world: World) -> None:
    await world.rules(
        asks(
            "run.create", approval={"approvers": ["owner"], "escalate_after": "1m", "escalate_to": ["ben@example.com"]}
        )
    )
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.sql("UPDATE approvals SET escalate_at = clock_timestamp()")
    await govern(world)
    await answer(world)
    assert "approval.escalated" in await world.kinds(run_id)
    assert await world.status(run_id) == "running"


async def test_the_sweep_clears_what_whoever_answered_left(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await unheeded_answer(world)
    assert await world.status(run_id) == "awaiting_approval"
    for _ in range(2):  # one clears it, the next one admits it
        await sweep(world.engine, ("run",))
    assert await world.status(run_id) == "running"


async def test_a_run_is_looked_at_for_nothing_while_people_have_not_answered(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await advance_run(world.engine, run_id)
    assert await world.status(run_id) == "awaiting_approval"
    assert [one["status"] for one in await questions(world)] == ["pending"]


async def test_what_people_let_begin_is_denied_where_the_rules_of_today_deny(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.rules(rule("run.create"))
    await answer(world)
    run = await world.row(run_id)
    assert (run["status"], run["error"]["code"], run["error"]["rule"]) == (
        "denied",
        "denied-by-policy",
        "no-run.create",
    )
    assert (await questions(world))[0]["status"] == "withdrawn"


async def test_a_run_that_no_rule_asks_about_any_more_begins(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.rules()
    await advance_and_admit(world, run_id)
    assert await world.status(run_id) == "running"
    assert (await questions(world))[0]["status"] == "withdrawn"


@pytest.mark.parametrize("late", [False, True], ids=["said", "by silence"])
async def test_a_no_to_a_beginning_stays_a_no_where_no_rule_asks_any_more(world: World, *, late: bool) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await say_no(world, late=late)
    await world.rules()
    await advance_and_admit(world, run_id)
    assert await world.status(run_id) == "denied"


async def test_consent_for_less_than_the_rules_of_today_demand_is_asked_for_anew(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.rules(asks("run.create", approval={"quorum": 2}))
    await answer(world)
    assert await world.status(run_id) == "awaiting_approval"
    assert [one["status"] for one in await questions(world)] == ["withdrawn", "pending"]
    await answer(world)
    await answer_approval(world.engine, await person(world, "cy"), await pending(world), approve=True, comment=None)
    assert await world.status(run_id) == "running"


async def test_a_run_that_waits_for_people_can_be_cancelled_but_not_paused(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(UNDOES))
    with pytest.raises(NotPausable, match="waits for an approval"):
        await pause_run(world.engine, world.ada, run_id)
    asked = await pending(world)
    await cancel_run(world.engine, world.ada, run_id)
    assert await world.status(run_id) == "cancelled"
    assert (await questions(world))[0]["status"] == "withdrawn"
    with pytest.raises(ApprovalClosed):
        await answer_approval(world.engine, world.ben, asked, approve=True, comment=None)


async def test_a_run_that_was_cancelled_after_the_answer_does_not_begin(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await unheeded_answer(world)
    await cancel_run(world.engine, world.ada, run_id)
    await sweep(world.engine, ("run",))
    assert await world.status(run_id) == "cancelled"


async def test_the_same_key_gives_the_run_that_waits(world: World) -> None:
    await world.rules(asks("run.create"))
    name = await world.workflow(PLAIN)
    first = await world.accept(name, input={"n": 1}, idem_key="k")
    again = await world.accept(name, input={"n": 1}, idem_key="k")
    assert again == Accepted(first.run_id, created=False)
    with pytest.raises(IdempotencyMismatch):
        await world.accept(name, input={"n": 2}, idem_key="k")
    assert len(await questions(world)) == 1


async def test_a_sub_run_waits_for_people_and_its_parent_for_it(world: World) -> None:
    await world.workflow(ONE_STEP)
    outer = "version: 1\nname: outer\nsteps:\n  - {id: sub, type: workflow, workflow: one}\n"
    name = await world.workflow(outer)
    await world.rules(asks("run.create", workflows=["one"]))
    for approve, becomes in ((True, "succeeded"), (False, "failed")):
        run_id = await world.run(name)
        await world.work(lambda: open_question(world))
        assert (await world.steps(run_id))["sub"]["waiting_for"] == {"kind": "run"}
        await answer(world, approve=approve, comment="so")
        await world.work_until(run_id)
        assert await world.status(run_id) == becomes
    error = (await world.steps(run_id))["sub"]["error"]
    assert (error["code"], "rejected that this run begins: so" in error["message"]) == ("child-failed", True)


async def test_each_sub_run_of_a_map_is_asked_about(world: World) -> None:
    await world.workflow(ONE_STEP)
    source = """
version: 1
name: outer
steps:
  - id: each
    type: map
    with: {over: 2}
    steps: [{id: sub, type: workflow, workflow: one}]
"""
    name = await world.workflow(source)
    await world.rules(asks("run.create", workflows=["one"]))
    run_id = await world.run(name)

    async def both() -> bool:
        return len(await questions(world)) == 2

    await world.work(both)
    for one in await questions(world):
        await answer_approval(world.engine, world.ben, one["id"], approve=True, comment=None)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_cancelling_the_run_above_cancels_what_waits_for_people(world: World) -> None:
    await world.workflow(ONE_STEP)
    name = await world.workflow("version: 1\nname: outer\nsteps:\n  - {id: sub, type: workflow, workflow: one}\n")
    await world.rules(asks("run.create", workflows=["one"]))
    run_id = await world.run(name)
    await world.work(lambda: open_question(world))
    await cancel_run(world.engine, world.ada, run_id)
    assert await world.database.pool.fetchval("SELECT status FROM runs WHERE parent_run_id = $1", run_id) == "cancelled"
    assert (await questions(world))[0]["status"] == "withdrawn"


@pytest.mark.parametrize("kind", [SourceKind.RERUN, SourceKind.RETRY])
async def test_a_second_chance_is_asked_about_by_itself_and_keeps_its_copies(world: World, kind: SourceKind) -> None:
    source = """
version: 1
name: two
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: files.read, with: {name: nothing}, needs: [a]}
"""
    before = await world.run(await world.workflow(source))
    await world.work_until(before)
    await world.rules(asks("run.create"))
    again = await start_rerun(world.engine, world.ada, before, Rerun(kind))
    statuses = [step["status"] for step in (await world.steps(again.run_id)).values()]
    assert statuses == [("succeeded" if kind is SourceKind.RETRY else "pending"), "pending"]
    await answer(world)
    await world.work_until(again.run_id)
    assert await world.status(again.run_id) == "failed"


async def test_a_run_that_waits_for_people_takes_no_place_and_its_time_does_not_run(world: World) -> None:
    name = await world.workflow(ONE_AT_A_TIME)
    await world.rules(asks("run.create"))
    waits = await world.run(name)
    await world.rules()
    await world.sql("UPDATE runs SET deadline_at = clock_timestamp() - interval '1 minute' WHERE id = $1", waits)
    assert await cancel_overdue(world.engine, 10) == 0
    goes = await world.run(name)
    assert await world.status(goes) == "running"
    await answer(world)
    assert await world.status(waits) == "queued"
    await world.work_until(waits)
    assert [await world.status(each) for each in (goes, waits)] == ["succeeded", "succeeded"]


async def test_a_run_whose_steps_are_all_evaluated_ends_when_people_let_it(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(INLINE), input={"n": 1})
    assert (await world.row(run_id))["output"] is None
    await answer(world)
    run = await world.row(run_id)
    assert (run["status"], run["output"]) == ("succeeded", {"a": 1})


async def test_a_large_input_is_shown_by_its_reference_and_judged_whole(world: World) -> None:
    await world.rules(asks("run.create", when="size(input.text) > 1000"))
    source = "version: 1\nname: big\ninput: {type: object, properties: {text: {type: string}}}\nsteps:\n"
    name = await world.workflow(source + "  - {id: a, type: tool, tool: noop}\n")
    run_id = await world.run(name, input={"text": "x" * (2 * INLINE_BYTES)})
    assert "$blob" in str((await questions(world))[0]["proposed_request"])
    await answer(world)
    assert await world.status(run_id) == "running"


BIG = """
version: 1
name: big
input: {type: object, properties: {text: {type: string}}}
steps:
  - {id: a, type: tool, tool: noop}
"""


async def test_a_run_whose_input_is_gone_is_denied_and_keeps_no_other_waiting(world: World) -> None:
    await world.rules(asks("run.create"))
    name = await world.workflow(BIG)
    lost, other = [await world.run(name, input={"text": each}) for each in ("x" * 2 * INLINE_BYTES, "x")]
    for run_id in (lost, other):
        await unheeded_answer(world, run_id=run_id)
    for path in objects(world):
        path.unlink()
    forgetful = replace(world.engine, payloads=Payloads(world.blobs))
    await sweep(forgetful, ("run",))
    run = await world.row(lost)
    assert (run["status"], run["error"]["code"]) == ("denied", "value-lost")
    assert "cannot be read" in run["error"]["message"]
    assert await world.status(other) == "queued"
    await sweep(world.engine, ("run",))
    assert await world.status(other) == "running"


async def test_a_run_that_somebody_holds_does_not_keep_the_others_from_being_advanced(world: World) -> None:
    await world.rules(asks("run.create"))
    name = await world.workflow(ONE_STEP)
    first, second = [await world.run(name) for _ in range(2)]
    for run_id in (first, second):
        await unheeded_answer(world, run_id=run_id)
    async with world.transaction() as other:
        await other.database.pool.execute("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE", first)
        await sweep(world.engine, ("run",))
    assert (await world.status(first), await world.status(second)) == ("awaiting_approval", "queued")
    await sweep(world.engine, ("run",))
    assert (await world.status(first), await world.status(second)) == ("queued", "running")


async def test_nobody_lets_a_run_go_past_the_guard_of_the_database(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    with pytest.raises(asyncpg.PostgresError, match="let go without"):
        await world.sql("UPDATE runs SET status = 'queued' WHERE id = $1", run_id)


# Races


@pytest.mark.parametrize("first", ["clear", "cancel"])
async def test_a_run_that_is_cleared_and_cancelled_at_once_ends_cancelled(world: World, first: str) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await unheeded_answer(world)
    async with world.transaction() as other:
        if first == "clear":
            await advance_run(other, run_id)
            second = await world.blocked(cancel_run(world.engine, world.ada, run_id))
        else:
            await cancel_run(other, world.ada, run_id)
            second = await world.blocked(advance_run(world.engine, run_id))
    await second
    run = await world.row(run_id)
    assert (run["status"], run["started_at"]) == ("cancelled", None)
    assert (await questions(world))[0]["status"] == ("consumed" if first == "clear" else "withdrawn")


async def test_a_run_that_two_clear_at_once_is_cleared_once(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await unheeded_answer(world)
    async with world.transaction() as other:
        await advance_run(other, run_id)
        second = await world.blocked(advance_run(world.engine, run_id))
    assert await second is None
    assert (await world.kinds(run_id)).count("run.queued") == 1


async def test_consent_to_another_input_does_not_count(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(PLAIN), input={"n": 1})
    await world.sql("UPDATE runs SET input = $2 WHERE id = $1", run_id, {"n": 2})
    await answer(world)
    assert await world.status(run_id) == "awaiting_approval"
    assert [one["status"] for one in await questions(world)] == ["withdrawn", "pending"]


async def test_a_run_that_people_were_to_be_asked_about_is_judged_anew_where_the_rules_have_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules change after the run was judged, and before it is written."""
    name = await world.workflow(ONE_STEP)
    await world.rules(asks("run.create"))
    before, changed = judging.judge_run, False

    async def then_change(*asked: Any) -> Any:
        nonlocal changed
        found = await before(*asked)
        if not changed:
            changed = True
            await world.rules(rule("run.create"))
        return found

    monkeypatch.setattr(accept, "judge_run", then_change)
    with pytest.raises(DeniedByPolicy):
        await world.run(name)
    assert await questions(world) == []
