"""Workers of the queue `policy` see to what comes due by its time; others do none of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.ids import new_id
from sparkops.domains.policies.state import ViolationStatus
from sparkops.domains.policies.violations import answer_violation
from sparkops.engine import governing
from sparkops.engine.context import Engine
from sparkops.engine.diagnosis import examine
from sparkops.engine.sweep import Swept, sweep
from sparkops.worker import governing as worker_governing
from sparkops.worker import loop as worker_loop
from sparkops.worker.app import companions_of
from sparkops.worker.governing import Governing
from sparkops.worker.loop import WorkerLoop, open_worker
from tests.engine.acts import DENY_NOOP, HOLD_NOOP, ONE_STEP, govern
from tests.engine.clearances import answer, asks
from tests.engine.conftest import World


@asynccontextmanager
async def worker_of(world: World, *queues: str) -> AsyncIterator[None]:
    """A worker as it is started in production, of these queues."""
    runtime = world.runtime()
    worker = await open_worker(world.engine, new_id(), queues, 2)
    loop = WorkerLoop(runtime, worker, slots=2, drain_seconds=0.1, companions=await companions_of(runtime, worker))
    running = asyncio.create_task(loop.run())
    try:
        yield
    finally:
        loop.drain()
        await running


@asynccontextmanager
async def governed(world: World, *, times: int = 1) -> AsyncIterator[None]:
    draining = asyncio.Event()
    running = asyncio.gather(*(Governing(world.engine, look_seconds=0.02).run(draining) for _ in range(times)))
    try:
        yield
    finally:
        draining.set()
        await asyncio.wait_for(running, 10)


async def ask(world: World) -> UUID:
    """A run whose one call waits for people."""
    await world.rules(HOLD_NOOP)
    run_id = await world.run(await world.workflow(ONE_STEP))

    async def waits() -> bool:
        return str((await world.steps(run_id))["only"]["status"]) == "waiting"

    await world.work(waits)
    return run_id


HALF_OVER = (
    "UPDATE approvals SET requested_at = clock_timestamp() - interval '2h', expires_at = clock_timestamp() + '1h'"
)


async def status(world: World) -> str:
    return str(await world.database.pool.fetchval("SELECT status FROM approvals"))


async def test_questions_expire_where_a_worker_serves_the_queue_policy_and_nowhere_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(world)
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
    sweeps: list[Swept] = []

    async def noted(engine: Engine, queues: tuple[str, ...], *, crashed: bool) -> Swept:
        sweeps.append(await sweep(engine, queues, crashed=crashed))
        return sweeps[-1]

    async def swept() -> bool:
        return len(sweeps) > 2

    async def expired() -> bool:
        return await status(world) == "expired"

    monkeypatch.setattr(worker_loop, "sweep", noted)
    monkeypatch.setattr(worker_loop, "SWEEP_SECONDS", 0.1)
    async with worker_of(world, "run", "schedule"):
        await world.reaches(swept)
    assert await status(world) == "pending"
    async with worker_of(world, "policy"):
        await world.reaches(expired)


async def test_a_duty_that_breaks_does_not_keep_the_others_from_being_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(world)
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")

    async def broken(engine: Engine) -> None:
        raise RuntimeError("a bug")

    async def expired() -> bool:
        return await status(world) == "expired"

    monkeypatch.setattr(worker_governing, "DUTIES", (broken, *governing.DUTIES))
    async with governed(world, times=2):
        await world.reaches(expired)


async def found(world: World) -> Sequence[object]:
    """What the doctor says about who serves the queue."""
    (finding,) = [one for one in await examine(world.database, seconds=60) if one.name == "policy-served"]
    return [(row["questions"], row["workers"]) for row in finding.rows]


async def test_the_doctor_says_when_nobody_serves_the_queue_policy(world: World) -> None:
    assert await found(world) == [], "nobody is asked, and nothing runs"
    await open_worker(world.engine, new_id(), ["run"], 1)
    assert await found(world) == [(0, 1)]
    serving = await open_worker(world.engine, new_id(), ["run", "policy"], 1)
    assert await found(world) == []
    await world.sql(
        "UPDATE worker_sessions SET seen_at = clock_timestamp() - interval '2 minutes' WHERE id = $1",
        serving.session_id,
    )
    assert await found(world) == [(0, 1)], "it is dead"
    helper = await open_worker(world.engine, new_id(), ["policy"], 1, parent_id=serving.session_id)
    assert await found(world) == [(0, 1)], "a helper for isolated steps does not see to questions"
    await world.sql("UPDATE worker_sessions SET ended_at = clock_timestamp() WHERE id <> $1", helper.session_id)
    assert await found(world) == []


async def test_the_doctor_says_that_open_questions_wait_for_nobody(world: World) -> None:
    await ask(world)
    await world.sql("UPDATE worker_sessions SET ended_at = clock_timestamp()")
    assert await found(world) == [(1, 0)]


# Reminders


async def reminders(world: World) -> list[Mapping[str, Any]]:
    """What logs say of questions that nobody has answered for half of their time."""
    # One statement, so that a question that is marked meanwhile is not seen without its event.
    rows = await world.database.pool.fetch("""
        SELECT e.*, a.id AS marked
          FROM (SELECT * FROM events WHERE kind = 'approval.reminded') e
          FULL JOIN (SELECT id FROM approvals WHERE reminded_at IS NOT NULL) a ON a.id::text = e.data ->> 'approval_id'
        """)
    assert [row for row in rows if row["kind"] is None or row["marked"] is None] == []
    return [dict(row) for row in rows]


async def test_a_question_is_reminded_of_once_when_half_of_its_time_is_over(world: World) -> None:
    run_id = await ask(world)
    await govern(world)
    assert await reminders(world) == [], "it has just been asked"
    await world.sql(HALF_OVER)
    async with governed(world, times=3):
        await world.reaches(lambda: any_of(reminders(world)))
    await govern(world)
    (event,) = await reminders(world)
    question = await world.database.pool.fetchrow("SELECT * FROM approvals")
    step = (await world.steps(run_id))["only"]
    assert (event["run_id"], event["step_id"], event["data"]["key"]) == (run_id, step["id"], "only")
    assert (event["data"]["approval_id"], event["data"]["title"]) == (str(question["id"]), question["title"])
    assert question["revision"] == 0, "nothing was said about it"


async def any_of(found: Any) -> bool:
    return bool(await found)


async def test_people_are_reminded_of_a_question_about_a_run(world: World) -> None:
    await world.rules(asks("run.create"))
    run_id = await world.run(await world.workflow(ONE_STEP))
    await world.sql(HALF_OVER)
    await govern(world)
    (event,) = await reminders(world)
    assert (event["run_id"], event["step_id"]) == (run_id, None)


async def test_nobody_is_reminded_of_a_question_that_was_answered(world: World) -> None:
    await ask(world)
    await answer(world)
    await world.sql(HALF_OVER)
    await govern(world)
    assert await reminders(world) == []


async def test_nobody_is_reminded_of_a_question_whose_time_is_over(world: World) -> None:
    """It does not expire either, as long as somebody holds its run."""
    run_id = await ask(world)
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
    async with world.transaction() as other:
        await other.database.pool.fetchrow("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE", run_id)
        await governing.remind(world.engine)
    assert (await reminders(world), await status(world)) == ([], "pending")


async def test_a_question_that_is_being_answered_is_not_reminded_of(world: World) -> None:
    await ask(world)
    await world.sql(HALF_OVER)
    async with world.transaction() as answering:
        await answer(replace(world, engine=answering))
        await govern(world)
    assert await reminders(world) == []


# Violations


async def violation(world: World, severity: str = "medium") -> UUID:
    """An open violation of a rule that denied a call."""
    await world.rules({**DENY_NOOP, "severity": severity})
    await world.work_until(await world.run(await world.workflow(ONE_STEP)))
    found: UUID = await world.database.pool.fetchval("SELECT id FROM violations")
    return found


async def overdue(world: World) -> bool:
    return bool(await world.database.pool.fetchval("SELECT overdue_at IS NOT NULL FROM violations"))


async def found_ago(world: World, time: timedelta) -> None:
    await world.sql("UPDATE violations SET at = clock_timestamp() - $1::interval", time)


@pytest.mark.parametrize(
    ("severity", "allowed"),
    [
        ("critical", timedelta(hours=1)),
        ("high", timedelta(days=1)),
        ("medium", timedelta(days=7)),
        ("low", timedelta(days=30)),
    ],
)
async def test_a_violation_that_is_open_for_longer_than_its_severity_allows_is_overdue(
    world: World, severity: str, allowed: timedelta
) -> None:
    found = await violation(world, severity)
    await found_ago(world, allowed - timedelta(minutes=10))
    await govern(world)
    assert not await overdue(world)
    await found_ago(world, allowed)
    async with governed(world, times=3):
        await world.reaches(lambda: overdue(world))
    await govern(world)
    (line,) = await world.database.pool.fetch("SELECT * FROM audit WHERE action = 'violation.overdue'")
    assert (line["project_id"], line["actor"]) == (world.project_id, "worker")
    (told,) = line["detail"]["violations"]
    assert (told["id"], told["severity"], told["rule"]) == (str(found), severity, "no-tools")


async def test_a_violation_that_somebody_looks_after_does_not_become_overdue(world: World) -> None:
    found = await violation(world)
    await found_ago(world, timedelta(days=8))
    async with world.database.sessions.begin() as session:
        await answer_violation(session, world.ada, violation_id=found, text=None, status=ViolationStatus.ACKNOWLEDGED)
        await session.flush()
        await govern(world)
    assert not await overdue(world)
    await world.sql("UPDATE violations SET changed_at = clock_timestamp() - interval '8 days'")
    await govern(world)
    assert not await overdue(world)


async def test_a_violation_that_was_opened_again_has_all_of_its_time_again(world: World) -> None:
    found = await violation(world)
    await found_ago(world, timedelta(days=8))
    await govern(world)
    assert await overdue(world)
    for stand in (ViolationStatus.RESOLVED, ViolationStatus.OPEN):
        async with world.database.sessions.begin() as session:
            await answer_violation(session, world.ada, violation_id=found, text=None, status=stand)
        assert await overdue(world) == (stand == ViolationStatus.RESOLVED), "that it was is on record"
    await govern(world)
    assert not await overdue(world)
    await world.sql("UPDATE violations SET changed_at = clock_timestamp() - interval '7 days'")
    await govern(world)
    assert await overdue(world)
