"""PostgreSQL and Valkey together, as a context: for `sparkops up`, the demo, benchmarks and tests."""

import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from sparkops.core.db import APP_ROLE
from sparkops.local.child import Child, ChildPlan, Say, together
from sparkops.local.errors import StartError
from sparkops.local.paths import DataDir, held
from sparkops.local.ports import free_port
from sparkops.local.postgres import DATABASE, OWNER_ROLE, SUPERUSER, Postgres
from sparkops.local.process import Launch
from sparkops.local.valkey import Valkey

PORT_TRIES = 5
"""A port that was free may be taken before the server binds it; five times in a row is no accident."""


def silent(_: str) -> None:
    return None


def _nothing(_: Launch) -> None:
    return None


class EmbeddedServers:
    """Real servers as child processes, from `async with` on until its end, restarted when they die.

    `data_dir` of None means a temporary directory that is removed at the end. `durable=False` gives up what a power
    cut would cost, for data that nobody keeps. `lock` says that the caller holds the directory already, by this open
    file. `ended` is called when a server's process has ended.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        durable: bool = True,
        lock: int | None = None,
        say: Say = silent,
        ended: Callable[[Launch], None] = _nothing,
    ) -> None:
        self._wanted = data_dir
        self._durable = durable
        self._held = lock
        self._say = say
        self._ended = ended
        self._exit = AsyncExitStack()
        self.data: DataDir
        self.postgres: Child
        self.valkey: Child

    async def __aenter__(self) -> Self:
        """Start both servers; the database and its roles exist afterwards, the schema does not.

        Raises:
            StartError: why not, in one sentence.
        """
        async with self._exit:
            lock = self._take_directory()
            self._postgres = Postgres(self.data, keep_open=(lock,), durable=self._durable)
            self._valkey = Valkey(self.data, keep_open=(lock,))
            await self._postgres.initialise()
            self._valkey.initialise()
            self.postgres = self._child(self._postgres.plan())
            self.valkey = self._child(self._valkey.plan())
            # Valkey ends first: nothing of PostgreSQL's depends on it.
            self._exit.push_async_callback(self.postgres.stop)
            self._exit.push_async_callback(self.valkey.stop)
            await together(_start(self.postgres, self._postgres), _start(self.valkey, self._valkey))
            await self._postgres.bootstrap()
            self._exit = self._exit.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    def _take_directory(self) -> int:
        if self._wanted is None:
            self._wanted = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="sparkops-")))
        self.data = DataDir(self._wanted.absolute())
        return self._exit.enter_context(held(self.data)) if self._held is None else self._held

    def _child(self, plan: ChildPlan) -> Child:
        return Child(replace(plan, ended=self._ended), self._say)

    @property
    def owner_url(self) -> str:
        """The database under the role that owns the schema and migrates it."""
        return self._postgres.url(OWNER_ROLE)

    @property
    def app_url(self) -> str:
        """The database under the role of API and workers."""
        return self._postgres.url(APP_ROLE)

    @property
    def redis_url(self) -> str:
        """The Valkey, database 0."""
        return self._valkey.url

    def url(self, role: str = OWNER_ROLE, database: str = DATABASE) -> str:
        """Return the URL of another database, under one of the three roles that the stack makes."""
        return self._postgres.url(role, database)

    @property
    def admin_url(self) -> str:
        """The maintenance database under the superuser: for databases and roles beside the platform's own."""
        return self._postgres.url(SUPERUSER, "postgres")


async def _start(child: Child, server: Postgres | Valkey) -> None:
    for tries_left in reversed(range(PORT_TRIES)):
        try:
            await child.start()
        except StartError as error:
            if "address already in use" not in error.detail.lower() or not tries_left:
                raise
            server.port = free_port()
        else:
            return
