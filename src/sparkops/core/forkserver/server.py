"""The server: one thread, no event loop, for a fork copies the thread that calls it, and no other."""

import errno
import gc
import json
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sparkops.core.forkserver.client import DESCRIPTORS, NUMBER, made_by
from sparkops.core.parents import called, die_with

Door = Callable[[], int]
"""The `main` of a module: reads `sys.argv` and returns an exit code."""


_AS_ANYBODY: Final[Mapping[signal.Signals, Any]] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
    signal.SIGHUP: signal.SIG_DFL,
}
"""What a process does with the signals that the server itself does not heed."""


@dataclass(frozen=True, slots=True)
class _Life:
    """A process that lives: who ordered it, and where its orderer hears of it."""

    pid: int
    signals: int
    orderer: socket.socket
    news: socket.socket


@dataclass(frozen=True, slots=True)
class _Order:
    """What a forked process is to be."""

    module: str
    arguments: Sequence[str]


class _Server:
    def __init__(self, first: socket.socket) -> None:
        self._first = first
        self._pid = os.getpid()
        self._selector = selectors.DefaultSelector()
        self._selector.register(first, selectors.EVENT_READ, None)

    def serve(self) -> _Order | None:
        """Serve until the first connection is closed and return None; in a forked process, return what it is to be."""
        while True:
            for key, _ in self._selector.select():
                if isinstance(key.data, _Life):
                    if key.fd == key.data.signals:
                        self._bury(key.data)
                    else:
                        self._give_up(key.data)
                elif isinstance(key.fileobj, socket.socket) and (order := self._listen(key.fileobj)) is not None:
                    return order
            if self._first.fileno() < 0:
                return None

    def _listen(self, orderer: socket.socket) -> _Order | None:
        """Carry out an order, or say why not. Returns it in the new process only."""
        try:
            message, descriptors, _, _ = socket.recv_fds(orderer, 16, DESCRIPTORS)
        except ConnectionResetError:
            message, descriptors = b"", []
        if not message:
            self._forget(orderer)
            return None
        if not descriptors:  # no room even for where to say so: who ordered hears the end of it
            return None
        news, given = socket.socket(fileno=descriptors[0]), descriptors[1:]
        connection = None
        try:
            connection = self._fork(orderer, news, given)
        except OSError as refusal:
            with suppress(OSError):
                news.send(NUMBER.pack(-(refusal.errno or errno.EAGAIN)))
            news.close()
        if connection is not None:
            self._leave()
            news.close()
            return _become(*given, connection=connection)
        for descriptor in given:
            os.close(descriptor)
        return None

    def _fork(self, orderer: socket.socket, news: socket.socket, given: Sequence[int]) -> socket.socket | None:
        """Make a process, and tell `news` of it. Returns in that process only: its connection to us.

        Raises:
            OSError: there is no room for another one.
        """
        if len(given) < DESCRIPTORS - 1:  # the kernel leaves out those that we cannot open
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            ours.close()
            return theirs
        theirs.close()
        try:
            signals = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            ours.close()
            raise
        life = _Life(pid, signals, orderer, news)
        self._selector.register(ours, selectors.EVENT_READ, None)
        self._selector.register(signals, selectors.EVENT_READ, life)
        self._selector.register(news, selectors.EVENT_READ, life)  # to be read is only that nobody has it any more
        try:
            socket.send_fds(news, [NUMBER.pack(pid)], [signals])
        except OSError:
            self._give_up(life)
        return None

    def _leave(self) -> None:
        """Become another's child, and close what only the server uses: in a new process."""
        die_with(self._pid, signal.SIGKILL)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
            else:
                os.close(key.fd)
        self._selector.close()

    def _give_up(self, life: _Life) -> None:
        """End a process that nobody waits for."""
        if life.news.fileno() >= 0:  # else it has been buried just now
            os.kill(life.pid, signal.SIGKILL)
            self._close(life.news)

    def _bury(self, life: _Life) -> None:
        self._selector.unregister(life.signals)
        os.close(life.signals)
        _, status = os.waitpid(life.pid, 0)
        if life.news.fileno() >= 0:
            with suppress(OSError):
                life.news.send(NUMBER.pack(status))
            self._close(life.news)

    def _close(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()

    def _forget(self, orderer: socket.socket) -> None:
        """Somebody has ended: so does what they ordered."""
        self._close(orderer)
        for key in self._selector.get_map().values():
            if isinstance(key.data, _Life) and key.data.orderer is orderer:
                os.kill(key.data.pid, signal.SIGKILL)


def _become(written: int, *streams: int, connection: socket.socket) -> _Order:
    """Take on what was ordered, in the new process."""
    with os.fdopen(written, "rb") as file:
        file.seek(0)
        given = json.load(file)
    for sign, how in _AS_ANYBODY.items():
        signal.signal(sign, how)
    if given["leads"]:
        os.setsid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(given["env"])
    made_by(connection)
    called(given["module"])
    return _Order(given["module"], given["arguments"])


def serve(descriptor: int, doors: Mapping[str, Door]) -> int:
    """Take orders for these modules, by name, from a socket until it is closed; in a forked process, be one of them.

    Returns the exit code.
    """
    if threading.active_count() > 1:
        raise RuntimeError(f"a module has started a thread, which no fork has: {threading.enumerate()}")
    # Whoever ends everything at once, such as a service manager, must not end this first: it takes the others along
    # before they have given back what they hold. It ends with the one who orders.
    for sign in _AS_ANYBODY:
        signal.signal(sign, signal.SIG_IGN)
    # What is there already is never garbage: looking for it in every process would copy the memory that they share.
    gc.collect()
    gc.freeze()
    order = _Server(socket.socket(fileno=descriptor)).serve()
    if order is None:
        return 0
    sys.argv = [order.module, *order.arguments]
    return doors[order.module]()
