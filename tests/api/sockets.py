"""API processes that listen on a port, and WebSockets to them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect

from tests.api.conftest import Person

WAIT_SECONDS = 10.0


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application that has started already, and give its `host:port`."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, ws="websockets-sansio")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[bound]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield "{}:{}".format(*bound.getsockname())
        server.should_exit = True
        await task


class Watcher:
    """One open socket, and what came over it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[dict[str, Any]] = []

    async def send(self, **message: object) -> None:
        await self.connection.send(orjson.dumps(message).decode())

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_SECONDS):
            frame: dict[str, Any] = orjson.loads(await self.connection.recv())
        self.frames.append(frame)
        return frame

    async def until(self, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Receive until a frame is the one that is waited for."""
        while not done(frame := await self.receive()):
            pass
        return frame

    async def seqs_up_to(self, last: int) -> list[int]:
        """Receive until this event has come; return the numbers of all events so far, in the order of arrival."""
        if last not in self.seqs:
            await self.until(lambda frame: frame.get("seq", 0) >= last and "events" in frame)
        return self.seqs

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for frame in self.frames for event in frame.get("events", [])]


@asynccontextmanager
async def watching(address: str, person: Person) -> AsyncIterator[Watcher]:
    """Open a socket in a person's name, with a fresh ticket."""
    async with connect(f"ws://{address}/api/v1/ws?ticket={await ticket_of(person)}") as connection:
        yield Watcher(connection)


async def ticket_of(person: Person, origin: str | None = None) -> str:
    headers = {"Origin": origin} if origin else {}
    answer = await person.client.post("/api/v1/live/tickets", headers=headers)
    assert answer.status_code == 201, answer.text
    ticket: str = answer.json()["ticket"]
    return ticket
