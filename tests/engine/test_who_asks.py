"""Consent is to the rules that asked for it, with the words that they had: it is not inherited by another."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from sparkops.engine.budgets import archive_budget
from tests.engine.acts import HOLD_NOOP, ONE_STEP, prepared, proposal
from tests.engine.clearances import advance_and_admit, asks, questions
from tests.engine.conftest import World
from tests.engine.test_budgets import at, budget
from tests.engine.test_consent import demands, held_call, pending, row, status, waits, yes
from tests.engine.test_subjects import judged

OTHER = {**HOLD_NOOP, "name": "other", "reason": "look again"}
START = {**HOLD_NOOP, "on": ["step.start"]}


def asking(*names: str) -> dict[str, Any]:
    """What a judge says of a call about which these rules ask, each with its name for a reason."""
    rules = [{"policy_id": "p", "rule": name, "reason": f"because {name}"} for name in names]
    return {"outcome": "require_approval", "rule": names[0], "demands": demands(rules=rules)}


async def answered(world: World, *rules: Mapping[str, Any]) -> tuple[UUID, UUID]:
    """A run whose step was asked about by these rules, and the question, which has a yes that nobody has heeded."""
    await world.rules(*rules)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await waits(world, run_id)
    question = await pending(world)
    await yes(world, world.ben, question)
    return run_id, question


@pytest.mark.parametrize("rule", [HOLD_NOOP, START], ids=["call", "start"])
@pytest.mark.parametrize(
    "changed",
    [{"name": "other"}, {"reason": "look again"}],
    ids=["another rule", "another reason"],
)
async def test_a_yes_does_not_count_for_what_another_rule_asks_by_now(
    world: World, rule: dict[str, Any], changed: dict[str, Any]
) -> None:
    run_id, first = await answered(world, rule)
    await world.rules({**rule, **changed})
    await waits(world, run_id)
    second = await pending(world)
    asked = await row(world, second)
    assert await status(world, first) == "withdrawn"
    assert (asked["rule"], asked["reason"]) == tuple({**rule, **changed}[key] for key in ("name", "reason"))
    await yes(world, world.ben, second)
    await world.work_until(run_id)
    assert (await world.status(run_id), await status(world, second)) == ("succeeded", "consumed")


@pytest.mark.parametrize("rule", [HOLD_NOOP, START], ids=["call", "start"])
async def test_a_rule_that_is_published_again_with_the_same_words_does_not_ask_twice(
    world: World, rule: dict[str, Any]
) -> None:
    run_id, question = await answered(world, rule)
    await world.rules({**rule, "severity": "high"})
    await world.work_until(run_id)
    assert (await world.status(run_id), await status(world, question)) == ("succeeded", "consumed")
    assert (await world.kinds(run_id)).count("approval.requested") == 1


async def test_of_several_rules_that_ask_every_one_is_named_and_one_that_asks_no_more_changes_nothing(
    world: World,
) -> None:
    run_id, question = await answered(world, HOLD_NOOP, OTHER)
    assert (await row(world, question))["reason"] == "look first\nlook again"
    await world.rules(OTHER)
    await world.work_until(run_id)
    assert (await world.status(run_id), await status(world, question)) == ("succeeded", "consumed")


async def test_a_rule_that_joins_those_that_ask_is_asked_for_anew(world: World) -> None:
    run_id, first = await answered(world, HOLD_NOOP)
    await world.rules(HOLD_NOOP, OTHER)
    await waits(world, run_id)
    assert (await status(world, first), (await row(world, await pending(world)))["rule"]) == ("withdrawn", "look-first")


async def test_the_consent_to_a_start_is_for_later_attempts_only_where_no_other_rule_asks(world: World) -> None:
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    before, after = asking("look")["demands"], asking("other")["demands"]
    await judged(world, held, "require_approval", demands=before)
    first = await pending(world)
    await yes(world, world.ben, first)
    said = [(await judged(world, held, "require_approval", demands=one))["status"] for one in (before, before, after)]
    assert said == ["allowed", "allowed", "pending"]
    assert (await status(world, first), await pending(world) != first) == ("consumed", True)


@pytest.mark.parametrize("changed", [{"name": "other"}, {"reason": "look again"}], ids=["name", "reason"])
async def test_a_run_that_another_rule_asks_about_by_now_is_asked_about_anew(
    world: World, changed: dict[str, Any]
) -> None:
    rule = asks("run.create")
    await world.rules(rule)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.rules({**rule, **changed})
    await advance_and_admit(world, run_id)
    assert [one["status"] for one in await questions(world)] == ["withdrawn", "pending"]
    await world.rules({**rule, **changed, "severity": "high"})
    await advance_and_admit(world, run_id)
    assert [one["status"] for one in await questions(world)] == ["withdrawn", "pending"]


async def test_a_yes_to_a_budget_does_not_count_for_a_rule(world: World) -> None:
    shared = await budget(world, limit_micros=100, thresholds=[at(50, "require_approval")])
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    (first,) = await prepared(world, held, proposal(bound_micros=60))
    await yes(world, world.ben, UUID(first["approval_id"]))
    await archive_budget(world.engine, world.ada, shared)
    (second,) = await prepared(world, held, proposal(bound_micros=60, **asking("look")))
    assert (first["verdict"], second["verdict"]) == ("waiting", "waiting")
    assert second["approval_id"] != first["approval_id"]


async def test_the_yes_that_a_lost_call_went_out_with_is_for_the_rules_that_asked(world: World) -> None:
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    (asked,) = await prepared(world, held, proposal(**asking("look")))
    await yes(world, world.ben, UUID(asked["approval_id"]))
    await prepared(world, held, proposal(**asking("look")))
    (sent,) = await prepared(world, held, proposal(**asking("look")))
    (held_back,) = await prepared(world, held, proposal(**asking("look", "other")))
    assert (sent["verdict"], sent["send_no"], held_back["verdict"]) == ("send", 2, "waiting")


async def test_a_question_that_did_not_note_the_rules_is_known_by_what_it_takes(world: World) -> None:
    held, question = await held_call(world)
    await world.sql("UPDATE approvals SET demands = demands - 'rules'")
    await yes(world, world.ben, question)
    (sent,) = await prepared(world, held, proposal(**asking("look")))
    assert sent["verdict"] == "send"


# Budgets that ask


ASKS_BEYOND_HALF = [at(50, "require_approval"), at(900, "deny")]


async def named(world: World, question: UUID | str) -> set[str]:
    return {budget["name"] for budget in (await row(world, UUID(str(question))))["budgets"]}


async def test_a_yes_to_a_rule_lets_a_call_pass_the_budgets_that_the_question_names(world: World) -> None:
    await budget(world, limit_micros=100, thresholds=ASKS_BEYOND_HALF)
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    call: dict[str, Any] = {"bound_micros": 60, **asking("look")}
    (asked,) = await prepared(world, held, proposal(**call))
    assert await named(world, asked["approval_id"]) == {"all"}
    await yes(world, world.ben, UUID(asked["approval_id"]))
    (sent,) = await prepared(world, held, proposal(**call))
    assert sent["verdict"] == "send"


@pytest.mark.parametrize("by_rule", [True, False], ids=["the rule asks still", "no rule asks"])
async def test_a_budget_that_asks_by_now_is_asked_about_anew(world: World, by_rule: bool) -> None:
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    (first,) = await prepared(world, held, proposal(bound_micros=60, **asking("look")))
    assert await named(world, first["approval_id"]) == set()
    await yes(world, world.ben, UUID(first["approval_id"]))
    await budget(world, limit_micros=100, thresholds=ASKS_BEYOND_HALF)
    call: dict[str, Any] = {"bound_micros": 60, **(asking("look") if by_rule else {})}
    (second,) = await prepared(world, held, proposal(**call))
    assert (second["verdict"], await named(world, second["approval_id"])) == ("waiting", {"all"})
    assert [one["status"] for one in await questions(world)] == ["withdrawn", "pending"]
    assert (await questions(world))[-1]["rule"] == ("look" if by_rule else "budget")
    await yes(world, world.ben, UUID(second["approval_id"]))
    (sent,) = await prepared(world, held, proposal(**call))
    assert (sent["verdict"], sent["send_no"]) == ("send", 1)


async def test_of_several_budgets_that_ask_every_one_is_named_and_another_is_asked_about_anew(world: World) -> None:
    for name in ("one", "two"):
        await budget(world, name=name, limit_micros=100, thresholds=ASKS_BEYOND_HALF)
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    (first,) = await prepared(world, held, proposal(bound_micros=60))
    assert await named(world, first["approval_id"]) == {"one", "two"}
    await yes(world, world.ben, UUID(first["approval_id"]))
    await budget(world, name="three", limit_micros=100, thresholds=ASKS_BEYOND_HALF)
    (second,) = await prepared(world, held, proposal(bound_micros=60))
    assert (second["verdict"], await named(world, second["approval_id"])) == ("waiting", {"one", "two", "three"})


async def test_the_yes_that_a_lost_call_went_out_with_passes_no_budget_that_asks_by_now(world: World) -> None:
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    call: dict[str, Any] = {"bound_micros": 60, **asking("look")}
    (first,) = await prepared(world, held, proposal(**call))
    await yes(world, world.ben, UUID(first["approval_id"]))
    await prepared(world, held, proposal(**call))
    await budget(world, limit_micros=100, thresholds=ASKS_BEYOND_HALF)
    (second,) = await prepared(world, held, proposal(**call))
    assert (second["verdict"], await named(world, second["approval_id"])) == ("waiting", {"all"})


async def test_a_budget_that_does_not_ask_is_not_named(world: World) -> None:
    await budget(world, name="near", limit_micros=100, thresholds=[at(70, "require_approval"), at(900, "deny")])
    await budget(world, name="pauses", limit_micros=50, thresholds=[at(100, "pause")])
    _, held = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    (asked,) = await prepared(world, held, proposal(bound_micros=60, **asking("look")))
    assert (asked["verdict"], await named(world, asked["approval_id"])) == ("waiting", set())
