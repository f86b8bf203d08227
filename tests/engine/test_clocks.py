"""Clocks under halts: the time of a halt counts neither against a run nor against a step, and is given back once."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from sparkops.api.run_rows import run_row, step_row
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.cancel import cancel_overdue
from sparkops.engine.complete import Ended, end_attempt
from sparkops.engine.give_back import reap
from sparkops.engine.halts import Kind, Scope
from sparkops.engine.pause import pause_run, resume_run
from sparkops.engine.sweep import sweep
from tests.engine.acts import HOLD_NOOP
from tests.engine.conftest import World
from tests.engine.test_cancel import statuses
from tests.engine.test_deadline import begun, only, timed
from tests.engine.test_halts import EVERYWHERE, halt, release
from tests.engine.test_pause import CHECKED

MINUTE = timedelta(minutes=1)
HALTS = [*EVERYWHERE, (Kind.PAUSE, Scope.INSTALLATION)]


_PAST = {
    "runs": ("created_at", "started_at", "deadline_at", "paused_at", "clock_from"),
    "steps": ("ready_at", "fails_at", "clock_from", "not_before"),
}
_PAST_HALTS = """
WITH gone AS (DELETE FROM halts RETURNING *)
INSERT INTO halts (id, scope, scope_id, project_id, kind, created_at, released_at)
SELECT id, scope, scope_id, project_id, kind, created_at - $1::interval, released_at - $1::interval FROM gone
"""


Past = Callable[[timedelta], Awaitable[None]]


@pytest.fixture
def past(world: World, owner_url: str) -> Past:
    """Let all that has happened have happened so much earlier."""

    async def shift(ago: timedelta) -> None:
        for table, columns in _PAST.items():
            shifts = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
            await world.sql(f"UPDATE {table} SET {shifts} WHERE finished_at IS NULL", ago)
        owner = await asyncpg.connect(owner_url)
        try:
            await owner.execute(_PAST_HALTS, ago)  # those that are released change for nobody else
        finally:
            await owner.close()

    return shift


async def left(world: World, run_id: UUID) -> timedelta:
    """What a run has left, as its row says."""
    row = "SELECT deadline_at - clock_timestamp() FROM runs WHERE id = $1"
    found: timedelta = await world.database.pool.fetchval(row, run_id)
    return found


def about(minutes: float, time: timedelta) -> bool:
    return abs(time - minutes * MINUTE) < MINUTE / 2


@pytest.mark.parametrize(("kind", "scope"), HALTS)
async def test_a_run_is_not_overdue_for_the_time_of_a_halt(world: World, past: Past, kind: Kind, scope: Scope) -> None:
    run_id = await world.run(await world.workflow(CHECKED))
    await past(20 * MINUTE)
    ordered = await halt(world, kind, scope)
    await past(300 * MINUTE)
    await sweep(world.engine, ("run",))
    assert await world.status(run_id) == "running"
    shown = await run_row(world.database.pool, world.ada, run_id=run_id)
    assert shown is not None
    now = await world.database.pool.fetchval("SELECT clock_timestamp()")
    assert about(40, shown["deadline_at"] - now), "people see how long it still has"
    await release(world, ordered)
    await past(5 * MINUTE)
    await sweep(world.engine, ("run",))
    assert (await world.status(run_id), about(35, await left(world, run_id))) == ("running", True)
    await past(36 * MINUTE)
    await sweep(world.engine, ("run",))
    assert (await world.status(run_id), (await world.row(run_id))["error"]["code"]) == ("cancelled", "timeout")


async def test_a_run_that_was_overdue_before_a_halt_is_left_alone_until_it_is_released(
    world: World, past: Past
) -> None:
    run_id = await world.run(await world.workflow(CHECKED))
    await past(61 * MINUTE)
    ordered = await halt(world, Kind.STOP)
    assert (await cancel_overdue(world.engine, 9), await world.status(run_id)) == (0, "running")
    await release(world, ordered)
    assert (await cancel_overdue(world.engine, 9), await world.status(run_id)) == (1, "cancelled")


@pytest.mark.parametrize(("kind", "scope"), HALTS)
async def test_a_step_that_is_ready_does_not_expire_for_the_time_of_a_halt(
    world: World, past: Past, kind: Kind, scope: Scope
) -> None:
    run_id = await begun(world, timed())
    await past(2 * MINUTE)
    ordered = await halt(world, kind, scope)
    await past(300 * MINUTE)
    await sweep(world.engine, ("run",))
    shown = await step_row(world.database.pool, world.ada, run_id=run_id, step_id=(await only(world, run_id))["id"])
    assert shown is not None
    now = await world.database.pool.fetchval("SELECT clock_timestamp()")
    assert (shown["status"], about(8, shown["fails_at"] - now)) == ("ready", True)
    await release(world, ordered)
    await past(3 * MINUTE)
    for _ in range(2):
        await sweep(world.engine, ("run",))
        step = await only(world, run_id)
        assert (step["status"], about(10, step["fails_at"] - step["ready_at"] - 300 * MINUTE)) == ("ready", True)
    await past(6 * MINUTE)
    await sweep(world.engine, ("run",))
    assert (await only(world, run_id))["error"]["code"] == "deadline"


async def test_a_step_that_was_late_before_a_halt_is_left_alone_until_it_is_released(world: World, past: Past) -> None:
    run_id = await begun(world, timed())
    await past(11 * MINUTE)
    ordered = await halt(world, Kind.STOP)
    await sweep(world.engine, ("run",))
    assert (await statuses(world, run_id))["only"] == "ready"
    await release(world, ordered)
    await sweep(world.engine, ("run",))
    assert (await only(world, run_id))["error"]["code"] == "deadline"


async def test_a_step_that_waits_does_not_expire_for_the_time_of_a_halt(world: World, past: Past) -> None:
    await world.rules({**HOLD_NOOP, "when": "step.key == 'only'"})
    run_id = await world.run(await world.workflow(timed()))

    async def waits() -> bool:
        return (await statuses(world, run_id))["only"] == "waiting"

    await world.work(waits)
    ordered = await halt(world, Kind.STOP)
    await past(60 * MINUTE)
    await sweep(world.engine, ("run",))
    await release(world, ordered)
    await sweep(world.engine, ("run",))
    assert await waits()
    await past(11 * MINUTE)
    await sweep(world.engine, ("run",))
    assert (await only(world, run_id))["error"]["code"] == "deadline"


async def test_an_attempt_that_begins_right_after_a_release_has_the_time_of_the_halt_back(
    world: World, past: Past
) -> None:
    run_id = await begun(world, timed())
    await past(4 * MINUTE)
    ordered = await halt(world, Kind.STOP)
    await past(60 * MINUTE)
    await release(world, ordered)
    worker, claim = await world.claimed(run_id)
    step = await only(world, run_id)
    assert claim.seconds is not None
    assert step["step_deadline_at"] < step["fails_at"]
    assert 25 < claim.seconds <= 30
    assert about(6, step["fails_at"] - step["started_at"])
    await end_attempt(world.engine, worker, Ended(claim, StepStatus.READY, retry_in=timedelta(0)), claim=0)
    assert (await only(world, run_id))["fails_at"] == step["fails_at"], "it is given back once"
    await world.claimed(run_id)
    assert (await only(world, run_id))["fails_at"] == step["fails_at"]


@pytest.mark.parametrize("scope", [Scope.PROJECT, Scope.INSTALLATION])
async def test_halts_that_overlap_give_their_time_back_once(world: World, past: Past, scope: Scope) -> None:
    """One in the other, and one that outlasts the other; `scope` is the outer one's."""
    inner = Scope.PROJECT if scope is Scope.INSTALLATION else Scope.INSTALLATION
    run_id = await world.run(await world.workflow(CHECKED))
    outer = await halt(world, Kind.STOP, scope)
    await past(10 * MINUTE)
    within = await halt(world, Kind.PAUSE, inner)
    await past(10 * MINUTE)
    await release(world, within)
    after = await halt(world, Kind.STOP, inner)
    await past(40 * MINUTE)
    await release(world, outer)
    await past(15 * MINUTE)
    assert await cancel_overdue(world.engine, 9) == 0
    await release(world, after)
    assert (await cancel_overdue(world.engine, 9), about(60, await left(world, run_id))) == (0, True)


