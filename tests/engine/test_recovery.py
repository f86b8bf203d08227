"""What happens when workers die, drain, hang or fail: the work goes on, and who is to blame is counted right."""

import asyncio
import time
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sparkops.core.errors import Unavailable
from sparkops.core.ids import new_id
from sparkops.domains.effects.state import EffectClass
from sparkops.engine.advance import lock_run
from sparkops.engine.claim import Claim, claim_isolated
from sparkops.engine.context import call
from sparkops.engine.give_back import reap, release_session
from sparkops.engine.sweep import sweep
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from sparkops.worker.loop import WorkerLoop, open_worker
from tests.engine.acts import ONE_STEP, prepared, proposal, recorded, result, rows, succeed
from tests.engine.conftest import World
from tests.engine.sink import listening, sending

BRANCHES = """
version: 1
name: branches
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: noop}
  - {id: c, type: tool, tool: noop, needs: [a]}
"""
TIMED = """
version: 1
name: timed
steps:
  - {id: only, type: tool, tool: send, timeout: 300ms, retry: {attempts: 2, backoff: 1ms, max_backoff: 1ms}}
"""
RETRIED = """
version: 1
name: retried
steps:
  - {id: only, type: tool, tool: shaky, retry: {attempts: 3, backoff: 10ms, max_backoff: 20ms}}
"""
CHAIN = """
version: 1
name: chain
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: noop, needs: [a]}
  - {id: c, type: tool, tool: noop, needs: [b]}
"""


async def only(world: World, run_id: UUID) -> dict[str, Any]:
    return dict((await world.steps(run_id))["only"])


async def expire_leases(world: World) -> None:
    await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")


def shaky(failures: int, *, retryable: bool = True) -> Tool:
    """A tool that fails so many times, then works."""
    left = [failures]

    async def run(arguments: object, context: ToolContext) -> ToolResult:
        if left[0]:
            left[0] -= 1
            raise CallFailed("shaky", "not yet", retryable=retryable)
        return ToolResult({"ok": True})

    return Tool("shaky", "Fails first.", {"type": "object"}, EffectClass.PURE, run)


# Runs that nobody advanced


async def test_the_sweep_advances_a_run_whose_advance_never_came(world: World) -> None:
    run_id = await world.run(await world.workflow(BRANCHES))
    worker = await world.worker()
    claims = {each.key: each for each in await world.claims(worker, 2)}
    await world.sql("UPDATE steps SET step_deadline_at = '-infinity', max_attempts = 1 WHERE node_key = 'a'")
    # As if the process had died between giving back and advancing: `a` has failed, nobody skipped `c`.
    await call(world.database.pool, "give_back", None, True, 10)
    await succeed(world, worker, claims["b"])
    assert {key: step["status"] for key, step in (await world.steps(run_id)).items()} == {
        "a": "failed",
        "b": "succeeded",
        "c": "pending",
    }
    assert (await sweep(world.engine, ("run",))).repaired == 1
    run = await world.row(run_id)
    assert (run["status"], run["error"]["step"]) == ("failed", "a")
    assert (await world.steps(run_id))["c"]["status"] == "skipped"


async def test_a_quiet_sweep_changes_nothing(world: World) -> None:
    run_id = await world.run(await world.workflow(BRANCHES))
    await world.claims(await world.worker(), 1)  # one runs, one is ready, one is to come
    before = await world.kinds(run_id)
    swept = await sweep(world.engine, ("run",))
    assert (swept.reaped, swept.repaired, swept.overdue, await world.kinds(run_id)) == (0, 0, 0, before)


# The reaper waits for nobody


async def test_the_reaper_passes_over_a_step_that_somebody_holds(world: World) -> None:
    run_id = await world.run(await world.workflow(BRANCHES))
    worker = await world.worker()
    claims = {each.key: each for each in await world.claims(worker, 2)}
    await expire_leases(world)
    async with world.transaction() as engine:
        lease = claims["a"].lease
        await engine.database.pool.fetchval(
            "SELECT engine.hold_lease($1, $2, $3) IS NULL", lease.step_id, lease.attempt, lease.token
        )
        assert await reap(world.engine) == 1
    assert {key: step["status"] for key, step in (await world.steps(run_id)).items()} == {
        "a": "running",
        "b": "ready",
        "c": "pending",
    }


