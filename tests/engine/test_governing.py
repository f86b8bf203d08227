"""Workers of the queue `policy` see to what comes due by its time; others do none of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from sparkops.core.ids import new_id
from sparkops.engine import governing
from sparkops.engine.context import Engine
from sparkops.engine.diagnosis import examine
from sparkops.engine.sweep import Swept, sweep
from sparkops.worker import governing as worker_governing
from sparkops.worker import loop as worker_loop
from sparkops.worker.app import companions_of
from sparkops.worker.governing import Governing
from sparkops.worker.loop import WorkerLoop, open_worker
from tests.engine.acts import HOLD_NOOP, ONE_STEP
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


async def status(world: World) -> str:
    return str(await world.database.pool.fetchval("SELECT status FROM approvals"))


async def test_questions_expire_where_a_worker_serves_the_queue_policy_and_nowhere_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(world)
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp()")
    sweeps: list[Swept] = []

    async def noted(engine: Engine, queues: tuple[str, ...]) -> Swept:
        sweeps.append(await sweep(engine, queues))
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
