"""A database that is silent without having hung up, as behind a network that lost a connection's state."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from sparkops.core import db
from sparkops.core.db import open_database


@asynccontextmanager
async def forwarding(port: int, quiet: asyncio.Event) -> AsyncIterator[int]:
    """A port that leads to this one; what the server says is kept back while `quiet` is set."""

    async def one_way(source: asyncio.StreamReader, target: asyncio.StreamWriter, held_back: bool) -> None:
        while data := await source.read(65536):
            if not (held_back and quiet.is_set()):
                target.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_in, there_out = await asyncio.open_connection("127.0.0.1", port)
        try:
            ways = (one_way(reader, there_out, False), one_way(there_in, writer, True))
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            there_out.transport.abort()
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_nobody_waits_for_ever_for_a_silent_database(app_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "SILENCE_SECONDS", 0.5)
    quiet = asyncio.Event()
    there = make_url(app_url)
    async with forwarding(there.port or 0, quiet) as port:
        url = there.set(port=port).render_as_string(hide_password=False)
        async with open_database(url, name="silent") as database, asyncio.timeout(20):
            async with database.sessions.begin() as session:
                assert await session.scalar(text("SELECT 1")) == 1
                assert await database.pool.fetchval("SELECT 1") == 1
                quiet.set()
                with pytest.raises(TimeoutError):
                    await database.pool.fetchval("SELECT 1")
                with pytest.raises(TimeoutError):
                    await session.scalar(text("SELECT 1"))
                quiet.clear()
                await session.rollback()
            assert await database.pool.fetchval("SELECT 1") == 1
