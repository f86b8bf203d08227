"""Steps that kill their process: the guilty one is found out alone, and nobody else pays."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sparkops.core.ids import new_id
from sparkops.engine.give_back import release_session
from tests.crash.children import DIE, NAP, Given
from tests.engine.conftest import World
from tests.reused import Clone

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 90.0
GOOD_RUNS = 4
"""Of five steps each; the campaign has a thousand."""
GOOD = "version: 1\nname: good\nsteps:\n" + "".join(
    f"  - {{id: s{number}, type: tool, tool: nap, with: {{seconds: 0.4}}}}\n" for number in range(5)
)
BAD = "version: 1\nname: bad\nsteps: [{id: only, type: tool, tool: die}]"
LONG = "version: 1\nname: long\nsteps: [{id: only, type: tool, tool: nap, with: {seconds: 600}}]"


@asynccontextmanager
async def worker_process(world: World, clone: Clone, slots: int) -> AsyncIterator[tuple[UUID, Process]]:
    session = new_id()
    given = Given(clone.app_url, session, world.settings.data_dir, 0)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash.worker_child", given.to_json(), str(slots)), cwd=ROOT
    )
    try:
        yield session, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(world: World, statement: str, *values: object, or_if: Callable[[], bool] = lambda: False) -> Any:
    """Return what the statement answers once that is true; processes may take seconds to start."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not (found := await world.database.pool.fetchval(statement, *values)) and not or_if():
            await asyncio.sleep(0.05)
    return found


async def supervised(world: World, clone: Clone, ended: str) -> int:
    """Keep one worker alive, as `sparkops up` does, until this holds. Returns how many of them died."""
    deaths = 0
    while True:
        async with worker_process(world, clone, slots=10) as (session, process):
            gone = asyncio.create_task(process.wait())
            if await until(world, ended, or_if=gone.done):
                process.terminate()
                await gone
                return deaths
            deaths += 1
        await release_session(world.engine, session, crashed=True)


async def test_a_step_that_kills_its_process_fails_alone_after_four_deaths(world: World, clone: Clone) -> None:
    world.tools |= {"die": DIE, "nap": NAP}
    good, bad = await world.workflow(GOOD), await world.workflow(BAD)
    guilty = await world.run(bad)
    runs = [await world.run(good) for _ in range(GOOD_RUNS)]
    deaths = await supervised(world, clone, "SELECT NOT EXISTS (SELECT 1 FROM runs WHERE finished_at IS NULL)")
    step = (await world.steps(guilty))["only"]
    assert (step["status"], step["error"]["code"], step["crashes"], step["attempt"]) == ("failed", "poison", 4, 4)
    assert [await world.status(run_id) for run_id in runs] == ["succeeded"] * GOOD_RUNS
    assert deaths == 2, "the third was in company, the fourth alone"
    bystanders = await world.database.pool.fetch("SELECT crashes FROM steps WHERE run_id <> $1 AND crashes > 0", guilty)
    assert bystanders, "nobody stood by"
    assert {row["crashes"] for row in bystanders} <= {1, 2, 3}


async def alone(world: World) -> int:
    """Wait until a process for isolated steps runs the one there is, and return its number."""
    return int(
        await until(
            world,
            "SELECT w.pid FROM steps s JOIN worker_sessions w ON w.id = s.worker_session"
            " WHERE s.status = 'running' AND w.parent_id IS NOT NULL",
        )
    )


def is_alive(pid: int) -> bool:
    """Say whether it has not ended; one whose parent is gone may stay unburied."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or ") Z " not in stat.read_text()


async def ends(world: World, pid: int) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while is_alive(pid):
            await asyncio.sleep(0.05)


async def isolated_and_long(world: World) -> UUID:
    world.tools["nap"] = NAP
    run_id = await world.run(await world.workflow(LONG))
    await world.sql("UPDATE steps SET isolate = true, crashes = 2")
    return run_id


async def test_the_process_for_isolated_steps_ends_with_its_parent_and_blames_nobody(
    world: World, clone: Clone
) -> None:
    run_id = await isolated_and_long(world)
    async with worker_process(world, clone, slots=3) as (_, process):
        pid = await alone(world)
        process.send_signal(signal.SIGKILL)
        await ends(world, pid)
    step = (await world.steps(run_id))["only"]
    assert (step["status"], step["crashes"], step["isolate"]) == ("ready", 2, True)


async def test_a_parent_that_drains_ends_it_too(world: World, clone: Clone) -> None:
    run_id = await isolated_and_long(world)
    async with worker_process(world, clone, slots=3) as (_, process):
        pid = await alone(world)
        process.terminate()
        assert await process.wait() == 0
        await ends(world, pid)
    step = (await world.steps(run_id))["only"]
    assert (step["status"], step["crashes"]) == ("ready", 2)


async def test_its_death_is_seen_at_once(world: World, clone: Clone) -> None:
    run_id = await isolated_and_long(world)
    await world.sql("UPDATE steps SET crashes = 0")
    async with worker_process(world, clone, slots=3):
        pid = await alone(world)
        os.kill(pid, signal.SIGKILL)
        await until(world, "SELECT crashes = 1 FROM steps WHERE run_id = $1", run_id)
        lapsed = await world.database.pool.fetchval("SELECT outcome FROM step_attempts WHERE attempt = 1")
    assert lapsed == "released", "the lease was not waited for"
    await release_session(world.engine, (await world.steps(run_id))["only"]["worker_session"], crashed=False)


async def test_one_that_hangs_is_killed(world: World, clone: Clone) -> None:
    run_id = await isolated_and_long(world)
    await world.sql("UPDATE steps SET crashes = 0")
    async with worker_process(world, clone, slots=3):
        pid = await alone(world)
        os.kill(pid, signal.SIGSTOP)
        await world.sql("UPDATE worker_sessions SET seen_at = seen_at - interval '1 hour' WHERE pid = $1", pid)
        await ends(world, pid)
        await until(world, "SELECT crashes = 1 FROM steps WHERE run_id = $1", run_id)
