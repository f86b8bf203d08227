"""The relay is killed with SIGKILL around a delivery; the next one delivers again what nobody recorded."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from sparkops.core.config import Settings
from sparkops.core.failpoints import ENV
from sparkops.core.ids import new_id
from sparkops.worker.event_log import event_log
from sparkops.worker.relay import Relay
from tests.crash.children import Given
from tests.engine.acts import ONE_STEP, succeed
from tests.engine.conftest import World
from tests.reused import Clone

ROOT = Path(__file__).parents[2]


async def killed(world: World, clone: Clone, point: str) -> None:
    given = Given(clone.app_url, new_id(), world.settings.data_dir, 0)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash.relay_child", given.to_json()),
        env={**os.environ, ENV: f"{point}=kill"},
        cwd=ROOT,
    )
    assert await child.wait() == -signal.SIGKILL


def written(settings: Settings) -> Counter[int]:
    path = settings.event_log_file
    return Counter(json.loads(line)["seq"] for line in path.read_text().splitlines()) if path.exists() else Counter()


@pytest.mark.parametrize(("point", "before", "after"), [("before_deliver", 0, 1), ("after_deliver", 1, 2)])
async def test_an_event_survives_the_death_of_its_relay(
    world: World, clone: Clone, point: str, before: int, after: int
) -> None:
    settings = Settings(data_dir=world.settings.data_dir, event_log="file")
    handlers = await event_log(world.engine, settings)
    run_id = await world.run(await world.workflow(ONE_STEP))
    await succeed(world, *await world.claimed(run_id))
    seqs = range(1, len(await world.kinds(run_id)) + 1)

    await killed(world, clone, point)
    assert all(written(settings)[seq] == before for seq in seqs)
    statuses = {row["status"] for row in await world.database.pool.fetch("SELECT status FROM outbox")}
    assert statuses == {"pending"}, "nobody said that it had arrived"

    await world.sql("UPDATE outbox SET lease_expires_at = '-infinity'")
    draining = asyncio.Event()
    running = asyncio.create_task(Relay(world.engine, await world.worker(), handlers).run(draining))
    await world.reaches(lambda: _all_delivered(world))
    draining.set()
    await running
    assert written(settings) == dict.fromkeys(seqs, after)


async def _all_delivered(world: World) -> bool:
    return bool(await world.database.pool.fetchval("SELECT bool_and(status = 'delivered') FROM outbox"))
