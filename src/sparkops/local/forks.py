"""The supervisor's fork server: started before it is needed, and again when it has died."""

import errno
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sparkops.core.forkserver.client import ForkServer, forkable
from sparkops.local.process import Launch, Process, spawn


class Forks:
    """Starts processes: those that are modules of ours by fork, the others as any program is started.

    Nothing happens before `begin` or the first `spawn`. The server's own process is a child of ours: `pid`. The system
    shows its environment, `env`, as that of every process it makes, so it should hold nothing that is secret.
    """

    def __init__(self, command: Sequence[str], log: Path, *, env: Mapping[str, str], keep_open: Sequence[int]) -> None:
        self._command = tuple(command)
        self._log = log
        self._env = env
        self._keep_open = tuple(keep_open)
        self._server: ForkServer | None = None
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The number of the server's process, if there is one."""
        return self._process.pid if self._process is not None else None

    def begin(self) -> ForkServer:
        """Have a server, and let it load what it will need."""
        if self._server is not None and self._process is not None and self._process.poll() is None:
            return self._server
        self.end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = (*self._command, str(theirs.fileno()))
            keep = (theirs.fileno(), *self._keep_open)
            self._process = spawn(Launch(argv=argv, log=self._log, env=self._env, keep_open=keep))
        self._server = ForkServer(ours)
        return self._server

    async def spawn(self, launch: Launch) -> Process:
        """Start the program in a session of its own, its output appended to its log.

        A server that does not answer is ended, and whatever it made with it: the next order goes to another.

        Raises:
            OSError: it cannot be started, or its log cannot be opened; `strerror` says why.
        """
        if not forkable(launch.argv):
            return spawn(launch)
        server = self.begin()
        with _streams(launch) as (nothing, log):
            try:
                return await server.fork(launch.argv, env=launch.env, stdin=nothing, out=log, leads=True)
            except TimeoutError:
                if server is self._server:
                    self.end()
                raise self._refusal(errno.ETIMEDOUT, "the fork server did not answer in time") from None
            except OSError as error:
                raise self._refusal(error.errno, error.strerror or str(error)) from error

    def _refusal(self, number: int | None, reason: str) -> OSError:
        return OSError(number, f"{reason}; the fork server's log is {self._log}")

    def end(self) -> None:
        """End the server, and with it whatever it made that still lives."""
        if self._server is not None:
            self._server.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._server = self._process = None


@contextmanager
def _streams(launch: Launch) -> Iterator[tuple[int, int]]:
    """Open what becomes the input and the output of the process."""
    with launch.log.open("ab") as log, open(os.devnull, "rb") as nothing:
        yield nothing.fileno(), log.fileno()
