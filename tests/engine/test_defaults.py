"""What is decided where no rule matches: the default of the project, on every subject alike."""

from dataclasses import replace
from typing import Any

import pytest

from sparkops.domains.policies.queries import rules_changed
from sparkops.domains.projects.queries import change_judging
from sparkops.engine.answer import answer_approval
from sparkops.engine.judging import DeniedByPolicy
from sparkops.engine.sweep import sweep
from tests.engine.acts import ONE_STEP, succeed
from tests.engine.clearances import asks, pending
from tests.engine.conftest import World
from tests.engine.test_ahead import CHAIN
from tests.engine.test_subjects import INLINE, asked, decisions, violations

SUBJECTS = ["run.create", "step.start", "tool.call", "output"]
ELSEWHERE: dict[str, dict[str, Any]] = {
    subject: {"name": "watched", "on": [subject], "effect": "deny", "mode": "monitor", "workflows": ["another"]}
    for subject in SUBJECTS
}
"""Rules that decide nothing, about what is not run here."""


async def denies(world: World, effect: str = "deny") -> None:
    """Let the default of the project be this from now on."""
    async with world.database.sessions.begin() as session:
        await change_judging(session, world.ada, project_id=world.project_id, default_effect=effect)
        await rules_changed(session, scope_id=world.project_id)


def allowing(*subjects: str) -> dict[str, Any]:
    return {"name": "everyday", "on": list(subjects), "effect": "allow"}


async def stopped_at(world: World, name: str) -> str | None:
    """Return what did not let a run of one step come to its end; None: nothing."""
    try:
        run_id = await world.run(name)
    except DeniedByPolicy:
        return "run.create"
    await world.work_until(run_id)
    code = {each["error"]["code"] for each in (await world.steps(run_id)).values() if each["error"]}
    if code == {"denied"}:
        return "step.start" if not await world.calls(run_id) else "tool.call"
    return "output" if ((await world.row(run_id))["error"] or {}).get("code") == "output-denied" else None


@pytest.mark.parametrize("watched", [False, True], ids=["no rule", "a rule that watches another workflow"])
@pytest.mark.parametrize("subject", SUBJECTS)
async def test_a_default_that_denies_holds_on_each_subject_whether_a_rule_is_on_it_or_not(
    world: World, subject: str, watched: bool
) -> None:
    name = await world.workflow(ONE_STEP)
    await denies(world)
    others = allowing(*[each for each in SUBJECTS if each != subject])
    await world.rules(others, *[ELSEWHERE[subject]] * watched)
    assert await stopped_at(world, name) == subject
    (decision,) = [each for each in await decisions(world, subject) if each["outcome"] == "deny"]
    assert decision["rule"] is None
    assert decision["reason"] == f"No rule allows it, and the project denies what no rule allows ({subject})."
    assert await violations(world) == [(subject, False)]


async def test_a_default_that_denies_lets_through_what_a_rule_allows(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    await denies(world)
    await world.rules(allowing(*SUBJECTS))
    assert await stopped_at(world, name) is None
    assert {subject: len(await decisions(world, subject)) for subject in SUBJECTS} == dict.fromkeys(SUBJECTS, 1)


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_a_default_that_allows_lets_through_what_no_rule_speaks_of(world: World, subject: str) -> None:
    name = await world.workflow(ONE_STEP)
    await world.rules(ELSEWHERE[subject])
    assert await stopped_at(world, name) is None


async def test_where_the_default_allows_and_no_rule_is_on_a_subject_nothing_is_judged(world: World) -> None:
    assert await stopped_at(world, await world.workflow(ONE_STEP)) is None
    for subject in ("run.create", "step.start", "output"):
        assert await decisions(world, subject) == []


async def test_each_step_of_a_chain_is_judged_where_the_default_denies(world: World) -> None:
    name = await world.workflow(CHAIN)
    await denies(world)
    await world.rules(
        allowing("run.create", "tool.call", "output"),
        {**allowing("step.start"), "name": "a-and-b", "when": 'step.key in ["a", "b"]'},
    )
    run_id = await world.run(name)
    await world.work_until(run_id)
    steps = await world.steps(run_id)
    assert [step["status"] for step in steps.values()] == ["succeeded", "succeeded", "failed", "skipped"]


async def test_the_output_of_a_run_that_ends_as_it_begins_is_denied_by_default(world: World) -> None:
    name = await world.workflow(INLINE)
    await denies(world)
    await world.rules(allowing("run.create"))
    run = await world.row(await world.run(name, input={"n": 1}))
    assert (run["status"], run["output"], run["error"]["code"]) == ("failed", None, "output-denied")


async def test_the_transaction_that_ends_runs_leaves_those_whose_output_the_default_denies(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    await denies(world)
    await succeed(replace(world, engine=replace(world.engine, policies=None)), worker, held)
    assert await world.status(run_id) == "running", "nobody here could judge it"
    await sweep(world.engine, ("run",))
    assert (await world.row(run_id))["error"]["code"] == "output-denied"


async def test_a_run_that_waits_for_people_is_denied_where_nothing_allows_it_any_more(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await denies(world)
    await world.rules()
    await answer_approval(world.engine, world.ben, await pending(world), approve=True, comment=None)
    run = await world.row(run_id)
    assert (run["status"], run["error"]["code"]) == ("denied", "denied-by-policy")


async def test_a_step_that_waits_for_people_is_denied_where_nothing_allows_it_any_more(world: World) -> None:
    await world.rules(asks("step.start"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.work(lambda: asked(world))
    await denies(world)
    await world.rules()
    await answer_approval(world.engine, world.ben, await pending(world), approve=True, comment=None)
    await world.work_until(run_id)
    assert (await world.steps(run_id))["only"]["error"]["code"] == "denied"
    assert await world.calls(run_id) == []
