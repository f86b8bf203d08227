"""T_ACCEPT: after it a run exists whole, once, and for the right person."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from sparkops.core.errors import Invalid, NotFound
from sparkops.engine.accept import Accepted, IdempotencyMismatch, RunRequest, accept_run
from tests.engine.acts import ONE_STEP
from tests.engine.conftest import World

WITH_INPUT = """
version: 1
name: sums
input:
  type: object
  properties: {year: {type: integer, default: 2014}, place: {type: string}}
  required: [place]
budget_usd: "0.50"
timeout: 30m
steps:
  - {id: only, type: tool, tool: noop, with: {year: "${{ input.year }}"}}
"""
ONLY_TRANSFORMS = """
version: 1
name: instant
steps:
  - {id: a, type: transform, with: {value: 2}}
  - {id: b, type: transform, needs: [a], with: {value: "${{ steps.a.output * 3 }}"}}
  - {id: no, type: transform, if: "${{ steps.a.output > 5 }}", needs: [a], with: {value: 1}}
output: {six: "${{ steps.b.output }}"}
"""
DOOMED = """
version: 1
name: doomed
steps:
  - {id: a, type: transform, with: {value: "${{ 1 / 0 }}"}}
  - {id: b, type: tool, tool: noop, needs: [a]}
"""
WITH_AGENT = """
version: 1
name: asks
steps:
  - {id: only, type: agent, agent: scout, with: {prompt: hello}}