async def test_a_transaction_that_stands_still_keeps_the_reaper_from_its_own_run_only(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    held, free = [await world.run(name) for _ in range(2)]
    await world.claims(await world.worker(), 2)
    await expire_leases(world)
    async with world.transaction() as engine:
        await engine.database.pool.execute("SELECT 1 FROM run_counters WHERE run_id = $1 FOR UPDATE", held)
        assert await reap(world.engine) == 1
        assert [(await only(world, run_id))["status"] for run_id in (held, free)] == ["running", "ready"]
    assert await reap(world.engine) == 1
    assert (await only(world, held))["status"] == "ready"


async def test_the_reaper_gives_back_while_somebody_holds_the_run(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.claimed(run_id)
    await expire_leases(world)
    async with world.transaction() as engine:
        await lock_run(engine.database.pool, run_id)
        async with asyncio.timeout(1):
            assert await reap(world.engine) == 1
    assert (await only(world, run_id))["status"] == "ready"


async def test_a_run_that_somebody_holds_for_long_does_not_keep_the_reaper_from_the_others(world: World) -> None:
    name = await world.workflow(ONE_STEP)
    runs = [await world.run(name) for _ in range(2)]
    await world.claims(await world.worker(), 2)
    await world.sql("UPDATE steps SET step_deadline_at = '-infinity', max_attempts = 1")
    async with world.transaction() as engine:
        await lock_run(engine.database.pool, runs[0])
        await reap(world.engine)
        assert [await world.status(run_id) for run_id in runs] == ["running", "failed"]
    await sweep(world.engine, ("run",))
    assert await world.status(runs[0]) == "failed"


# Who is to blame


async def test_a_session_whose_process_died_gives_back_at_once_and_counts_a_crash(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, _ = await world.claimed(run_id)
    assert await release_session(world.engine, new_id(), crashed=True) == 0
    await release_session(world.engine, worker.session_id, crashed=True)
    step = await only(world, run_id)
    assert (step["status"], step["crashes"], step["failures"]) == ("ready", 1, 0)
    ended = await world.database.pool.fetchval("SELECT ended_at FROM worker_sessions WHERE id = $1", worker.session_id)
    assert ended is not None


async def test_a_session_that_drains_blames_nobody(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, _ = await world.claimed(run_id)
    await release_session(world.engine, worker.session_id, crashed=False)
    step = await only(world, run_id)
    assert (step["status"], step["crashes"], step["isolate"]) == ("ready", 0, False)


async def test_a_draining_worker_gives_back_what_it_cannot_finish(world: World) -> None:
    async with listening() as sink:
        sink.open.clear()
        world.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        run_id = await world.run(await world.workflow(TIMED.replace("300ms", "30s")))
        loop = WorkerLoop(world.runtime(), await world.worker(), slots=2, drain_seconds=0.1)
        running = asyncio.create_task(loop.run())
        await sink.reached.wait()
        loop.drain()
        await running
        step = await only(world, run_id)
        assert (step["status"], step["crashes"], step["failures"]) == ("ready", 0, 0)
        sink.open.set()
        await world.work_until(run_id)
    (row,) = await world.calls(run_id)
    assert (sink.got, row["sends"]) == ({str(row["id"]): 2}, 2)


BESIDE = """
version: 1
name: beside
steps:
  - {id: a, type: tool, tool: noop, timeout: 1m, retry: {attempts: 1}}
  - {id: b, type: tool, tool: noop, needs: [a]}
  - {id: long, type: tool, tool: noop}
"""


async def crash(world: World, run_id: UUID, times: int) -> Claim | None:
    """Let this many processes die with the step; return the last claim, if there was one."""
    held = None
    for _ in range(times):
        claims = await world.claims(worker := await world.worker())
        held = claims[0] if claims else None
        await release_session(world.engine, worker.session_id, crashed=True)
    return held


async def test_a_step_that_kills_its_workers_is_isolated_in_company_then_alone_and_given_up(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    held = [await crash(world, run_id, 1) for _ in range(4)]
    assert [each.isolate for each in held if each] == [False, False, True, True]
    assert [each.alone for each in held if each] == [False, False, False, True]
    step = await only(world, run_id)
    assert (step["status"], step["error"]["code"], step["crashes"]) == ("failed", "poison", 4)
    assert await world.status(run_id) == "failed"


async def test_a_step_may_die_alone_as_often_as_it_is_allowed(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.sql("UPDATE steps SET max_crashes = 5")
    await crash(world, run_id, 4)
    assert (await only(world, run_id))["status"] == "ready"
    await crash(world, run_id, 1)
    assert (await only(world, run_id))["error"]["code"] == "poison"


async def test_a_bystander_of_many_crashes_is_never_given_up(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    for _ in range(6):
        await world.claims(worker := await world.worker())
        await world.sql("UPDATE steps SET isolate = false")
        await release_session(world.engine, worker.session_id, crashed=True)
        await world.sql("UPDATE steps SET isolate = false")
    assert (await only(world, run_id))["status"] == "ready"


async def test_the_last_death_must_have_been_alone(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.sql("UPDATE steps SET crashes = 5")
    await crash(world, run_id, 1)
    assert (await only(world, run_id))["status"] == "ready", "it may have been a bystander each time"
    await crash(world, run_id, 1)
    assert (await only(world, run_id))["error"]["code"] == "poison"


async def test_what_a_process_for_isolated_steps_held_when_its_parent_died_is_blamed_on_nobody(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    await crash(world, run_id, 2)
    parent = await world.worker()
    child = await open_worker(world.engine, new_id(), ["run"], 1, parent_id=parent.session_id)
    assert len(await claim_isolated(world.engine, child, limit=8, empty=True)) == 1
    await release_session(world.engine, parent.session_id, crashed=True)
    step = await only(world, run_id)
    assert (step["status"], step["crashes"], step["isolate"]) == ("ready", 2, True)
    open_sessions = await world.database.pool.fetchval(
        "SELECT count(*) FROM worker_sessions WHERE id = ANY ($1) AND ended_at IS NULL",
        [parent.session_id, child.session_id],
    )
    assert open_sessions == 0


async def test_a_lost_step_without_a_time_limit_is_reaped(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.claimed(run_id)
    await expire_leases(world)
    assert (await sweep(world.engine, ("run",))).reaped == 1
    step = await only(world, run_id)
    assert (step["status"], step["crashes"], step["failures"]) == ("ready", 1, 0)


async def test_a_lease_that_nobody_could_keep_is_held_against_no_step(world: World) -> None:
    """The database was away: its worker lives, and was not heard. Else some outages would make any step poison."""
    short = world.with_lease(seconds=2)
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    loop = WorkerLoop(short.runtime(), await world.worker(), slots=1, drain_seconds=0)
    for been_there, crashes in ((0, 0), (4, 1)):
        loop._note(ConnectionRefusedError())
        loop._away -= been_there
        await world.lapse(held.lease.step_id)
        await loop._sweep()
        step = await only(world, run_id)
        assert (step["status"], step["crashes"]) == ("ready", crashes)
        await world.claims(await world.worker())


@pytest.mark.parametrize(("lease", "crashes"), [(2, 1), (10**8, 0)], ids=["long ago", "within the lease"])
async def test_a_worker_that_has_begun_asks_the_database_since_when_it_is_there(
    world: World, lease: int, crashes: int
) -> None:
    """A step that kills every worker would never be found out by those that begin and know of no absence."""
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await world.lapse(held.lease.step_id)
    loop = WorkerLoop(world.with_lease(seconds=lease).runtime(), await world.worker(), slots=1, drain_seconds=0)
    await loop._sweep()
    assert (await only(world, run_id))["crashes"] == crashes


async def test_a_statement_that_the_database_refused_is_no_absence_of_it(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    loop = WorkerLoop(world.with_lease(seconds=2).runtime(), await world.worker(), slots=1, drain_seconds=0)
    for error in (asyncpg.LockNotAvailableError(), asyncpg.DeadlockDetectedError(), Unavailable("a large value")):
        loop._note(error)
    await world.lapse(held.lease.step_id)
    await loop._sweep()
    assert (await only(world, run_id))["crashes"] == 1


async def test_a_worker_whose_claims_stand_still_stops_looking_alive_and_its_steps_go_to_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = world.with_lease(seconds=1)
    async with listening() as sink:
        sink.open.clear()
        short.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        run_id = await short.run(await short.workflow(TIMED.replace("300ms", "30s")))
        worker = await short.worker()
        loop = WorkerLoop(short.runtime(), worker, slots=2, drain_seconds=0.1, watchdog_seconds=0.5)
        hang = asyncio.Event()

        async def hangs(room: int, full: object) -> list[Claim]:
            await hang.wait()
            return []

        running = asyncio.create_task(loop.run())
        await sink.reached.wait()
        monkeypatch.setattr(loop, "_claim", hangs)
        await world.reaches(lambda: lapsed(short))
        # Its beats would come every third of a second at the latest.
        silent_for = "SELECT clock_timestamp() - seen_at > interval '1 second' FROM worker_sessions WHERE id = $1"
        await world.reaches(lambda: world.database.pool.fetchval(silent_for, worker.session_id))
        assert await reap(short.engine) <= 1
        sink.open.set()
        await short.work_until(run_id)
        hang.set()
        loop.drain()
        await running
    assert await world.status(run_id) == "succeeded"


async def lapsed(world: World) -> bool:
    return bool(
        await world.database.pool.fetchval(
            "SELECT attempt = 1 AND lease_expires_at < clock_timestamp() OR attempt > 1 OR status = 'ready' FROM steps"
        )
    )


# Time limits and retries


@pytest.mark.parametrize(("attempts", "status"), [(2, "ready"), (1, "failed")])
async def test_the_reaper_ends_an_attempt_that_takes_too_long_and_counts_no_crash(
    world: World, attempts: int, status: str
) -> None:
    run_id = await world.run(await world.workflow(TIMED))
    await world.claimed(run_id)
    await world.sql("UPDATE steps SET max_attempts = $1, step_deadline_at = clock_timestamp()", attempts)
    await reap(world.engine)
    step = await only(world, run_id)
    assert (step["status"], step["failures"], step["crashes"]) == (status, 1, 0)
    assert step["error"]["code"] == "timeout"


async def test_a_step_whose_attempts_all_take_too_long_fails(world: World) -> None:
    async with listening() as sink:
        sink.open.clear()
        world.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        run_id = await world.run(await world.workflow(TIMED))
        await world.work_until(run_id)
    step = await only(world, run_id)
    assert (step["status"], step["attempt"], step["error"]["code"]) == ("failed", 2, "timeout")
    assert [row["status"] for row in await world.calls(run_id)] == ["unknown"]
    outcomes = await world.database.pool.fetch("SELECT outcome FROM step_attempts")
    assert "failed" in {row["outcome"] for row in outcomes}, "the worker ends it itself, the reaper only if it hangs"


async def test_a_failed_attempt_is_followed_by_another_after_a_pause(world: World) -> None:
    world.tools["shaky"] = shaky(2)
    run_id = await world.run(await world.workflow(RETRIED))
    await world.work_until(run_id)
    step = await only(world, run_id)
    assert (step["status"], step["attempt"], step["failures"]) == ("succeeded", 3, 2)
    assert [row["status"] for row in await world.calls(run_id)] == ["failed", "failed", "done"]
    pauses = await world.database.pool.fetch("SELECT data FROM events WHERE kind = 'step.retrying' ORDER BY seq")
    assert [0 <= row["data"]["in_seconds"] <= 0.02 for row in pauses] == [True, True]


async def test_a_step_fails_with_its_last_attempt_or_its_first_hopeless_one(world: World) -> None:
    name = await world.workflow(RETRIED)
    for tool, attempts in [(shaky(3), 3), (shaky(3, retryable=False), 1)]:
        world.tools["shaky"] = tool
        run_id = await world.run(name)
        await world.work_until(run_id)
        step = await only(world, run_id)
        assert (step["status"], step["attempt"]) == ("failed", attempts)


# Hints


async def test_losing_every_hint_costs_about_a_second(world: World) -> None:
    name = await world.workflow(CHAIN)
    worker = await open_worker(world.engine, new_id(), ["run"], 4)
    loop = WorkerLoop(world.runtime(), worker, slots=4, drain_seconds=1)
    running = asyncio.create_task(loop.run())
    started = time.monotonic()
    run_id = await world.run(name)
    await world.reaches(lambda: ended(world, run_id))
    took = time.monotonic() - started
    loop.drain()
    await running
    assert took < 4, "a poll of 1 s, and a busy machine"


async def ended(world: World, run_id: UUID) -> bool:
    return await world.status(run_id) == "succeeded"


async def test_a_result_that_was_recorded_is_not_asked_for_again(world: World) -> None:
    async with listening() as sink:
        world.tools["send"] = sending(sink.port, EffectClass.IDEMPOTENT)
        run_id = await world.run(await world.workflow(TIMED))
        _, held = await world.claimed(run_id)
        (row,) = await prepared(world, held, proposal(name="send", request={"tool": "send", "arguments": {}}))
        await recorded(world, held, result(row["call_id"], response={"answer": "kept"}))
        await expire_leases(world)
        await world.work_until(run_id)
    assert (await only(world, run_id))["output"] == {"answer": "kept"}
    assert (sink.got, (await world.calls(run_id))[0]["id"]) == ({}, UUID(row["call_id"]))


async def test_a_run_whose_reaper_died_is_advanced_by_the_sweep_although_it_goes_on(world: World) -> None:
    run_id = await world.run(await world.workflow(BESIDE))
    worker = await world.worker()
    await world.claims(worker, 2)
    await world.sql("UPDATE steps SET step_deadline_at = '-infinity' WHERE node_key = 'a'")
    # Its process dies between this transaction and the one that would advance the run.
    assert (await call(world.database.pool, "give_back_each", None, True, 9))["count"] == 1
    assert await rows(world, run_id) == {"a": "failed", "b": "pending", "long": "running"}
    await sweep(world.engine, ("run",))
    assert await rows(world, run_id) == {"a": "failed", "b": "skipped", "long": "running"}
    assert await world.database.pool.fetchval("SELECT count(*) FROM unadvanced") == 0
