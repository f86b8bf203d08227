"""A process that a worker starts for work of a kind, and that ends with it."""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from sparkops.core.forkserver.client import Forked, forkable, here


class Helper:
    """Our side of it. Its input ends when we do, which the system sees to however we end."""

    def __init__(self, process: "Forked | subprocess.Popen[bytes]", lifeline: int) -> None:
        self._process = process
        self._lifeline = lifeline

    @classmethod
    async def start(cls, command: Sequence[str], variables: Mapping[str, str] | None = None) -> Self:
        """Start it with our environment and these variables; from the fork server that made us, if one did.

        Raises:
            OSError: it cannot be started.
        """
        env = {**os.environ, **(variables or {})}
        source, lifeline = os.pipe()
        try:
            server = here() if forkable(command) else None
            if server is not None:
                return cls(await server.fork(command, env=env, stdin=source), lifeline)
            return cls(_executed(command, env, source), lifeline)
        except BaseException:
            os.close(lifeline)
            raise
        finally:
            os.close(source)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def gone(self, seconds: float) -> bool:
        """Wait until it has ended, for so long at most; say whether it has."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.lives and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
        return not self.lives

    async def end(self) -> int:
        """Kill it if it still lives, and bury it. Returns its exit code, negative for a signal."""
        try:
            if self.lives:
                self._process.kill()
            while self.lives:
                await asyncio.sleep(0.01)
        finally:
            os.close(self._lifeline)
        return self._process.wait()


def _executed(command: Sequence[str], env: Mapping[str, str], stdin: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stdin=stdin, env=env)  # noqa: S603 -- our own program
