"""A worker looks after what is to be kept, removed and collected, beside its claims."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from sparkops.worker.upkeep import Upkeep
from tests.engine.conftest import World
from tests.engine.tenants import age, ask, keep, owned, rich_run
from tests.engine.test_collection import get_older


@asynccontextmanager
async def upkeeping(world: World, *, times: int = 1) -> AsyncIterator[None]:
    draining = asyncio.Event()
    made = [
        Upkeep(world.engine, world.blobs, grace=timedelta(hours=1), look_seconds=0.02).run(draining)
        for _ in range(times)
    ]
    running = asyncio.gather(*made)
    try:
        yield
    finally:
        draining.set()
        await asyncio.wait_for(running, 10)


def found(world: World, chore: str) -> Callable[[], Awaitable[bool]]:
    async def done() -> bool:
        query = "SELECT finished_at IS NOT NULL FROM chores WHERE name = $1"
        return bool(await world.database.pool.fetchval(query, chore))

    return done


async def test_chores_are_done_when_they_are_due_by_one_of_those_who_look(world: World, owner_url: str) -> None:
    await owned(world)
    run_id = await rich_run(world)
    await age(owner_url, run_id, days=2)
    await keep(world, runs=1)
    async with upkeeping(world, times=3):
        await world.reaches(found(world, "retention"))
        await world.reaches(found(world, "collection"))
    rows = await world.database.pool.fetch(
        "SELECT name, found, next_at > clock_timestamp() AS later FROM chores WHERE name <> 'forecasts'"
    )
    said = {row["name"]: row for row in rows}
    assert said["retention"]["found"] == {"runs": 2, "logs": 0, "values": 0}
    assert said["collection"]["found"]["looked_at"] == 2
    assert all(row["later"] for row in rows), "nobody does them again at once"
    assert await world.database.pool.fetchval("SELECT count(*) FROM audit WHERE action = 'retention.runs'") == 1


async def test_a_project_whose_delay_is_over_is_removed(world: World) -> None:
    await owned(world)
    await rich_run(world)
    await ask(world)

    async def gone() -> bool:
        return not await world.database.pool.fetchval("SELECT count(*) FROM projects")

    async with upkeeping(world, times=2):
        await world.reaches(gone)


async def test_what_breaks_does_not_keep_the_rest_from_being_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Upkeep, draining: asyncio.Event) -> None:
        raise RuntimeError

    broken.__name__ = "_remove"
    monkeypatch.setattr(Upkeep, "_remove", broken)
    await world.blobs.put(b"nobody's")
    get_older(world)
    async with upkeeping(world):
        await world.reaches(found(world, "collection"))
    assert await world.database.pool.fetchval("SELECT count(*) FROM condemned_objects") == 1
