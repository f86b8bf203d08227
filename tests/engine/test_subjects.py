"""What rules say about runs, about the start of steps, and about what is handed out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.ids import new_id
from sparkops.core.json import digest
from sparkops.domains.runs.state import SourceKind
from sparkops.engine import accept, judging
from sparkops.engine.answer import answer_approval
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import Claim
from sparkops.engine.context import call
from sparkops.engine.draft import Rerun
from sparkops.engine.effects import PolicyChanged, judge_step
from sparkops.engine.errors import CancelRequested
from sparkops.engine.judging import DeniedByPolicy
from sparkops.engine.rerun import start_rerun
from sparkops.engine.sweep import sweep
from tests.engine.acts import ONE_STEP, succeed
from tests.engine.conftest import World
from tests.engine.test_ahead import CHAIN

WITH_INPUT = """
version: 1
name: takes
input: {type: object, properties: {n: {type: integer}}}
steps:
  - {id: a, type: tool, tool: noop, with: {n: "${{ input.n }}"}}
OUTPUT
"""
INLINE = """
version: 1
name: inline
input: {type: object, properties: {n: {type: integer}}}
steps:
  - {id: a, type: transform, with: {value: "${{ input.n }}"}}
"""


def rule(subject: str, effect: str = "deny", **more: Any) -> dict[str, Any]:
    return {"name": f"no-{subject}", "on": [subject], "effect": effect, "reason": "not today", **more}


async def decisions(world: World, subject: str) -> list[Mapping[str, Any]]:
    rows = await world.database.pool.fetch("SELECT * FROM policy_decisions WHERE subject = $1 ORDER BY at", subject)
    return [dict(row) for row in rows]


async def violations(world: World) -> list[tuple[str, bool]]:
    rows = await world.database.pool.fetch("SELECT subject, monitored FROM violations ORDER BY at")
    return [(row["subject"], row["monitored"]) for row in rows]


# run.create


async def test_a_run_that_the_rules_deny_is_refused_and_that_is_on_record(world: World) -> None:
    await world.rules(rule("run.create", when='input.n > 1 && principal.email == "ada@example.com"'))
    name = await world.workflow(WITH_INPUT.replace("OUTPUT", ""))
    with pytest.raises(DeniedByPolicy) as refused:
        await world.run(name, input={"n": 2})
    assert (refused.value.detail, refused.value.members["rule"]) == ("not today", "no-run.create")
    (decision,) = await decisions(world, "run.create")
    assert (decision["outcome"], decision["name"], decision["subject_kind"]) == ("deny", "takes", "run")
    assert await violations(world) == [("run.create", False)]
    assert await world.database.pool.fetchval("SELECT count(*) FROM runs") == 0
    assert await world.database.pool.fetchval("SELECT count(*) FROM audit WHERE action = 'run.refuse'") == 1


async def test_a_run_that_the_rules_allow_begins_with_their_decision(world: World) -> None:
    await world.rules(rule("run.create", when="input.n > 1"))
    run_id = await world.run(await world.workflow(WITH_INPUT.replace("OUTPUT", "")), input={"n": 1})
    (decision,) = await decisions(world, "run.create")
    assert (decision["outcome"], decision["run_id"], decision["subject_id"]) == ("allow", run_id, run_id)
    await world.work_until(run_id)


async def test_rules_are_those_of_the_moment_also_where_others_were_known(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    await world.work_until(await world.run(name))
    await world.rules(rule("run.create"))
    with pytest.raises(DeniedByPolicy):
        await world.run(name)
    await world.rules()
    await world.work_until(await world.run(name))


async def test_sub_runs_and_second_chances_are_judged_as_well(world: World) -> None:
    await world.workflow(ONE_STEP)
    outer = "version: 1\nname: outer\nsteps:\n  - {id: sub, type: workflow, workflow: one}\n"
    name = await world.workflow(outer)
    before = await world.run("one")
    await world.work_until(before)
    await world.rules(rule("run.create", workflows=["one"]))
    run_id = await world.run(name)
    await world.work_until(run_id)
    assert (await world.steps(run_id))["sub"]["error"] == {"code": "denied-by-policy", "message": "not today"}
    with pytest.raises(DeniedByPolicy):
        await start_rerun(world.engine, world.ada, before, Rerun(SourceKind.RERUN))


# step.start


async def test_a_step_that_the_rules_deny_does_not_start(world: World) -> None:
    await world.rules(rule("step.start", when='step.key == "c"'))
    run_id = await world.run(await world.workflow(CHAIN))
    await world.work_until(run_id)
    steps = await world.steps(run_id)
    assert [step["status"] for step in steps.values()] == ["succeeded", "succeeded", "failed", "skipped"]
    assert steps["c"]["error"] == {"code": "denied", "message": "not today"}
    assert [call["name"] for call in await world.calls(run_id)] == ["noop", "noop"]
    assert await violations(world) == [("step.start", False)]


@pytest.mark.parametrize("approve", [True, False])
async def test_a_step_waits_before_it_starts_and_is_asked_about_once(world: World, approve: bool) -> None:
    await world.rules(rule("step.start", "require_approval"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work(lambda: asked(world))
    assert (await world.calls(run_id), (await world.steps(run_id))["only"]["status"]) == ([], "waiting")
    await answer_approval(world.engine, world.ben, await question(world), approve=approve, comment="so")
    await world.work_until(run_id)
    assert await world.status(run_id) == ("succeeded" if approve else "failed")
    status = await world.database.pool.fetchval("SELECT status FROM approvals")
    assert status == ("consumed" if approve else "rejected")


async def test_a_question_of_a_step_and_the_question_whether_it_starts_are_two(world: World) -> None:
    source = "version: 1\nname: asks\nsteps:\n  - {id: sure, type: approval, with: {title: sure}}\n"
    await world.rules(rule("step.start", "require_approval"))
    run_id = await world.run(await world.workflow(source))
    for _ in range(2):
        await world.work(lambda: asked(world))
        await answer_approval(world.engine, world.ben, await question(world), approve=True, comment=None)
    await world.work_until(run_id)
    titles = await world.database.pool.fetch("SELECT title FROM approvals ORDER BY requested_at")
    assert [row["title"] for row in titles] == ["May sure start?", "sure"]


async def test_what_a_person_allowed_starts_only_if_the_rules_of_today_do_not_deny(world: World) -> None:
    await world.rules(rule("step.start", "require_approval"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work(lambda: asked(world))
    await answer_approval(world.engine, world.ben, await question(world), approve=True, comment=None)
    await world.rules(rule("step.start"))
    await world.work_until(run_id)
    assert (await world.steps(run_id))["only"]["error"]["code"] == "denied"
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == "withdrawn"


@pytest.mark.parametrize("answered", [True, False])
async def test_a_question_that_no_rule_asks_any_more_is_withdrawn(world: World, answered: bool) -> None:
    await world.rules(rule("step.start", "require_approval"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work(lambda: asked(world))
    await world.rules()
    if answered:
        await answer_approval(world.engine, world.ben, await question(world), approve=True, comment=None)
    else:
        await world.sql("UPDATE steps SET status = 'ready', waiting_for = NULL WHERE run_id = $1", run_id)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == "withdrawn"


@pytest.mark.parametrize("status", ["rejected", "expired"])
async def test_a_no_to_a_start_stays_a_no_where_no_rule_asks_any_more(world: World, status: str) -> None:
    await world.rules(rule("step.start", "require_approval"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work(lambda: asked(world))
    if status == "rejected":
        await answer_approval(world.engine, world.ben, await question(world), approve=False, comment=None)
    else:
        await world.sql("UPDATE approvals SET status = 'expired'")
        await world.sql("UPDATE steps SET status = 'ready', waiting_for = NULL WHERE run_id = $1", run_id)
    await world.rules()
    await world.work_until(run_id)
    assert await world.status(run_id) == "failed"
    assert await world.calls(run_id) == []
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == status


async def asked(world: World) -> bool:
    return bool(await world.database.pool.fetchval("SELECT count(*) FROM approvals WHERE status = 'pending'"))


async def question(world: World) -> UUID:
    found: UUID = await world.database.pool.fetchval("SELECT id FROM approvals WHERE status = 'pending'")
    return found


# output


@pytest.mark.parametrize("declared", ["", 'output: {n: "${{ steps.a.output.n }}"}'], ids=["of the leaves", "declared"])
@pytest.mark.parametrize("n", [1, 2])
async def test_an_output_that_the_rules_deny_is_not_handed_out(world: World, declared: str, n: int) -> None:
    await world.rules(rule("output", when="has(output.a) && output.a.n > 1 || has(output.n) && output.n > 1"))
    run_id = await world.run(await world.workflow(WITH_INPUT.replace("OUTPUT", declared)), input={"n": n})
    await world.work_until(run_id)
    run = await world.row(run_id)
    if n == 1:
        assert (run["status"], run["output"] is None) == ("succeeded", False)
    else:
        assert (run["status"], run["output"], run["error"]["code"]) == ("failed", None, "output-denied")
        assert await violations(world) == [("output", False)]
    assert len(await decisions(world, "output")) == 1


@pytest.mark.parametrize("n", [1, 2])
async def test_the_output_of_a_run_that_ends_as_it_begins_is_judged(world: World, n: int) -> None:
    await world.rules(rule("output", when="output.a > 1"))
    run_id = await world.run(await world.workflow(INLINE), input={"n": n})
    run = await world.row(run_id)
    assert (run["status"], run["output"]) == (("succeeded", {"a": 1}) if n == 1 else ("failed", None))
    assert len(await decisions(world, "output")) == 1


async def test_an_output_is_judged_by_its_labels(world: World) -> None:
    await world.rules(rule("output", when='labels.exists(l, l.startsWith("private:"))'))
    source = WITH_INPUT.replace("OUTPUT", "")
    run_id = await world.run(await world.workflow(source), input={"n": 1}, labels=frozenset({"private:staff"}))
    await world.work_until(run_id)
    assert (await world.row(run_id))["error"]["code"] == "output-denied"


async def test_what_was_done_is_taken_back_where_the_output_is_denied(world: World) -> None:
    source = """
