"""A Valkey of our own. What it holds may be lost, so it forgets old things rather than refuse new ones."""

import asyncio
import signal
from dataclasses import dataclass, field
from pathlib import Path

from sparkops.local.binaries import find_valkey
from sparkops.local.child import ChildPlan
from sparkops.local.errors import disk_errors
from sparkops.local.ownership import give
from sparkops.local.paths import DataDir
from sparkops.local.ports import LOOPBACK, free_port
from sparkops.local.process import Confinement, Launch, confinement

_STOP = ((signal.SIGTERM, 1.0),)
PING_SECONDS = 2.0
_MEMORY = "256mb"
"""Hints, tickets and stream frames of a busy installation fit into a tenth of this."""


@dataclass
class Valkey:
    """One server below a data directory."""

    data: DataDir
    keep_open: tuple[int, ...] = ()
    port: int = field(default_factory=free_port)
    program: Path = field(default_factory=find_valkey)
    confinement: Confinement = field(default_factory=confinement)

    @property
    def url(self) -> str:
        """The URL under which it is reached, database 0."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    @property
    def _password(self) -> str:
        return self.data.secret("valkey.password")

    def initialise(self) -> None:
        """Make its directory; repeats change nothing."""
        with disk_errors(self.data.root):
            self.data.valkey.mkdir(mode=0o700, exist_ok=True)
            give(self.data.valkey, self.confinement, self.program)

    def launch(self) -> Launch:
        """Return how it is started, on the same port each time. Its settings, with the password, go in by stdin."""
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "requirepass": self._password,
            "dir": f'"{self.data.valkey}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory": _MEMORY,
            "maxmemory-policy": "allkeys-lru",
            "daemonize": "no",
        }
        return Launch(
            argv=(str(self.program), "-"),
            log=self.data.log("valkey"),
            env={"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
            death_signal=signal.SIGTERM,
            confinement=self.confinement,
            keep_open=self.keep_open,
            stdin="".join(f"{name} {value}\n" for name, value in settings.items()).encode(),
            cwd=Path("/"),
        )

    async def answers(self) -> bool:
        """Return whether it answers a ping; while it loads its data it does not."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                return await self._ping() == b"+PONG\r\n"
        except (OSError, TimeoutError):
            return False

    async def _ping(self) -> bytes:
        """Return what it says to a ping. By hand: the client library would be a fifth of the supervisor's memory."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            writer.write(f"AUTH {self._password}\r\nPING\r\n".encode())
            await reader.readline()
            return await reader.readline()
        finally:
            writer.close()

    def plan(self) -> ChildPlan:
        """Return the child that is this server."""
        return ChildPlan(name="Valkey", launch=self.launch, answers=self.answers, stop=_STOP)
