"""Steps that are run before they are claimed: recorded whole with the step before them, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import monotonic
from typing import Any
from uuid import UUID

import pytest

from sparkops.domains.runs.state import StepStatus
from sparkops.engine.cancel import cancel_run
from sparkops.engine.complete import Completion, Ended, complete
from sparkops.engine.context import Worker
from sparkops.engine.give_back import reap
from sparkops.engine.halts import Kind, Scope
from sparkops.engine.pause import pause_run, resume_run
from sparkops.runtime import ahead
from sparkops.runtime.ahead import run_ahead
from sparkops.runtime.attempt import Runtime, execute
from sparkops.runtime.trust import Trust
from tests.engine.acts import ONE_STEP, rows, succeed
from tests.engine.conftest import World
from tests.engine.test_halts import halt, release

CHAIN = """
version: 1
name: chain
steps:
  - {id: a, type: tool, tool: noop, with: {n: 1}}
  - {id: b, type: tool, tool: noop, needs: [a], with: {n: "${{ steps.a.output.n + 1 }}"}}
  - {id: c, type: tool, tool: noop, needs: [b], with: {n: "${{ steps.b.output.n + steps.a.output.n }}"}}
  - {id: d, type: tool, tool: noop, needs: [c], with: {n: "${{ steps.c.output.n }}"}}
"""
ALONE = {"a": "succeeded", "b": "ready", "c": "pending", "d": "pending"}
WHOLE = dict.fromkeys("abcd", "succeeded")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes longer over a chain than is allowed in life."""
    monkeypatch.setattr(ahead, "SECONDS", 10.0)


async def ran(world: World, run_id: UUID, runtime: Runtime | None = None) -> tuple[Worker, Ended]:
    """Claim and execute the first step of a run, and what can be run ahead of it."""
    worker, claim = await world.claimed(run_id)
    runtime, trust = runtime or world.runtime(), Trust.since(monotonic(), 60)
    ended = await execute(runtime, claim, trust)
    assert isinstance(ended, Ended)
    return worker, await run_ahead(runtime, ended, trust)


async def recorded(world: World, worker: Worker, ended: Ended, take: int = 0) -> Completion:
    return await complete(world.engine, worker, [ended], claim=take)


def paths(ended: Ended) -> list[str]:
    return [each.path for each in ended.ahead]


async def test_a_chain_is_recorded_with_its_first_step_as_if_each_had_been_claimed(world: World) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    worker, ended = await ran(world, run_id)
    assert paths(ended) == ["b", "c", "d"]
    assert (await rows(world, run_id)) == {"a": "running", "b": "pending", "c": "pending", "d": "pending"}
    await recorded(world, worker, ended)

    assert await world.status(run_id) == "succeeded"
    steps = await world.steps(run_id)
    assert [step["output"]["n"] for step in steps.values()] == [1, 2, 3, 3]
    assert [(step["attempt"], step["worker_session"]) for step in steps.values()] == [(1, worker.session_id)] * 4
    times = [(step["started_at"], step["finished_at"]) for step in steps.values()]
    assert sorted(moment for pair in times for moment in pair) == [moment for pair in times for moment in pair]
    each = ["step.ready", "step.started", "call.done", "step.succeeded"]
    assert await world.kinds(run_id) == ["run.created", "run.started", *each, *each, *each, *each, "run.succeeded"]
    calls = await world.calls(run_id)
    decided = await world.database.pool.fetchval("SELECT count(*) FROM policy_decisions WHERE run_id = $1", run_id)
    assert (len(calls), decided) == (4, 4)


async def test_what_follows_the_chain_is_handed_over_and_taken(world: World) -> None:
    fans_out = CHAIN + "".join(f"  - {{id: {key}, type: tool, tool: noop, needs: [d]}}\n" for key in "ef")
    run_id = await world.run(await world.workflow(fans_out))
    worker, ended = await ran(world, run_id)
    assert paths(ended) == ["b", "c", "d"]
    done = await recorded(world, worker, ended, take=2)
    assert {claim.key for claim in done.claims} == {"e", "f"}


async def _cancel(world: World, run_id: UUID) -> None:
    await cancel_run(world.engine, world.ada, run_id)


