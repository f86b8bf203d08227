"""A worker whose hints stop coming while work waits and the broker answers makes them come again."""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from sparkops.core.ids import new_id
from sparkops.engine.cancel import cancel_run
from sparkops.engine.halts import HaltOrder, Kind, Scope, order_halt
from sparkops.worker.hints import HintWatch
from sparkops.worker.isolation import SESSION
from tests.engine.acts import ONE_STEP
from tests.engine.conftest import World
from tests.reused import Clone


@dataclass
class Line:
    """Passes bytes on to a server. Connections of who consumes hints can be made silent: open, and nothing comes."""

    host: str
    port: int
    silent: set[asyncio.Task[None]] = field(default_factory=set)
    open: dict[asyncio.Task[None], bool] = field(default_factory=dict)
    """Each direction from the server, and whether its client has asked for hints."""
    mute: bool = False
    """Nobody is answered."""

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        there, back = await asyncio.open_connection(self.host, self.port)
        answers = asyncio.create_task(self._pass(there, writer))
        self.open[answers] = False
        try:
            while data := await reader.read(65536):
                self.open[answers] |= b"BRPOP" in data
                back.write(data)
        finally:
            answers.cancel()
            self.open.pop(answers)
            back.close()
            writer.close()

    async def _pass(self, reader: StreamReader, writer: StreamWriter) -> None:
        me = asyncio.current_task()
        while data := await reader.read(65536):
            if me not in self.silent and not self.mute:
                writer.write(data)

    def silence_consumers(self) -> None:
        """Let nothing more come to those that consume now; who connects later is answered."""
        self.silent |= {each for each, consumes in self.open.items() if consumes}


@asynccontextmanager
async def passing(redis_url: str) -> AsyncIterator[tuple[Line, str]]:
    """A line to this Redis, and the URL under which it is reached through it."""
    parts = urlsplit(redis_url)
    line = Line(parts.hostname or "127.0.0.1", parts.port or 6379)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield line, parts._replace(netloc=parts.netloc.rpartition(":")[0] + f":{port}").geturl()
    finally:
        server.close()


@dataclass
class Hinted:
    """A worker in a process of its own, and what it writes."""

    process: asyncio.subprocess.Process
    log: Path

    def said(self, event: str) -> list[dict[str, Any]]:
        assert self.process.returncode is None, self.log.read_text()
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [entry for entry in map(json.loads, lines) if entry.get("event") == event]


@asynccontextmanager
async def hinted(app_url: str, redis_url: str, directory: Path) -> AsyncIterator[Hinted]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPARKOPS_")} | {
        "SPARKOPS_APP_DATABASE_URL": app_url,
        "SPARKOPS_REDIS_URL": redis_url,
        "SPARKOPS_DATA_DIR": str(directory),
        "SPARKOPS_REQUIRE_DURABLE": "false",
        SESSION: str(new_id()),
    }
    log = directory / "worker.log"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.crash.hinted_child", "--queues", "run"), env=env, stdout=file, stderr=file
        )
    try:
        yield Hinted(process, log)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def test_a_silent_consumer_begins_anew_and_hints_come_again(
    world: World, clone: Clone, redis_url: str, tmp_path: Path
) -> None:
    await order_halt(world.engine, world.ada, HaltOrder(Kind.PAUSE, Scope.PROJECT, world.project_id, None))
    async with (
        Redis.from_url(redis_url) as redis,
        passing(redis_url) as (line, url),
        hinted(clone.app_url, url, tmp_path) as worker,
    ):

        async def consumes() -> bool:
            return any(consumes for each, consumes in line.open.items() if each not in line.silent)

        async def noticed() -> bool:
            return bool(worker.said("hints.silent"))

        async def hints_pile_up() -> bool:
            return bool(await redis.llen("run"))

        async def hints_are_taken() -> bool:
            return not await redis.llen("run")

        await world.reaches(consumes)
        line.silence_consumers()
        await world.run(await world.workflow(ONE_STEP))  # ready, and rung for, but nobody may take it
        await world.reaches(hints_pile_up)
        await world.reaches(noticed)
        await world.reaches(consumes)
        await world.reaches(hints_are_taken)
        told = worker.said("hints.silent")
        assert {queue for each in told for queue in each["queues"]} == {"run"}
        assert [each["restarts"] for each in told] == list(range(1, len(told) + 1))


@pytest.fixture
async def held_up(world: World) -> World:
    """Work of the queue `run` is ready, and nobody may take it."""
    await order_halt(world.engine, world.ada, HaltOrder(Kind.PAUSE, Scope.PROJECT, world.project_id, None))
    await world.run(await world.workflow(ONE_STEP))
    return world


async def restarts(world: World, url: str, heard: Mapping[str, float], looks: int = 2) -> int:
    """Return how often a watch lets the consumer begin anew that takes any silence for too long."""
    found: list[None] = []
    watch = HintWatch(
        world.engine, ["run"], url, heard, lambda: found.append(None), waiting=timedelta(), silent_seconds=0
    )
    for _ in range(looks):
        await watch._look()
    assert watch.restarts == len(found)
    return len(found)


async def test_silence_counts_from_when_work_began_to_wait_and_anew_after_each_time(
    held_up: World, redis_url: str
) -> None:
    assert await restarts(held_up, redis_url, {"run": 1.0}, looks=1) == 0, "before, there was nothing to ring for"
    assert await restarts(held_up, redis_url, {"policy": time.monotonic() + 60}) == 1
    assert await restarts(held_up, redis_url, {}, looks=3) == 1
    assert await restarts(held_up, redis_url, {}, looks=4) == 2


async def test_a_consumer_that_hears_or_has_nothing_to_hear_is_left_alone(held_up: World, redis_url: str) -> None:
    assert await restarts(held_up, redis_url, {"run": time.monotonic() + 60}) == 0
    (run_id,) = [row["id"] for row in await held_up.database.pool.fetch("SELECT id FROM runs")]
    await cancel_run(held_up.engine, held_up.ada, run_id)
    assert await restarts(held_up, redis_url, {}) == 0


async def test_a_broker_that_is_away_or_mute_is_no_reason_to_begin_anew(held_up: World, redis_url: str) -> None:
    async with passing(redis_url) as (line, url):
        line.mute = True
        assert await restarts(held_up, url, {}) == 0
    assert await restarts(held_up, url, {}) == 0