"""


async def test_the_same_key_and_body_give_the_first_run_again(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    first = await world.accept(name, idem_key="k")
    again = await world.accept(name, idem_key="k")
    assert (first.created, again.created, again.run_id) == (True, False, first.run_id)
    assert await world.database.pool.fetchval("SELECT count(*) FROM runs") == 1


async def test_the_same_key_with_another_body_is_refused(world: World) -> None:
    name = await world.workflow(WITH_INPUT)
    await world.accept(name, idem_key="k", input={"place": "Seattle"})
    with pytest.raises(IdempotencyMismatch):
        await world.accept(name, idem_key="k", input={"place": "Oslo"})


async def test_a_repeat_whose_first_request_is_still_committing_waits_for_it(world: World) -> None:
    request = RunRequest(world.project_id, await world.workflow(ONE_STEP), idem_key="k")
    async with world.transaction() as first:
        accepted = await accept_run(first, world.ada, request)
        repeat = await world.blocked(accept_run(world.engine, world.ada, request))
    assert await repeat == Accepted(accepted.run_id, created=False)


async def test_another_body_is_refused_also_while_the_first_request_is_still_committing(world: World) -> None:
    request = RunRequest(world.project_id, await world.workflow(ONE_STEP), idem_key="k")
    async with world.transaction() as first:
        await accept_run(first, world.ada, request)
        other = await world.blocked(accept_run(world.engine, world.ada, replace(request, budget_micros=1)))
    with pytest.raises(IdempotencyMismatch):
        await other


async def test_twenty_posts_with_one_key_make_one_run(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    answers = await asyncio.gather(*(world.accept(name, idem_key="k") for _ in range(20)))
    assert len({answer.run_id for answer in answers}) == 1
    assert sum(answer.created for answer in answers) == 1


async def test_a_repeat_is_answered_although_the_workflow_has_changed_meanwhile(world: World) -> None:
    name = await world.workflow(WITH_INPUT)
    first = await world.accept(name, idem_key="k", input={"place": "Seattle"})
    stricter: dict[str, Any] = {"type": "object", "properties": {"place": {"type": "integer"}}}
    await world.sql(
        """
        WITH old AS (SELECT * FROM workflow_versions)
        INSERT INTO workflow_versions (id, project_id, workflow_id, version, source, definition, digest)
        SELECT gen_random_uuid(), project_id, workflow_id, 2, source, definition || $1, 'other' FROM old
        """,
        {"input": stricter},
    )
    await world.sql("UPDATE workflows SET latest_version = 2")
    again = await world.accept(name, idem_key="k", input={"place": "Seattle"})
    assert again.run_id == first.run_id


async def test_a_stranger_and_a_wrong_name_find_nothing(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    for principal, wanted, version in [(world.eve, name, None), (world.ada, "other", None), (world.ada, name, 7)]:
        with pytest.raises(NotFound):
            await accept_run(world.engine, principal, RunRequest(world.project_id, wanted, version=version))


async def test_the_input_gets_its_defaults_and_must_fit(world: World) -> None:
    name = await world.workflow(WITH_INPUT)
    run_id = await world.run(name, input={"place": "Oslo"})
    assert (await world.row(run_id))["input"] == {"place": "Oslo", "year": 2014}
    for wrong in (None, {"place": 3}, {"place": "Oslo", "more": 1}):
        with pytest.raises(Invalid):
            await world.run(name, input=wrong)


@pytest.mark.parametrize(
    ("source", "asked", "limit"),
    [
        (WITH_INPUT, None, 500_000),
        (WITH_INPUT, 400_000, 400_000),
        (WITH_INPUT, 900_000, 500_000),
        (ONE_STEP, None, 5_000_000),
        (ONE_STEP, 0, 0),
    ],
)
async def test_a_request_may_lower_the_budget_and_not_raise_it(
    world: World, source: str, asked: int | None, limit: int
) -> None:
    given = {"input": {"place": "Oslo"}} if source is WITH_INPUT else {}
    run_id = await world.run(await world.workflow(source), budget_micros=asked, **given)
    assert await world.database.pool.fetchval("SELECT limit_micros FROM budgets WHERE scope_id = $1", run_id) == limit


async def test_a_run_keeps_the_agent_version_that_it_started_with(world: World) -> None:
    name = await world.workflow(WITH_AGENT)
    with pytest.raises(Invalid, match="scout"):
        await world.run(name)
    await world.agent("scout", {"model": "scripted", "instructions": "look", "script": {"turns": [{"text": "hi"}]}})
    run_id = await world.run(name)
    version = await world.database.pool.fetchval("SELECT id FROM agent_versions")
    assert (await world.row(run_id))["pins"] == {"agents": {"scout": str(version)}}


async def test_a_workflow_of_transforms_ends_at_acceptance(world: World) -> None:
    run_id = await world.run(await world.workflow(ONLY_TRANSFORMS))
    run, steps = await world.row(run_id), await world.steps(run_id)
    assert (run["status"], run["output"]) == ("succeeded", {"six": 6})
    assert {key: step["status"] for key, step in steps.items()} == {
        "a": "succeeded",
        "b": "succeeded",
        "no": "skipped",
    }
    assert await world.kinds(run_id) == [
        *("run.created", "run.started", "step.succeeded", "step.succeeded", "step.skipped", "run.succeeded")
    ]
    skipped = await world.database.pool.fetchval("SELECT data ->> 'reason' FROM events WHERE kind = 'step.skipped'")
    assert skipped == "condition"


async def test_a_run_that_cannot_go_on_fails_at_acceptance(world: World) -> None:
    run_id = await world.run(await world.workflow(DOOMED))
    run, steps = await world.row(run_id), await world.steps(run_id)
    assert (run["status"], run["error"]["step"]) == ("failed", "a")
    assert (steps["a"]["error"]["code"], steps["b"]["status"]) == ("expression-failed", "skipped")


async def test_run_steps_budget_log_and_audit_come_in_one_transaction(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    tables = ("runs", "steps", "budgets", "events", "audit", "run_counters")

    async def counts() -> list[int]:
        return [await world.database.pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables]

    async with world.transaction(commit=False) as engine:
        await accept_run(engine, world.ada, RunRequest(world.project_id, name))
        assert await counts() == [0] * 6
    assert await counts() == [0] * 6

    run_id = await world.run(name)
    assert await counts() == [1, 1, 1, 3, 1, 1]
    line = await world.database.pool.fetchrow("SELECT * FROM audit")
    assert (line["actor"], line["action"], line["object"]) == (
        f"user:{world.ada.user_id}",
        "run.create",
        f"run:{run_id}",
    )