async def test_a_run_is_given_back_what_it_lived_through_of_a_halt(world: World, past: Past) -> None:
    ordered = await halt(world, Kind.PAUSE)
    await past(100 * MINUTE)
    run_id = await world.run(await world.workflow(CHECKED))
    await past(61 * MINUTE)
    await release(world, ordered)
    assert (await cancel_overdue(world.engine, 9), about(60, await left(world, run_id))) == (0, True)


async def test_a_halt_of_another_project_gives_no_time(world: World, past: Past) -> None:
    run_id = await world.run(await world.workflow(CHECKED))
    await world.sql(
        "INSERT INTO halts (id, scope, scope_id, project_id, kind)"
        " SELECT gen_random_uuid(), 'project', x, x, 'stop' FROM (SELECT gen_random_uuid() AS x) y"
    )
    await past(61 * MINUTE)
    assert (await cancel_overdue(world.engine, 9), await world.status(run_id)) == (1, "cancelled")


async def test_a_pause_and_a_halt_at_once_give_their_time_back_once(world: World, past: Past) -> None:
    run_id = await begun(world, timed("deadline: 10m").replace("name: timed", "name: timed\ntimeout: 1h"))
    await past(3 * MINUTE)
    stop = await halt(world, Kind.STOP)
    await past(30 * MINUTE)
    await pause_run(world.engine, world.ada, run_id)
    await past(30 * MINUTE)
    await release(world, stop)
    await past(30 * MINUTE)
    again = await halt(world, Kind.STOP)
    await past(30 * MINUTE)
    await resume_run(world.engine, world.ada, run_id)
    await past(30 * MINUTE)
    await release(world, again)
    await past(5 * MINUTE)
    assert await world.claims(await world.worker(), 9) != []
    step = await only(world, run_id)
    assert about(2, step["fails_at"] - step["started_at"])
    assert await cancel_overdue(world.engine, 9) == 0
    await past(51 * MINUTE)
    assert (await cancel_overdue(world.engine, 9), about(1, await left(world, run_id))) == (0, True)


