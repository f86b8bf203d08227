"""Connections that end while nobody looks at them."""

import asyncio

from sqlalchemy import text

from sparkops.core.db import Database


async def test_a_session_gets_another_connection_where_the_kept_one_was_ended(database: Database) -> None:
    async with database.sessions.begin() as session:
        before = await session.scalar(text("SELECT pg_backend_pid()"))
        kept = (await (await session.connection()).get_raw_connection()).driver_connection
    assert kept is not None
    await database.pool.fetchval("SELECT pg_terminate_backend($1, 5000)", before)
    async with asyncio.timeout(10):
        while not kept.is_closed():
            await asyncio.sleep(0.01)

    for sessions in (database.sessions, database.reads):
        async with sessions.begin() as session:
            assert await session.scalar(text("SELECT pg_backend_pid()")) != before