async def _pause(world: World, run_id: UUID) -> None:
    await pause_run(world.engine, world.ada, run_id)


async def _stop(world: World, run_id: UUID) -> None:
    await halt(world, Kind.STOP)


async def _stop_all(world: World, run_id: UUID) -> None:
    await halt(world, Kind.STOP, Scope.INSTALLATION)


async def _pause_project(world: World, run_id: UUID) -> None:
    await halt(world, Kind.PAUSE)


async def _hold(world: World, run_id: UUID) -> None:
    await world.sql("UPDATE steps SET held = true WHERE run_id = $1 AND node_key = 'c'", run_id)


async def _ask_to_stop(world: World, run_id: UUID) -> None:
    await world.sql("UPDATE steps SET cancel_requested = true WHERE run_id = $1 AND node_key = 'b'", run_id)


async def _add_a_need(world: World, run_id: UUID) -> None:
    await world.sql(
        "UPDATE steps SET needs = needs || (SELECT id FROM steps WHERE run_id = $1 AND node_key = 'd')"
        " WHERE run_id = $1 AND node_key = 'b'",
        run_id,
    )


async def _take_a_need(world: World, run_id: UUID) -> None:
    await world.sql("UPDATE steps SET needs = needs[:0] WHERE run_id = $1 AND node_key = 'b'", run_id)


async def _ask_for_a_decision(world: World, run_id: UUID) -> None:
    await world.sql("UPDATE steps SET mechanical = false WHERE run_id = $1 AND node_key = 'b'", run_id)


async def _end_it(world: World, run_id: UUID) -> None:
    await world.sql(
        "UPDATE steps SET status = 'skipped', finished_at = clock_timestamp() WHERE run_id = $1 AND node_key = 'b'",
        run_id,
    )


async def _leave_the_end_to_a_worker(world: World, run_id: UUID) -> None:
    await world.sql("UPDATE steps SET hands_over = false WHERE run_id = $1 AND node_key = 'd'", run_id)


Change = Callable[[World, UUID], Awaitable[None]]


@pytest.mark.parametrize("change", [_pause, _stop, _stop_all, _pause_project])
async def test_where_work_is_held_back_the_first_step_ends_alone_and_the_rest_is_done_later(
    world: World, change: Change
) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    worker, ended = await ran(world, run_id)
    await change(world, run_id)
    assert (await recorded(world, worker, ended, take=3)).claims == []
    assert await rows(world, run_id) == ALONE
    if change is _pause:
        await resume_run(world.engine, world.ada, run_id)
    for halted in await world.database.pool.fetch("SELECT id FROM halts"):
        await release(world, halted["id"])
    await world.work_until(run_id)
    assert await rows(world, run_id) == WHOLE


BLOCKS = [_hold, _ask_to_stop, _add_a_need, _take_a_need, _end_it, _ask_for_a_decision, _leave_the_end_to_a_worker]


@pytest.mark.parametrize("change", BLOCKS)
async def test_a_chain_of_which_one_step_could_not_be_claimed_is_not_recorded_at_all(
    world: World, change: Change
) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    async with world.transaction(commit=False) as engine:
        here = replace(world, engine=engine)
        worker, ended = await ran(here, run_id)
        await engine.database.pool.fetchval("SELECT 1")
        await change(here, run_id)
        await recorded(here, worker, ended)
        found = {key: step["status"] for key, step in (await here.steps(run_id)).items()}
        assert {key: found[key] for key in "cd"} == {"c": "pending", "d": "pending"}
        assert found["a"] == "succeeded"
        assert found["b"] != "succeeded"


async def test_a_cancelled_run_records_nothing_that_was_run_ahead(world: World) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    worker, ended = await ran(world, run_id)
    await _cancel(world, run_id)
    await recorded(world, worker, ended)
    assert await rows(world, run_id) == {"a": "succeeded", **dict.fromkeys("bcd", "cancelled")}
    assert len(await world.calls(run_id)) == 1


async def test_rules_that_have_changed_refuse_the_whole_chain(world: World) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    worker, ended = await ran(world, run_id)
    await world.rules()
    done = await recorded(world, worker, ended)
    assert done.stale == {ended.claim.lease.step_id}
    assert await rows(world, run_id) == {"a": "running", "b": "pending", "c": "pending", "d": "pending"}


