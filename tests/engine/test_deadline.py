"""Deadlines of steps, and retries after a timeout: what the worker, the reaper and the sweep make of lost time."""

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sparkops.domains.effects.state import EffectClass
from sparkops.domains.runs.state import StepStatus
from sparkops.domains.workflows.definition import RetryPolicy
from sparkops.engine.complete import Ended, end_attempt
from sparkops.engine.give_back import reap
from sparkops.engine.pause import pause_run, resume_run
from sparkops.engine.retry import backoff_ceiling
from sparkops.engine.sweep import sweep
from sparkops.runtime.attempt import execute
from sparkops.runtime.trust import Trust
from tests.engine.acts import HOLD_NOOP, prepared, proposal, succeed
from tests.engine.conftest import World
from tests.engine.sink import listening, sending
from tests.engine.test_cancel import statuses

TIMED = """
version: 1
name: timed
steps:
  - {{id: first, type: tool, tool: noop}}
  - {{id: only, type: tool, tool: {tool}, needs: [first], timeout: 30s, {more}}}
"""


def timed(more: str = "deadline: 10m", tool: str = "noop") -> str:
    return TIMED.format(more=more, tool=tool)


async def begun(world: World, source: str) -> UUID:
    """A run whose step `only` has just become ready."""
    run_id = await world.run(await world.workflow(source))
    worker, first = await world.claimed(run_id)
    await succeed(world, worker, first)
    return run_id


async def only(world: World, run_id: UUID) -> Any:
    return (await world.steps(run_id))["only"]


async def late(world: World) -> None:
    """Let the deadlines be over, and the time of running attempts with them."""
    await world.sql("UPDATE steps SET fails_at = clock_timestamp() WHERE fails_at IS NOT NULL AND finished_at IS NULL")
    await world.sql("UPDATE steps SET step_deadline_at = clock_timestamp() WHERE step_deadline_at IS NOT NULL")


async def test_a_deadline_runs_from_when_the_step_is_first_ready(world: World) -> None:
    run_id = await begun(world, timed())
    step = await only(world, run_id)
    assert abs(step["fails_at"] - step["ready_at"] - timedelta(minutes=10)) < timedelta(seconds=1)
    worker, claim = await world.claimed(run_id)
    await end_attempt(world.engine, worker, Ended(claim, StepStatus.READY, retry_in=timedelta(0)), claim=0)
    assert (await only(world, run_id))["fails_at"] == step["fails_at"]


async def test_an_attempt_may_take_its_timeout_or_what_is_left_of_the_deadline(world: World) -> None:
    run_id = await begun(world, timed())
    await world.sql("UPDATE steps SET fails_at = clock_timestamp() + interval '20 seconds' WHERE fails_at IS NOT NULL")
    _, claim = await world.claimed(run_id)
    step = await only(world, run_id)
    assert step["step_deadline_at"] == step["fails_at"]
    assert claim.seconds is not None
    assert (claim.timeout_seconds, 15 < claim.seconds <= 20) == (30, True)


async def test_an_attempt_that_meets_the_deadline_fails_for_good_and_says_so(world: World) -> None:
    async with listening() as sink:
        sink.open.clear()
        world.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        run_id = await begun(world, timed("deadline: 10m, retry: {attempts: 5}", "send"))
        await world.sql(
            "UPDATE steps SET fails_at = clock_timestamp() + interval '1 second' WHERE fails_at IS NOT NULL"
        )
        worker, claim = await world.claimed(run_id)
        ended = await execute(world.runtime(), claim, Trust.since(time.monotonic(), 15))
        assert isinstance(ended, Ended)
        assert ended.error is not None
        assert (ended.status, ended.error["code"]) == ("failed", "deadline")
        await end_attempt(world.engine, worker, ended, claim=0)
    assert await world.status(run_id) == "failed"


async def test_there_is_no_retry_past_the_deadline(world: World) -> None:
    run_id = await begun(world, timed())
    worker, claim = await world.claimed(run_id)
    error = {"code": "broken", "message": "it is broken"}
    again = Ended(claim, StepStatus.READY, error=error, retry_in=timedelta(minutes=11))
    await end_attempt(world.engine, worker, again, claim=0)
    step = await only(world, run_id)
    assert (step["status"], step["error"], await world.status(run_id)) == ("failed", error, "failed")


async def test_the_sweep_ends_a_ready_step_whose_deadline_is_over(world: World) -> None:
    run_id = await begun(world, timed())
    await late(world)
    await sweep(world.engine, ("run",))
    step = await only(world, run_id)
    assert (step["status"], step["error"]["code"], step["attempt"]) == ("failed", "deadline", 0)
    assert (await world.row(run_id))["error"]["step"] == "only"
    assert (await world.kinds(run_id))[-2:] == ["step.failed", "run.failed"]


