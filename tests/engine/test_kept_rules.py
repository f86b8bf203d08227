"""Compiled rules are kept: for all projects in which the same versions hold, and whatever else changes."""

from typing import Any
from uuid import UUID

import pytest

from sparkops.core.json import Json
from sparkops.domains.budgets.definition import Terms
from sparkops.domains.policies import evaluate
from sparkops.domains.policies.facts import Subject
from sparkops.engine.budgets import change_budget
from sparkops.runtime import policies
from sparkops.runtime.policies import PolicyCache, Rules
from tests.engine.conftest import World
from tests.engine.test_budgets import budget, stamp
from tests.engine.test_subjects import rule

KNOWN: dict[str, Json] = {
    "tool.name": "noop",
    "workflow.name": "one",
    "model": "",
    "agent.name": "",
    "run.cost_micros": 1,
}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was compiled: conditions that are asked together."""
    made: list[object] = []
    before = vars(evaluate)["Conditions"]

    def compiling(*given: Any) -> Any:
        made.append(given)
        return before(*given)

    monkeypatch.setattr(evaluate, "Conditions", compiling)
    return made


async def judged(cache: PolicyCache, project_id: UUID, since: int = 0) -> Rules:
    rules = await cache.get(project_id, since)
    rules.judge(Subject.STEP_START, "noop", dict(KNOWN))
    return rules


async def test_a_changed_budget_compiles_nothing(world: World, compiled: list[object]) -> None:
    await world.rules(rule("step.start", when="run.cost_micros > 5"))
    shared = await budget(world, limit_micros=100)
    cache = PolicyCache(world.database)
    before = await judged(cache, world.project_id)
    assert compiled
    compiled.clear()
    await change_budget(world.engine, world.ada, shared, Terms(name="all", limit_calls=7))
    now = await judged(cache, world.project_id, await stamp(world))
    assert now.version > before.version
    assert (before.counts_calls, now.counts_calls) == (False, True)
    assert compiled == []


async def test_a_changed_rule_and_another_default_hold_at_once(world: World, compiled: list[object]) -> None:
    cache = PolicyCache(world.database)
    await world.rules(rule("step.start", when="run.cost_micros > 5"))
    assert (await judged(cache, world.project_id)).judge(Subject.STEP_START, "x", dict(KNOWN))["outcome"] == "allow"
    await world.sql("UPDATE projects SET default_effect = 'deny'")
    cache.forget(world.project_id)
    assert (await judged(cache, world.project_id)).judge(Subject.STEP_START, "x", dict(KNOWN))["outcome"] == "deny"
    await world.rules(rule("step.start", "allow", when="run.cost_micros > 0"))
    cache.forget(world.project_id)
    assert (await judged(cache, world.project_id)).judge(Subject.STEP_START, "x", dict(KNOWN))["outcome"] == "allow"


async def test_no_more_are_kept_than_may_be(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "_MAX_SETS", 2)
    cache = PolicyCache(world.database)
    for cost in range(5):
        await world.rules(rule("step.start", when=f"run.cost_micros > {cost}"))
        cache.forget(world.project_id)
        await judged(cache, world.project_id)
    assert len(cache._sets) <= 2