async def test_an_attempt_that_was_taken_over_records_nothing_of_its_chain(world: World) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    worker, ended = await ran(world, run_id)
    await world.lapse(ended.claim.lease.step_id)
    assert await reap(world.engine) == 1
    done = await recorded(world, worker, ended)
    assert (done.closed, await world.calls(run_id)) == (frozenset(), [])
    assert (await rows(world, run_id))["b"] == "pending"


async def test_a_chain_that_was_taken_over_is_not_recorded_with_that_of_another_run(world: World) -> None:
    name = await world.workflow(CHAIN)
    ends = []
    for _ in range(2):
        worker, ended = await ran(world, await world.run(name))
        ends.append(ended)
    await world.lapse(ends[0].claim.lease.step_id)
    assert await reap(world.engine) == 1
    await complete(world.engine, worker, ends, claim=0)
    assert (await rows(world, ends[0].claim.run_id))["b"] == "pending"
    assert await rows(world, ends[1].claim.run_id) == WHOLE


@pytest.mark.parametrize("scope", [Scope.PROJECT, Scope.INSTALLATION])
async def test_a_stop_waits_for_a_chain_that_is_being_recorded(world: World, scope: Scope) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    worker, ended = await ran(world, run_id)
    async with world.transaction() as engine:
        await complete(engine, worker, [ended], claim=0)
        ordering = await world.blocked(halt(world, Kind.STOP, scope))
    await ordering
    assert await rows(world, run_id) == WHOLE


async def test_a_chain_that_waits_for_a_stop_is_left_to_others(world: World) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    worker, ended = await ran(world, run_id)
    async with world.transaction() as engine:
        await halt(replace(world, engine=engine), Kind.STOP)
        recording = await world.blocked(recorded(world, worker, ended))
    await recording
    assert await rows(world, run_id) == ALONE


@pytest.mark.parametrize(
    ("source", "ahead"),
    [
        (CHAIN + "  - {id: x, type: tool, tool: noop, needs: [a]}\n", []),
        (CHAIN + "  - {id: x, type: tool, tool: noop, needs: [b]}\n", ["b"]),
        (CHAIN.replace("tool: noop, needs: [c]", "tool: noop, if: 'true', needs: [c]"), ["b"]),
        (CHAIN.replace("tool: noop, needs: [c]", "tool: sql.query, needs: [c]"), ["b", "c"]),
        (CHAIN.replace("{n: \"${{ steps.c.output.n }}\"}", "{n: \"${{ steps.gone.output.n }}\"}").replace(
            "steps:\n", "steps:\n  - {id: gone, type: tool, tool: noop}\n").replace("needs: [c]", "needs: [c, gone]"),
         ["b", "c"]),
        (CHAIN + "output: ${{ steps.d.output }}\n", ["b", "c"]),
    ],
)  # fmt: skip
async def test_a_chain_ends_where_a_step_may_not_follow_by_itself(world: World, source: str, ahead: list[str]) -> None:
    run_id = await world.run(await world.workflow(source))
    worker = await world.worker()
    claims = {claim.key: claim for claim in await world.claims(worker, 2)}
    runtime, trust = world.runtime(), Trust.since(monotonic(), 60)
    ended = await execute(runtime, claims["a"], trust)
    assert isinstance(ended, Ended)
    assert paths(await run_ahead(runtime, ended, trust)) == ahead
    assert run_id == claims["a"].run_id


async def test_what_reads_more_than_the_first_step_was_given_is_claimed(world: World) -> None:
    first = "steps:\n  - {id: first, type: tool, tool: noop, with: {n: 7}}\n"
    source = CHAIN.replace("steps:\n", first).replace("noop, with: {n: 1}", "noop, needs: [first], with: {n: 1}")
    run_id = await world.run(await world.workflow(source.replace("steps.c.output.n }}", "steps.first.output.n }}")))
    worker, claim = await world.claimed(run_id)
    await succeed(world, worker, claim, {"n": 7})
    worker, ended = await ran(world, run_id)
    assert paths(ended) == ["b", "c"]
    await recorded(world, worker, ended)
    await world.work_until(run_id)
    assert (await world.steps(run_id))["d"]["output"] == {"n": 7}


