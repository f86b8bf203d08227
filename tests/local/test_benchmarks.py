"""What benchmarks do to a stack beside measuring it: they empty Redis, and look for transactions that stay open."""

import asyncio

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisGone

from benchmarks.flushed import flushing
from benchmarks.left_open import Looked, nothing_left_open
from sparkops.local.stack import EmbeddedServers
from tests.lent import LentServers
from tests.reused import Clone


async def looks(admin_url: str, enough: "asyncio.Future[None]", looked: list[Looked]) -> None:
    async with nothing_left_open(admin_url) as found, asyncio.timeout(30):
        looked.append(found)
        await enough


async def test_a_transaction_that_stands_open_fails_with_what_it_last_did(
    postgres_server: EmbeddedServers | LentServers, clone: Clone
) -> None:
    looked: list[Looked] = []
    enough = asyncio.get_running_loop().create_future()
    looking = asyncio.create_task(looks(postgres_server.admin_url, enough, looked))
    connection = await asyncpg.connect(clone.app_url)
    await connection.execute("BEGIN")
    await connection.execute("SELECT 'before a call'")
    while not (looked and looked[0].found):
        assert not looking.done()
        await asyncio.sleep(0.01)
    enough.set_result(None)
    with pytest.raises(RuntimeError, match=r"idle for ([2-9]\d\d|\d{4,}) ms after: SELECT 'before a call'"):
        await looking
    await connection.close()


async def test_connections_that_idle_outside_of_transactions_are_no_matter(
    postgres_server: EmbeddedServers | LentServers, clone: Clone
) -> None:
    connection = await asyncpg.connect(clone.app_url)
    async with nothing_left_open(postgres_server.admin_url) as looked, asyncio.timeout(30):
        await connection.execute("SELECT 'before a call'")
        while looked.samples < 5:
            await asyncio.sleep(0.01)
    await connection.close()
    assert looked.longest_ms == 0


async def test_redis_is_emptied_again_and_again_and_counted(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client, flushing(redis_url, 0.05) as flushed, asyncio.timeout(30):
        for already in range(3):
            await client.set("key", "value")
            while flushed.times <= already or await client.exists("key"):
                await asyncio.sleep(0.01)
    assert flushed.times >= 3


async def emptied(redis_url: str) -> None:
    async with flushing(redis_url, 0.01) as flushed, asyncio.timeout(30):
        while flushed.goes_on:
            await asyncio.sleep(0.01)


async def test_a_redis_that_could_not_be_emptied_fails_the_measurement() -> None:
    with pytest.raises(RedisGone):
        await emptied("redis://127.0.0.1:1")
