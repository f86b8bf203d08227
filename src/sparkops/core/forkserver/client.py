"""Ordering processes, and what is known of them."""

import asyncio
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

AVAILABLE: Final = sys.platform == "linux"
ANSWER_SECONDS: Final = 30.0
"""Loading everything takes some seconds on a slow machine."""
LAST_WORD_SECONDS: Final = 1.0
"""What a server may take to say how a process has ended. One that stands still says nothing."""

NUMBER: Final = struct.Struct("i")
DESCRIPTORS: Final = 5
"""With an order come so many: for news, the order itself, and what becomes input, output and errors."""


class Forked:
    """A process that a fork server made for us; it is used like a `subprocess.Popen`, and ends when nobody has it.

    That it has ended the kernel says, by its descriptor, and how, the server: if that has died, or says no more, it
    counts as killed.
    """

    def __init__(self, pid: int, signals: int, news: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._signals = signals
        self._news = news
        self._seen_gone: float | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it lives, or how it ended may still be said."""
        if self.returncode is None and _ready(self._signals, 0):
            self._seen_gone = self._seen_gone or time.monotonic()
            if _ready(self._news.fileno(), 0) or time.monotonic() - self._seen_gone > LAST_WORD_SECONDS:
                self._end()
        return self.returncode

    def wait(self) -> int:
        """Wait until it has ended and return its exit code."""
        if self.returncode is None:
            _ready(self._signals, None)
            _ready(self._news.fileno(), LAST_WORD_SECONDS)
        return self._end()

    async def ended(self) -> int:
        """Wait until it has ended, without blocking the loop, and return its exit code."""
        if self.returncode is None:
            # Copies: whoever looks meanwhile may be the one who hears of it, and closes ours.
            with os.fdopen(os.dup(self._signals)) as signals, self._news.dup() as news:
                await readable(signals.fileno())
                with suppress(TimeoutError):
                    async with asyncio.timeout(LAST_WORD_SECONDS):
                        await readable(news.fileno())
        return self._end()

    def send_signal(self, number: int) -> None:
        """Send it a signal; one that has ended gets none, and nobody else does."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._signals, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _end(self) -> int:
        """Note how it has ended, which it has, unless somebody noted it already."""
        if self.returncode is None:
            status = _received(self._news)
            self.returncode = -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
            self._news.close()
            os.close(self._signals)
        return self.returncode


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
            TimeoutError: the server does not take the order, or does not answer.
            OSError: there is no server any more, or the system lets it make no process.
        """
        module, *arguments = argv[2:]
        order = {"module": module, "arguments": arguments, "env": dict(env), "leads": leads}
        outputs = (1, 2) if out is None else (out, out)
        ours, news = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        file = os.memfd_create("order")
        try:
            os.write(file, json.dumps(order).encode())
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._send([news.fileno(), file, stdin, *outputs])
                news.close()
                await readable(ours.fileno())
            return Forked(*_answer(ours), ours)
        except BaseException:
            ours.close()  # a process that nobody knows of is ended by the server
            raise
        finally:
            news.close()
            os.close(file)

    async def _send(self, descriptors: Sequence[int]) -> None:
        """Send an order as soon as there is room for it: a server that loads, or stands still, takes none."""
        while True:
            try:
                socket.send_fds(self._connection, [b"fork"], descriptors, socket.MSG_DONTWAIT)
            except BlockingIOError:
                with self._connection.dup() as connection:  # others may wait at the same time
                    await writable(connection.fileno())
            else:
                return

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


async def readable(descriptor: int) -> None:
    """Wait until there is something to read, or the other end is closed; of a process, until it has ended."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(descriptor)


async def writable(descriptor: int) -> None:
    """Wait until something can be written, or the other end is closed."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(descriptor, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_writer(descriptor)


def _ready(descriptor: int, seconds: float | None) -> bool:
    """Wait like `readable`, for so long at most (None: without a limit); say whether it is so."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if seconds is None else 1_000 * seconds))


def _answer(ours: socket.socket) -> tuple[int, int]:
    """Return the number of the process that was ordered and the descriptor of it.

    Raises:
        OSError: there is none.
    """
    message, descriptors, _, _ = socket.recv_fds(ours, NUMBER.size, 1)
    if not message:
        raise ConnectionResetError(errno.ECONNRESET, "the fork server has ended, or could not take the order")
    (number,) = NUMBER.unpack(message)
    if not descriptors:  # a process that came without one found no room here
        refusal = -number if number < 0 else errno.EMFILE
        raise OSError(refusal, os.strerror(refusal))
    return number, descriptors[0]


def _received(news: socket.socket) -> int | None:
    """Return the number that is there, or None if there is none."""
    with suppress(ConnectionResetError, BlockingIOError):
        if message := news.recv(NUMBER.size, socket.MSG_DONTWAIT):
            number: int = NUMBER.unpack(message)[0]
            return number
    return None
