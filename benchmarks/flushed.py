"""W3 while Redis is emptied again and again: lost hints, rings, tickets and limits may cost time, and no run."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from benchmarks.throughput import CONNECTIONS, RUNS, ended, flood, last_run
from benchmarks.workloads import Bench, sequence

FLUSHES: Final = 3
"""So often at least; W3 is repeated until then."""


@dataclass
class Flushed:
    """How often Redis was emptied so far."""

    times: int = 0
    by: "asyncio.Task[None] | None" = None

    @property
    def goes_on(self) -> bool:
        """Whether it could be emptied each time."""
        return self.by is not None and not self.by.done()


async def w3_flushed(bench: Bench, every: float) -> None:
    """Submit W3's runs while Redis is emptied every so many seconds, and report how many ended, and how fast.

    Raises:
        RuntimeError: a run did not succeed.
        TimeoutError: a run did not end.
    """
    await bench.create(sequence("three", 3))
    await flood(bench, "three", 50)
    runs, last, begun = 0, await last_run(bench), time.time()
    latencies: list[float] = []
    async with flushing(bench.redis_url, every) as flushed:
        while flushed.goes_on and flushed.times < FLUSHES:
            latencies += (await flood(bench, "three", RUNS))["latencies_ms"]
            runs += RUNS
    took = await ended(bench, last) - begun
    about = {"runs": runs, "connections": CONNECTIONS, "flush_seconds": every, "flushes": flushed.times}
    bench.report.line("W3", "throughput_flushed", runs / took, "runs/s", **about)
    bench.report.spread("W3", "submit_flushed", latencies, "ms", **about)


@asynccontextmanager
async def flushing(redis_url: str, every: float) -> AsyncIterator[Flushed]:
    """Empty Redis every so many seconds until the block ends, which fails if that could not be done."""
    flushed = Flushed()
    async with Redis.from_url(redis_url) as client:
        flushed.by = flusher = asyncio.create_task(_flush(client, every, flushed))
        try:
            yield flushed
        finally:
            flusher.cancel()
            await asyncio.wait([flusher])
    if not flusher.cancelled():
        flusher.result()


async def _flush(client: "Redis", every: float, flushed: Flushed) -> None:
    while True:
        await asyncio.sleep(every)
        await client.flushall()
        flushed.times += 1