async def test_a_slow_step_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "SECONDS", 0.02)
    slow = CHAIN.replace('{n: "${{ steps.b.output.n + steps.a.output.n }}"}', "{n: 3, delay_ms: 400}")
    run_id = await world.run(await world.workflow(slow))
    worker, ended = await ran(world, run_id)
    assert paths(ended) == ["b"]
    await recorded(world, worker, ended)
    await world.work_until(run_id)
    assert await rows(world, run_id) == WHOLE


async def test_a_step_that_fails_ahead_fails_when_it_is_claimed(world: World) -> None:
    failing = CHAIN.replace("${{ steps.b.output.n + steps.a.output.n }}", "${{ 1 / (steps.b.output.n - 2) }}")
    run_id = await world.run(await world.workflow(failing))
    worker, ended = await ran(world, run_id)
    assert paths(ended) == ["b"]
    await recorded(world, worker, ended)
    await world.work_until(run_id)
    assert (await rows(world, run_id))["c"] == "failed"


async def test_a_rule_that_holds_a_later_step_back_is_obeyed(world: World) -> None:
    await world.rules({"name": "no-third", "on": ["tool.call"], "when": "step.key == 'c'", "effect": "deny"})
    run_id = await world.run(await world.workflow(CHAIN))
    _, ended = await ran(world, run_id)
    assert paths(ended) == ["b"]


async def test_a_step_that_runs_alone_is_not_gone_beyond(world: World) -> None:
    """What comes after it may be what kills processes, and must be found out by itself."""
    run_id = await world.run(await world.workflow(CHAIN))
    await world.sql("UPDATE steps SET isolate = true WHERE run_id = $1 AND node_key = 'a'", run_id)
    _, ended = await ran(world, run_id)
    assert paths(ended) == []


async def test_a_chain_in_the_body_of_a_map_keeps_to_its_frame(world: World) -> None:
    body = "".join(
        f"      - {{id: {key}, type: tool, tool: noop, with: {{n: '${{{{ index }}}}'}}{needs}}}\n"
        for key, needs in (("p", ""), ("q", ", needs: [p]"), ("r", ", needs: [q]"))
    )
    source = "version: 1\nname: each\nsteps:\n  - id: each\n    type: map\n    with: {over: 3}\n    steps:\n" + body
    run_id = await world.run(await world.workflow(source))
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"
    found = await world.database.pool.fetch(
        "SELECT path, output FROM steps WHERE run_id = $1 AND node_key = 'q' ORDER BY path", run_id
    )
    assert [(row["path"], row["output"]) for row in found] == [(f"each[{n}].q", {"n": n}) for n in range(3)]


async def test_two_chains_of_one_run_are_recorded_in_one_transaction(world: World) -> None:
    two = CHAIN + "".join(
        f"  - {{id: {key}, type: tool, tool: noop{needs}}}\n" for key, needs in (("x", ""), ("y", ", needs: [x]"))
    )
    run_id = await world.run(await world.workflow(two))
    worker = await world.worker()
    runtime, trust = world.runtime(), Trust.since(monotonic(), 60)

    async def done(claim: Any) -> Ended:
        ended = await execute(runtime, claim, trust)
        assert isinstance(ended, Ended)
        return await run_ahead(runtime, ended, trust)

    ends = await asyncio.gather(*map(done, await world.claims(worker, 2)))
    await complete(world.engine, worker, ends, claim=0)
    assert await world.status(run_id) == "succeeded"


async def test_a_worker_runs_a_chain_with_one_claim(world: World) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    await world.work_until(run_id)
    tokens = await world.database.pool.fetchval(
        "SELECT count(DISTINCT xmin::text) FROM steps WHERE run_id = $1", run_id
    )
    assert tokens == 1
    assert await rows(world, run_id) == WHOLE


async def test_a_step_whose_end_says_nothing_of_calls_is_ended_as_ever(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, claim = await world.claimed(run_id)
    plain = Ended(claim, StepStatus.SUCCEEDED, output=1)
    assert await run_ahead(world.runtime(), plain, Trust.since(monotonic(), 60)) is plain
    await succeed(world, worker, claim)
