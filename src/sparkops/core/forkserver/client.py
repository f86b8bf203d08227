"""Ordering processes, and what is known of them."""

import asyncio
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

AVAILABLE: Final = sys.platform == "linux"
ANSWER_SECONDS: Final = 30.0
"""Loading everything takes some seconds on a slow machine."""

NUMBER: Final = struct.Struct("i")
DESCRIPTORS: Final = 5
"""With an order come so many: for news, the order itself, and what becomes input, output and errors."""


class Forked:
    """A process that a fork server made for us; it is used like a `subprocess.Popen`."""

    def __init__(self, pid: int, signals: int, news: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._signals = signals
        self._news = news

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it lives. A server that dies takes it along."""
        if self.returncode is None:
            self._news.setblocking(False)
            with suppress(BlockingIOError):
                self._end()
        return self.returncode

    def wait(self) -> int:
        """Wait until it has ended and return its exit code."""
        if self.returncode is None:
            self._news.setblocking(True)
            self._end()
        return self.returncode or 0

    async def ended(self) -> int:
        """Wait until it has ended, without blocking the loop, and return its exit code."""
        if self.returncode is None:
            with self._news.dup() as news:  # whoever looks meanwhile may be the one who hears of it, and closes ours
                await readable(news)
        return self.wait()

    def send_signal(self, number: int) -> None:
        """Send it a signal; one that has ended gets none, and nobody else does."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._signals, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        status = _received(self._news)
        self.returncode = -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
        self._news.close()
        os.close(self._signals)


class ForkServer:
    """Our end of a connection to one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def fork(
        self, argv: Sequence[str], *, env: Mapping[str, str], stdin: int, out: int | None = None, leads: bool = False
    ) -> Forked:
        """Start a `forkable` command whose module the server knows, with these variables and no others.

        `stdin`, `out`: descriptors for its input, and for its output and errors (None: ours). `leads`: in a session of
        its own.

        Raises:
            OSError: there is no server any more, it does not answer, or the system lets it make no process.
        """
        module, *arguments = argv[2:]
        order = {"module": module, "arguments": arguments, "env": dict(env), "leads": leads}
        outputs = (1, 2) if out is None else (out, out)
        ours, news = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        file = os.memfd_create("order")
        try:
            os.write(file, json.dumps(order).encode())
            socket.send_fds(self._connection, [b"fork"], [news.fileno(), file, stdin, *outputs])
            news.close()
            async with asyncio.timeout(ANSWER_SECONDS):
                await readable(ours)
            message, descriptors, _, _ = socket.recv_fds(ours, NUMBER.size, 1)
            if not descriptors:
                raise ConnectionResetError("the fork server has ended, or has no room for another process")
        except BaseException:
            ours.close()  # a process that nobody knows of is ended by the server
            raise
        finally:
            news.close()
            os.close(file)
        return Forked(NUMBER.unpack(message)[0], descriptors[0], ours)

    def close(self) -> None:
        """Order no more; what was ordered here ends."""
        self._connection.close()


def forkable(argv: Sequence[str]) -> bool:
    """Say whether a command is `python -m MODULE …`, on a system that has what fork servers need."""
    return AVAILABLE and len(argv) > 2 and tuple(argv[:2]) == (sys.executable, "-m")


_here: ForkServer | None = None


def here() -> ForkServer | None:
    """Return the server that made this process, if one did."""
    return _here


def made_by(connection: socket.socket) -> None:
    """Note that this process was forked, and where it can order others."""
    global _here
    _here = ForkServer(connection)


async def readable(source: socket.socket) -> None:
    """Wait until there is something to read, or the other end is closed."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(source, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(source)


def _received(news: socket.socket) -> int | None:
    """Return the next number, or None if nobody is there who could send one."""
    with suppress(ConnectionResetError):
        if message := news.recv(NUMBER.size):
            number: int = NUMBER.unpack(message)[0]
            return number
    return None
