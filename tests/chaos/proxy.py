"""Stands between the doors and PostgreSQL. It can lose the answer of a transaction that has been committed, and hold up
all that one process says from the moment at which it prepares a call.

It reads just enough of the protocol to know which function a connection is calling and when its answer is complete.
"""

import asyncio
import os
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

SSL_REQUEST = 80877103
COMMITS = ("engine.accept", "engine.complete", "engine.prepare", "engine.record", "engine.claim", "COMMIT")
"""What is lost after its commit: the statements that contain one of these."""


@dataclass
class Proxy:
    """`cut` connections are those whose next answer is to be lost, by what was called."""

    server_port: int
    port: int = 0
    wanted: int = 0
    """How many more answers are to be lost."""
    cut: Counter[str] = field(default_factory=Counter)
    late_seconds: float | None = None
    """For how long the next process that prepares a call is held up; None: none is."""
    held_up: int = 0
    """How often one was."""
    held: dict[int, asyncio.Event] = field(default_factory=dict)
    """The processes that are held up, by pid, until the event."""
    until: dict[int, float] = field(default_factory=dict)
    """When each that was held up may be heard again, in seconds since the epoch; after that the last of what a process
    said that died meanwhile has arrived."""

    def hold_up(self, line: "_Line") -> None:
        """Hold up the process at the other end of this line, if one is wanted and the line says who that is."""
        pid = owner_of(line.port)
        if self.late_seconds is None or pid is None:
            return
        go_on = self.held[pid] = asyncio.Event()
        self.until[pid] = time.time() + self.late_seconds
        self.held_up += 1

        def let_go() -> None:
            del self.held[pid]
            go_on.set()

        asyncio.get_running_loop().call_later(self.late_seconds, let_go)
        self.late_seconds = None

    async def turn(self, line: "_Line") -> None:
        """Return at once, or when the process at the other end of this line may go on."""
        if self.held and (go_on := self.held.get(owner_of(line.port) or 0)) is not None:
            await go_on.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _first_message(reader, writer)
            there = await asyncio.open_connection("127.0.0.1", self.server_port)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            return
        await _Line(self, reader, writer, *there).run()


async def _first_message(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuse TLS, which a client asks for before anything else."""
    length, code = struct.unpack("!II", await reader.readexactly(8))
    if (length, code) != (8, SSL_REQUEST):
        raise OSError("a client that does not ask for TLS first is none of ours")
    writer.write(b"N")
    await writer.drain()


class _Line:
    """One connection through the proxy."""

    def __init__(
        self,
        proxy: Proxy,
        client_in: asyncio.StreamReader,
        client_out: asyncio.StreamWriter,
        server_in: asyncio.StreamReader,
        server_out: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client_in, self._client_out = client_in, client_out
        self._server_in, self._server_out = server_in, server_out
        self.port: int = client_out.get_extra_info("peername")[1]
        self._statements: dict[bytes, str] = {}
        self._calling: str | None = None

    async def run(self) -> None:
        ways = [asyncio.create_task(self._to_server()), asyncio.create_task(self._to_client())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for out in (self._client_out, self._server_out):
            out.transport.abort()

    async def _to_server(self) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            (length,) = struct.unpack("!I", head := await self._client_in.readexactly(4))
            self._server_out.write(head + await self._client_in.readexactly(length - 4))
            while True:
                kind, message = await _message(self._client_in)
                self._listen(kind, message[5:])
                if self._proxy.late_seconds is not None and "engine.prepare(" in (self._calling or ""):
                    self._proxy.hold_up(self)
                await self._proxy.turn(self)
                self._server_out.write(message)
                await self._server_out.drain()

    def _listen(self, kind: bytes, body: bytes) -> None:
        if kind == b"P":  # parse: name, text
            name, text, _ = body.split(b"\0", 2)
            self._statements[name] = text.decode(errors="replace")
            self._calling = None  # its answer comes without an end of its own
        elif kind == b"B":  # bind: portal, name
            self._calling = self._statements.get(body.split(b"\0", 2)[1])
        elif kind == b"Q":
            self._calling = body.rstrip(b"\0").decode(errors="replace")

    async def _to_client(self) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                answer = b""
                while True:
                    kind, message = await _message(self._server_in)
                    answer += message
                    if kind == b"Z" or len(answer) > 65536 or not self._may_be_lost():
                        break
                if kind == b"Z" and message[5:6] == b"I" and self._is_lost():
                    return
                self._client_out.write(answer)
                await self._client_out.drain()

    def _what(self) -> str | None:
        calling = self._calling or ""
        return next((each for each in COMMITS if each in calling), None)

    def _may_be_lost(self) -> bool:
        return self._proxy.wanted > 0 and self._what() is not None

    def _is_lost(self) -> bool:
        if not self._may_be_lost():
            return False
        self._proxy.wanted -= 1
        self._proxy.cut[self._what() or ""] += 1
        return True


def owner_of(port: int) -> int | None:
    """Return the process that has connected from this port of ours; None where it is gone."""
    wanted = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(wanted) and fields[9] != "0":
            return _holder(f"socket:[{fields[9]}]")
    return None


def _holder(socket: str) -> int | None:
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if os.readlink(entry) == socket:
                return int(entry.parts[2])
    return None


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    (length,) = struct.unpack("!I", head[1:])
    return head[:1], head + await reader.readexactly(length - 4)


@asynccontextmanager
async def proxying(server_port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(server_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
