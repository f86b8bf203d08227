"""What this machine allows: durable commits by one session and by sixteen, and an echo from Redis."""

import asyncio
import time

import asyncpg
from redis.asyncio import Redis

from benchmarks.report import Report
from sparkops.local.stack import EmbeddedServers

SECONDS = 2.0
SESSIONS = 16
SEQUENCE = 42
"""The least number of commits of a run of 40 claimed steps: accept, claim, and one for each completion."""


async def measure_limits(report: Report, servers: EmbeddedServers) -> None:
    """Measure on a table of their own in the maintenance database."""
    pool = await asyncpg.create_pool(servers.admin_url, min_size=SESSIONS, max_size=SESSIONS)
    try:
        await pool.execute("CREATE TABLE limits (id bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())")
        report.line("limits", "commits_1_session", await _commits(pool, 1), "1/s")
        report.line("limits", "commits_16_sessions", await _commits(pool, SESSIONS), "1/s")
        report.spread("limits", "commits_42_in_sequence", [await _sequence(pool) for _ in range(10)], "ms")
        await pool.execute("DROP TABLE limits")
    finally:
        await pool.close()
    async with Redis.from_url(servers.redis_url) as redis:
        report.spread("limits", "redis_echo", [await _echo(redis) for _ in range(200)], "ms")


async def _commits(pool: "asyncpg.Pool", sessions: int) -> float:
    end = time.monotonic() + SECONDS

    async def session() -> int:
        done = 0
        async with pool.acquire() as connection:
            while time.monotonic() < end:
                await connection.execute("INSERT INTO limits DEFAULT VALUES")
                done += 1
        return done

    begun = time.monotonic()
    counts = await asyncio.gather(*(session() for _ in range(sessions)))
    return sum(counts) / (time.monotonic() - begun)


async def _sequence(pool: "asyncpg.Pool") -> float:
    async with pool.acquire() as connection:
        begun = time.perf_counter()
        for _ in range(SEQUENCE):
            await connection.execute("INSERT INTO limits DEFAULT VALUES")
        return (time.perf_counter() - begun) * 1000


async def _echo(redis: "Redis") -> float:
    begun = time.perf_counter()
    await redis.ping()
    return (time.perf_counter() - begun) * 1000
