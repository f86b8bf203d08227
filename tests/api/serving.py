"""The server as it is run, in this process: with its protocol, its limits, and no test's shortcuts."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI

from sparkops.api.__main__ import server_config
from sparkops.core.config import Settings


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[str, uvicorn.Server]]:
    """Serve, and give `host:port` and the server. `app_of` has what it serves."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = uvicorn.Server(server_config(settings))
        task = asyncio.create_task(server.serve(sockets=[bound]))
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.01)
        yield "{}:{}".format(*bound.getsockname()), server
        server.should_exit = True
        await task


def app_of(server: uvicorn.Server) -> FastAPI:
    assert isinstance(server.config.app, FastAPI)
    return server.config.app


class Wire:
    """A connection that says what it likes, as slowly as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, text: str | bytes) -> None:
        self.writer.write(text.encode() if isinstance(text, str) else text)
        await self.writer.drain()

    async def head(self) -> str:
        """Return the head of an answer."""
        async with asyncio.timeout(10):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def closed(self, within: float = 5.0) -> bytes:
        """Wait until the server has hung up; return what it said until then."""
        said = b""
        async with asyncio.timeout(within):
            while True:
                try:
                    piece = await self.reader.read(65_536)
                except ConnectionError:
                    return said
                if not piece:
                    return said
                said += piece


@asynccontextmanager
async def wire(address: str) -> AsyncIterator[Wire]:
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 22)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
