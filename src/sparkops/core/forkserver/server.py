"""The server: one thread, no event loop, for a fork copies the thread that calls it, and no other."""

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
        self._selector = selectors.DefaultSelector()
        self._selector.register(first, selectors.EVENT_READ, None)

    def serve(self) -> _Order | None:
        """Serve until the first connection is closed and return None; in a forked process, return what it is to be."""
        while True:
            for key, _ in self._selector.select():
                if isinstance(key.data, _Life):
                    self._bury(key.fd, key.data)
                elif isinstance(key.fileobj, socket.socket) and (order := self._listen(key.fileobj)) is not None:
                    return order
            if self._first.fileno() < 0:
                return None

    def _listen(self, orderer: socket.socket) -> _Order | None:
        """Carry out an order. Returns it in the new process only."""
        try:
            _, descriptors, _, _ = socket.recv_fds(orderer, 16, DESCRIPTORS)
        except ConnectionResetError:
            descriptors = []
        if len(descriptors) != DESCRIPTORS:
            self._forget(orderer)
            return None
        news = socket.socket(fileno=descriptors[0])
        written, *streams = descriptors[1:]
        order = self._fork(orderer, news, written, streams)
        if order is None:
            for descriptor in (written, *streams):
                os.close(descriptor)
        return order

    def _fork(self, orderer: socket.socket, news: socket.socket, written: int, streams: Sequence[int]) -> _Order | None:
        server, (ours, theirs) = os.getpid(), socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:  # no room for another process: who ordered it hears of it by the end of its socket
            for end in (news, ours, theirs):
                end.close()
            return None
        if pid == 0:
            die_with(server, signal.SIGKILL)
            for key in list(self._selector.get_map().values()):
                self._drop(key)
            self._selector.close()
            news.close()
            ours.close()
            return _become(written, streams, theirs)
        theirs.close()
        self._selector.register(ours, selectors.EVENT_READ, None)
        signals = os.pidfd_open(pid)
        self._selector.register(signals, selectors.EVENT_READ, _Life(pid, orderer, news))
        try:
            socket.send_fds(news, [NUMBER.pack(pid)], [signals])
        except OSError:  # whoever ordered it has gone meanwhile
            os.kill(pid, signal.SIGKILL)
        return None

    def _drop(self, key: selectors.SelectorKey) -> None:
        """Close in a child what only the server uses."""
        if isinstance(key.fileobj, socket.socket):
            key.fileobj.close()
        else:
            os.close(key.fd)
        if isinstance(key.data, _Life):
            key.data.news.close()

    def _bury(self, signals: int, life: _Life) -> None:
        self._selector.unregister(signals)
        os.close(signals)
        _, status = os.waitpid(life.pid, 0)
        with suppress(OSError):
            life.news.send(NUMBER.pack(status))
        life.news.close()

    def _forget(self, orderer: socket.socket) -> None:
        """Somebody has ended: so does what they ordered."""
        self._selector.unregister(orderer)
        orderer.close()
        for key in self._selector.get_map().values():
            if isinstance(key.data, _Life) and key.data.orderer is orderer:
                os.kill(key.data.pid, signal.SIGKILL)


def _become(written: int, streams: Sequence[int], connection: socket.socket) -> _Order:
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
