"""A restored database: what the workers of before held goes back, and nothing that they still send counts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from sparkops.core.clock import utc_now
from sparkops.core.db import open_database
from sparkops.core.ids import new_id
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.claim import Claim, claim, claim_isolated, heartbeat
from sparkops.engine.complete import Ended, complete, end_attempt
from sparkops.engine.context import Engine, Worker, call
from sparkops.engine.errors import Fenced, WrongEpoch
from sparkops.engine.outbox import claim_entries, delivered, subscribe
from sparkops.engine.recover import Recovered, WorkersAlive, recover
from sparkops.engine.wait import wait_for_approvals
from sparkops.worker.loop import WorkerLoop
from tests.engine.acts import ONE_STEP, prepared, proposal, recorded, result, succeed
from tests.engine.conftest import World

CHAIN = """
version: 1
name: chain
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: noop, needs: [a]}
"""
LEASE = timedelta(seconds=30)


@pytest.fixture
async def owner(world: World, owner_url: str) -> AsyncIterator[Engine]:
    """The engine under the role that owns the schema."""
    async with open_database(owner_url, name="owner", pool_size=2) as database:
        yield replace(world.engine, database=database)


async def recovered(owner: Engine, **options: Any) -> Recovered:
    return await recover(owner, actor="system:test", **{"force": True, "restored_to": None} | options)


async def blocked(world: World, recovering: Awaitable[Recovered]) -> "asyncio.Task[Recovered]":
    """Start it, and return once it waits; it has another role, whose waits show among the locks only."""
    task = asyncio.ensure_future(recovering)

    async def waits() -> bool:
        assert not task.done(), "it did not have to wait"
        return bool(await world.database.pool.fetchval("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"))

    await world.reaches(waits)
    return task


async def test_a_recovery_gives_back_what_ran_blames_nobody_and_is_written_down(world: World, owner: Engine) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, _ = await world.claimed(run_id)
    await world.sql("UPDATE steps SET step_deadline_at = clock_timestamp() - interval '1 hour', max_attempts = 1")
    before = await world.database.pool.fetchval("SELECT epoch FROM system")
    done = await recovered(owner)
    step = (await world.steps(run_id))["only"]
    assert (step["status"], step["crashes"], step["failures"], step["isolate"]) == ("ready", 0, 0, False)
    assert (done.old_epoch, done.steps, done.sessions) == (before, {"ready": 1}, 1)
    assert await world.database.pool.fetchval("SELECT epoch FROM system") == done.new_epoch != before
    ended = await world.database.pool.fetchval("SELECT ended_at FROM worker_sessions WHERE id = $1", worker.session_id)
    assert ended is not None
    line = await world.database.pool.fetchrow("SELECT actor, object, detail FROM audit WHERE action = 'system.recover'")
    assert (line["actor"], line["object"]) == ("system:test", f"system:{done.new_epoch}")
    assert (line["detail"]["steps"], line["detail"]["forced"]) == (1, True)
    await world.work_until(run_id)
    assert await world.status(run_id) == "succeeded"


async def test_what_may_have_happened_waits_for_a_person(world: World, owner: Engine) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held, proposal(effect_class="unsafe"))
    done = await recovered(owner)
    assert done.steps == {"uncertain": 1}
    assert [(row["step_id"], row["path"]) for row in done.uncertain.rows] == [(held.lease.step_id, "only")]
    assert await world.status(run_id) == "attention", "the run was advanced"


async def test_calls_since_the_time_restored_to_are_listed(world: World, owner: Engine) -> None:
    worker, old = await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    (verdict,) = await prepared(world, old, proposal())
    await recorded(world, old, result(verdict["call_id"]))
    await succeed(world, worker, old)
    since = utc_now()
    _, new = await world.claimed(await world.run("one"))
    (verdict,) = await prepared(world, new, proposal())
    done = await recovered(owner, restored_to=since)
    assert done.review is not None
    assert [str(row["call_id"]) for row in done.review.rows] == [verdict["call_id"]]
    assert (await recovered(owner)).review is None


async def test_it_is_refused_while_workers_are_alive(world: World, owner: Engine) -> None:
    worker = await world.worker()
    epoch = await world.database.pool.fetchval("SELECT epoch FROM system")
    with pytest.raises(WorkersAlive, match="1 worker sessions gave a sign of life"):
        await recovered(owner, force=False)
    assert await world.database.pool.fetchval("SELECT epoch FROM system") == epoch
    await world.sql(
        "UPDATE worker_sessions SET seen_at = clock_timestamp() - interval '61 seconds' WHERE id = $1",
        worker.session_id,
    )
    await recovered(owner, force=False)
    await recovered(owner, force=False)
    assert await world.database.pool.fetchval("SELECT epoch FROM system") != epoch


# The workers of before


async def _claims(world: World, worker: Worker, held: Claim) -> None:
    await claim(world.engine, worker, limit=1)


async def _claims_isolated(world: World, worker: Worker, held: Claim) -> None:
    await claim_isolated(world.engine, worker, limit=1, empty=True)


async def _claims_entries(world: World, worker: Worker, held: Claim) -> None:
    await claim_entries(world.engine, worker, "watch", limit=1, lease=LEASE)


async def _ends_badly(world: World, worker: Worker, held: Claim) -> None:
    await end_attempt(
        world.engine, worker, Ended(held, StepStatus.FAILED, error={"code": "x", "message": "x"}), claim=0
    )


async def _prepares(world: World, worker: Worker, held: Claim) -> None:
    await prepared(world, held, proposal(seq=2))


async def _records(world: World, worker: Worker, held: Claim) -> None:
    (row,) = await world.calls(held.run_id)
    await recorded(world, held, result(row["id"]))


async def _asks(world: World, worker: Worker, held: Claim) -> None:
    question = {"approval_id": str(new_id()), "title": "?", "request": {}, "request_hash": "h", "seconds": 60}
    await call(world.database.pool, "ask", {**held.lease.to_json(), **question})


async def _waits(world: World, worker: Worker, held: Claim) -> None:
    await wait_for_approvals(world.engine, held, [new_id()])


WRITES = [_claims, _claims_isolated, _claims_entries, _ends_badly, _prepares, _records, _asks, _waits]


@pytest.mark.parametrize("write", WRITES)
async def test_a_worker_of_before_gets_nothing_and_writes_nothing(
    world: World, owner: Engine, write: Callable[[World, Worker, Claim], Awaitable[None]]
) -> None:
    await subscribe(world.engine, "watch", ["*"])
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    await prepared(world, held, proposal())
    await recovered(owner)
    before = await everything(world)
    with pytest.raises((WrongEpoch, Fenced)):
        await write(world, worker, held)
    assert await everything(world) == before


async def everything(world: World) -> list[Any]:
    statements = ("SELECT * FROM steps", "SELECT * FROM calls", "SELECT * FROM events", "SELECT * FROM approvals")
    return [[dict(row) for row in await world.database.pool.fetch(f"{one} ORDER BY 1, 2")] for one in statements]


async def test_a_worker_of_before_completes_nothing_and_takes_nothing_with_it(world: World, owner: Engine) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    worker, held = await world.claimed(run_id)
    await recovered(owner)
    done = await complete(world.engine, worker, [Ended(held, StepStatus.SUCCEEDED)], claim=5)
    assert (done.closed, done.claims) == (frozenset(), [])
    kept = await heartbeat(world.engine, worker, [held.lease])
    assert kept.kept == frozenset()
    assert {key: step["status"] for key, step in (await world.steps(run_id)).items()} == {"a": "ready", "b": "pending"}


async def test_a_claim_under_way_is_waited_for_and_given_back(world: World, owner: Engine) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker = await world.worker()
    async with world.transaction() as engine:
        (held,) = await claim(engine, worker, limit=1)
        recovering = await blocked(world, recovered(owner))
    assert (await recovering).steps == {"ready": 1}
    with pytest.raises(Fenced):
        await prepared(world, held, proposal())
    assert (await world.steps(run_id))["only"]["status"] == "ready"


async def test_a_claim_that_comes_during_the_recovery_is_refused(world: World, owner: Engine) -> None:
    await world.run(await world.workflow(ONE_STEP))
    worker = await world.worker()
    async with owner.database.pool.acquire() as connection, connection.transaction():
        await call(connection, "recover", "system:test", {})
        claiming = await world.blocked(claim(world.engine, worker, limit=1))
    with pytest.raises(WrongEpoch):
        await claiming


async def test_a_completion_under_way_takes_nothing_into_the_new_epoch(world: World, owner: Engine) -> None:
    run_id = await world.run(await world.workflow(CHAIN))
    worker, held = await world.claimed(run_id)
    async with world.transaction() as engine:
        done = await succeed(engine, worker, held, take=1)
        recovering = await blocked(world, recovered(owner))
    assert len(done.claims) == 1
    assert (await recovering).steps == {"ready": 1}
    assert {key: step["status"] for key, step in (await world.steps(run_id)).items()} == {
        "a": "succeeded",
        "b": "ready",
    }


async def test_a_worker_of_before_stops_by_itself(world: World, owner: Engine) -> None:
    loop = WorkerLoop(world.runtime(), await world.worker(), slots=2, drain_seconds=1)
    running = asyncio.create_task(loop.run())
    await asyncio.sleep(0)
    await recovered(owner)
    async with asyncio.timeout(10):
        await running


async def test_a_delivery_under_way_is_due_again(world: World, owner: Engine) -> None:
    await subscribe(world.engine, "watch", ["run.*"])
    await world.claimed(await world.run(await world.workflow(ONE_STEP)))
    batch = await claim_entries(world.engine, await world.worker(), "watch", limit=9, lease=LEASE)
    await recovered(owner)
    assert await delivered(world.engine, batch) == 0
    again = await claim_entries(world.engine, await world.worker(), "watch", limit=9, lease=LEASE)
    assert [entry.id for entry in again.entries] == [entry.id for entry in batch.entries]


async def test_the_application_may_not_recover(world: World) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await recovered(world.engine)