async def test_a_retry_is_not_past_its_deadline_for_the_time_of_a_halt(world: World, past: Past) -> None:
    """A step that ran when the halt came runs on; what comes after it waits."""
    run_id = await begun(world, timed())
    worker, claim = await world.claimed(run_id)
    await halt(world, Kind.PAUSE)
    await past(9 * MINUTE)
    again = Ended(claim, StepStatus.READY, retry_in=2 * MINUTE)
    await end_attempt(world.engine, worker, again, claim=0)
    assert (await only(world, run_id))["status"] == "ready"


async def test_a_retry_after_a_timeout_is_not_past_its_deadline_for_the_time_of_a_halt(
    world: World, past: Past
) -> None:
    more = "deadline: 10m, retry: {attempts: 9, backoff: 2m, max_backoff: 1h, jitter: false}"
    run_id = await begun(world, timed(more))
    await world.claimed(run_id)
    await halt(world, Kind.PAUSE)
    await past(9 * MINUTE)
    await world.sql("UPDATE steps SET step_deadline_at = clock_timestamp() WHERE status = 'running'")
    assert await reap(world.engine) == 1
    step = await only(world, run_id)
    assert (step["status"], step["error"]["code"]) == ("ready", "timeout")


async def test_the_time_of_halts_is_given_back_in_batches(world: World, past: Past) -> None:
    """More runs and steps than one transaction sees to, and behind them one of each whose time is over."""
    source = timed("deadline: 10m").replace("name: timed", "name: timed\ntimeout: 1h")
    name = await world.workflow(source)
    runs = [await world.run(name) for _ in range(3)]
    ordered = await halt(world, Kind.STOP)
    await past(90 * MINUTE)
    await release(world, ordered)
    late = await world.run(name)
    await world.sql(
        "UPDATE runs SET started_at = started_at - interval '61 m', deadline_at = clock_timestamp(),"
        " clock_from = clock_timestamp() WHERE id = $1",
        late,
    )
    assert await cancel_overdue(world.engine, 1) == 1
    assert [await world.status(run_id) for run_id in (*runs, late)] == ["running"] * 3 + ["cancelled"]
