"""Upkeep is killed with SIGKILL after every batch; the next process goes on, and nobody else loses anything."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from sparkops.core.failpoints import ENV
from sparkops.core.ids import new_id
from sparkops.engine.invariants import audit
from tests.crash.children import Given
from tests.engine.bulk import objects
from tests.engine.conftest import World
from tests.engine.tenants import CANARY, another, ask, collect, counts, digest_of_large, owned, rich_run, tables_with
from tests.engine.test_collection import HOUR, drop_artifacts_and_runs, get_older, wait_aside
from tests.reused import Clone

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120
"""A process takes a second to start, and tens of them on a busy machine."""


async def upkeep(world: World, clone: Clone, point: str | None) -> asyncio.subprocess.Process:
    given = Given(clone.app_url, new_id(), world.settings.data_dir, 0)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash.upkeep_child", given.to_json()),
        env={**os.environ, **({ENV: f"{point}=kill"} if point else {})},
        cwd=ROOT,
    )


async def lapse(clone: Clone) -> None:
    """As after minutes without a word of the process that died."""
    owner = await asyncpg.connect(clone.owner_url)
    await owner.execute("UPDATE project_deletions SET lease_expires_at = '-infinity' WHERE status = 'removing'")
    await owner.execute("UPDATE chores SET lease_expires_at = '-infinity' WHERE lease_expires_at IS NOT NULL")
    await owner.close()


@pytest.mark.parametrize("point", ["after_removal_batch", "after_removal_objects"])
async def test_a_deletion_survives_the_death_of_its_worker(world: World, clone: Clone, point: str) -> None:
    await owned(world)
    other = await another(world)
    for _ in range(2):
        await rich_run(world)
    theirs = await rich_run(other)
    before = await counts(other)
    await ask(world)

    for _ in range(3 if point == "after_removal_batch" else 1):
        child = await upkeep(world, clone, point)
        assert await asyncio.wait_for(child.wait(), PATIENCE_SECONDS) == -signal.SIGKILL
        broken = await audit(world.database.pool)
        assert not broken, broken
        assert await _status(world) == "removing"
        await lapse(clone)

    child = await upkeep(world, clone, None)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await _status(world) != "done":
                await asyncio.sleep(0.05)
    finally:
        child.kill()
        await child.wait()
    assert await tables_with(clone.owner_url, str(world.project_id)) == {"audit", "project_deletions"}
    assert not (world.settings.blob_dir / "projects" / str(world.project_id)).exists()
    assert await counts(other) == before
    digest = await digest_of_large(other, theirs)
    assert await other.engine.payloads.blobs_of(other.project_id).get(digest, 1 << 20)
    file = await world.database.pool.fetchval("SELECT sha256 FROM artifacts WHERE run_id = $1", theirs)
    assert await world.blobs.get(file, 1 << 20) == CANARY.encode()
    removed = await world.database.pool.fetchval("SELECT removed FROM project_deletions")
    assert removed["runs"] == 4, "counted once each, whatever died"


async def _status(world: World) -> str:
    return str(await world.database.pool.fetchval("SELECT status FROM project_deletions"))


async def test_a_collection_that_died_between_word_and_deed_is_made_good(world: World, clone: Clone) -> None:
    """It has written that an object lies aside, and died before it was moved."""
    await owned(world)
    await drop_artifacts_and_runs(world, clone.owner_url, await rich_run(world))
    get_older(world)
    child = await upkeep(world, clone, "after_condemned")
    assert await asyncio.wait_for(child.wait(), PATIENCE_SECONDS) == -signal.SIGKILL
    assert len(objects(world)) == 2
    await wait_aside(world)
    await collect(world, grace=HOUR)
    assert len(objects(world)) == 2, "what is set aside now is not removed by an old word"
    await wait_aside(world)
    await collect(world, grace=HOUR)
    assert objects(world) == []