version: 1
name: undoes
steps:
  - {id: a, type: tool, tool: noop, undo: {type: tool, tool: noop}}
"""
    await world.rules(rule("output"))
    run_id = await world.run(await world.workflow(source))
    await world.work_until(run_id)
    assert (await world.steps(run_id))["a:undo"]["status"] == "succeeded"
    assert (await world.row(run_id))["error"]["code"] == "output-denied"


# monitor


@pytest.mark.parametrize("subject", ["run.create", "step.start", "tool.call", "output"])
async def test_a_rule_that_monitors_stops_nothing_and_makes_a_violation(world: World, subject: str) -> None:
    await world.rules(rule(subject, mode="monitor", severity="high"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    assert await violations(world) == [(subject, True)]


@pytest.mark.parametrize("effect", ["require_approval", "deny"])
async def test_a_rule_that_monitors_and_cannot_be_evaluated_makes_the_violation_that_it_would_make(
    world: World, effect: str
) -> None:
    await world.rules(rule("tool.call", effect, mode="monitor", severity="high", when="args.amount > 5"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    assert await violations(world) == [("tool.call", True)]
    broken = await world.database.pool.fetchrow("SELECT rule, severity, reason FROM violations")
    assert (broken["rule"], broken["severity"]) == ("no-tool.call", "high")
    assert "could not be evaluated, so it would deny" in broken["reason"]
    (decision,) = await decisions(world, "tool.call")
    assert (decision["outcome"], decision["monitored"][0]["effect"]) == ("allow", "deny")


async def test_a_policy_published_while_a_call_waits_is_applied_when_it_is_dispatched(world: World) -> None:
    held = {"name": "hold", "on": ["tool.call"], "effect": "require_approval"}
    await world.rules(held)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work(lambda: asked(world))
    await answer_approval(world.engine, world.ben, await question(world), approve=True, comment=None)
    await world.rules(rule("tool.call"))
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert (call["status"], call["error"]["rule"], call["sends"]) == ("denied", "no-tool.call", 0)


# What was judged by


@pytest.mark.parametrize(
    ("subject", "elsewhere"),
    [
        ("run.create", {"input": {"n": 5}}),
        ("step.start", {}),
        ("tool.call", {"args": {"n": 5}}),
        ("output", {"output": {"a": {"n": 5}}}),
    ],
)
async def test_the_digest_of_the_facts_covers_also_those_that_are_kept_elsewhere(
    world: World, subject: str, elsewhere: dict[str, Any]
) -> None:
    await world.rules(rule(subject, "allow"))
    run_id = await world.run(await world.workflow(WITH_INPUT.replace("OUTPUT", "")), input={"n": 5})
    await world.work_until(run_id)
    (decision,) = await decisions(world, subject)
    assert not elsewhere.keys() & decision["facts"].keys()
    assert decision["facts_digest"] == digest({**decision["facts"], **elsewhere})


# Under the rules of today


async def judged(
    world: World, claim: Claim, outcome: str, *, stamp: int = 1, demands: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """What the start of an attempt comes to, as it was judged under this stamp."""
    asked = {"start": claim.path}
    decision: dict[str, Any] = {
        "subject": "step.start",
        "outcome": outcome,
        "rule": "r",
        "facts": {},
        "request_hash": digest(asked),
    }
    more = {"request": asked, "title": "may I", "approval_id": str(new_id()), "approval_seconds": 60}
    decision["demands"] = demands
    return await judge_step(world.engine, claim.lease, {**decision, **more, "policy_version": stamp})


async def test_the_start_of_a_step_is_judged_anew_where_the_rules_have_changed(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await world.rules(rule("step.start"))
    with pytest.raises(PolicyChanged):
        await judged(world, held, "allow")
    assert await decisions(world, "step.start") == []


async def test_a_step_that_was_asked_to_stop_does_not_start(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await cancel_run(world.engine, world.ada, run_id)
    with pytest.raises(CancelRequested):
        await judged(world, held, "allow")


async def test_consent_to_a_start_that_came_too_late_counts_as_none(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    assert (await judged(world, held, "require_approval"))["status"] == "pending"
    await answer_approval(world.engine, world.ben, await question(world), approve=True, comment=None)
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
    assert (await judged(world, held, "require_approval"))["status"] == "expired"


async def test_a_run_that_was_judged_under_other_rules_is_judged_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules change after the run was judged, and before it is written."""
    name = await world.workflow(ONE_STEP)
    await world.rules(rule("run.create", "allow"))
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
    assert [each["outcome"] for each in await decisions(world, "run.create")] == ["deny"]


async def test_a_run_is_not_refused_by_rules_that_have_changed(world: World) -> None:
    await world.rules(rule("run.create"))
    refused = {
        "run_id": str(new_id()),
        "project_id": str(world.project_id),
        "actor": "user:-",
        "request_hash": "-",
        "subject": "run.create",
        "outcome": "deny",
        "facts": {},
        "policy_version": 1,
    }
    assert await call(world.database.pool, "refuse_run", refused) is False
    assert await decisions(world, "run.create") == []


async def test_the_transaction_that_ends_runs_leaves_those_whose_output_is_judged(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    await world.rules(rule("output"))
    without_rules = replace(world, engine=replace(world.engine, policies=None))
    await succeed(without_rules, worker, held)
    assert await world.status(run_id) == "running", "nobody here could judge it"
    assert await world.database.pool.fetchval("SELECT count(*) FROM unadvanced WHERE run_id = $1", run_id) > 0
    await sweep(world.engine, ("run",))
    assert (await world.row(run_id))["error"]["code"] == "output-denied"