async def test_the_sweep_ends_a_step_that_waits_past_its_deadline_and_withdraws_its_question(world: World) -> None:
    await world.rules({**HOLD_NOOP, "when": "step.key == 'only'"})
    run_id = await world.run(await world.workflow(timed()))

    async def waits() -> bool:
        return (await statuses(world, run_id))["only"] == "waiting"

    await world.work(waits)
    await late(world)
    await sweep(world.engine, ("run",))
    step = await only(world, run_id)
    assert (step["status"], step["error"]["code"]) == ("failed", "deadline")
    assert await world.database.pool.fetchval("SELECT status FROM approvals") == "withdrawn"


async def test_the_reaper_ends_a_running_step_at_its_deadline_whatever_attempts_are_left(world: World) -> None:
    run_id = await begun(world, timed("deadline: 10m, retry: {attempts: 5}"))
    await world.claimed(run_id)
    await late(world)
    assert await reap(world.engine) == 1
    step = await only(world, run_id)
    assert (step["status"], step["error"]["code"], await world.status(run_id)) == ("failed", "deadline", "failed")


async def test_a_step_of_a_paused_run_gets_the_time_back_that_it_was_held(world: World) -> None:
    run_id = await begun(world, timed())
    await pause_run(world.engine, world.ada, run_id)
    await world.sql(
        "UPDATE runs SET paused_at = clock_timestamp() - interval '1 hour',"
        " started_at = started_at - interval '2 hours'"
    )
    await world.sql(
        "UPDATE steps SET ready_at = ready_at - interval '61 minutes', fails_at = fails_at - interval '61 minutes'"
        " WHERE node_key = 'only'"
    )
    await sweep(world.engine, ("run",))
    assert await statuses(world, run_id) == {"first": "succeeded", "only": "ready"}
    await resume_run(world.engine, world.ada, run_id)
    left = await world.database.pool.fetchval("SELECT fails_at - clock_timestamp() FROM steps WHERE node_key = 'only'")
    assert timedelta(minutes=8, seconds=50) < left <= timedelta(minutes=9)


async def reaped_late(world: World, run_id: UUID, failures: int = 0) -> Any:
    await world.claimed(run_id)
    await world.sql(
        "UPDATE steps SET step_deadline_at = clock_timestamp(), failures = $1 WHERE status = 'running'", failures
    )
    before = await world.database.pool.fetchval("SELECT clock_timestamp()")
    await reap(world.engine)
    step = await only(world, run_id)
    return {**step, "pause": step["not_before"] - before}


@pytest.mark.parametrize(("failures", "seconds"), [(0, 4), (1, 8), (2, 10), (50, 10)])
async def test_a_retry_after_a_timeout_waits_as_its_policy_says(world: World, failures: int, seconds: int) -> None:
    source = timed("retry: {attempts: 100, backoff: 4s, max_backoff: 10s, jitter: false}")
    step = await reaped_late(world, await begun(world, source), failures)
    policy = RetryPolicy(100, timedelta(seconds=4), timedelta(seconds=10), jitter=False)
    assert backoff_ceiling(policy, failures + 1) == timedelta(seconds=seconds)
    assert timedelta(seconds=seconds) <= step["pause"] < timedelta(seconds=seconds + 1)
    assert (step["status"], step["failures"], step["error"]["code"]) == ("ready", failures + 1, "timeout")


async def test_with_jitter_the_pause_after_a_timeout_is_some_part_of_that(world: World) -> None:
    row = "SELECT s FROM steps s WHERE node_key = 'only'"
    await begun(world, timed("retry: {attempts: 9, backoff: 4s, max_backoff: 10s}"))
    pauses = await world.database.pool.fetch(
        f"SELECT engine.pause_after_timeout(({row})) AS pause FROM generate_series(1, 200)"
    )
    seconds = [pause["pause"].total_seconds() for pause in pauses]
    assert 0 <= min(seconds) < 0.5
    assert 3.5 < max(seconds) <= 4


@pytest.mark.parametrize("more", ["retry: {attempts: 1}", "retry: {attempts: 9, 'on': [rate-limited]}"])
async def test_a_timeout_that_the_policy_does_not_retry_fails_the_step(world: World, more: str) -> None:
    step = await reaped_late(world, await begun(world, timed(more)))
    assert (step["status"], step["error"]["code"]) == ("failed", "timeout")


async def test_a_retry_after_a_timeout_that_would_come_past_the_deadline_does_not(world: World) -> None:
    more = "deadline: 10m, retry: {attempts: 9, backoff: 11m, max_backoff: 1h, jitter: false}"
    step = await reaped_late(world, await begun(world, timed(more)))
    assert (step["status"], step["error"]["code"]) == ("failed", "timeout")


async def test_an_unsafe_call_at_the_deadline_is_for_a_person_to_resolve(world: World) -> None:
    run_id = await begun(world, timed())
    _, claim = await world.claimed(run_id)
    await prepared(world, claim, proposal(effect_class="unsafe"))
    await late(world)
    await reap(world.engine)
    assert ((await only(world, run_id))["status"], await world.status(run_id)) == ("uncertain", "attention")
