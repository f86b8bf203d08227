"""The whole stack behind `sparkops up`: servers, schema, first administrator, API and workers, kept alive together."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

import asyncpg
from pydantic import SecretStr

from sparkops.core.config import Settings
from sparkops.core.db import Database, open_database
from sparkops.core.endpoints import SECRETS_KEY, Endpoints, publish, withdraw
from sparkops.core.errors import ConfigError, SparkOpsError
from sparkops.core.forkserver.client import forkable
from sparkops.core.parents import adopt_orphans
from sparkops.engine.hand_on import hand_on
from sparkops.local.child import Child, ChildPlan, Say, together
from sparkops.local.environment import child_environment, without_settings
from sparkops.local.errors import StartError, disk_errors
from sparkops.local.external import check_postgres, check_redis
from sparkops.local.forks import Forks
from sparkops.local.guardian import Guardian
from sparkops.local.installation import make_ready
from sparkops.local.paths import DataDir, held
from sparkops.local.ports import claimable
from sparkops.local.probe import base_url, http_status
from sparkops.local.process import Launch, end_orphans
from sparkops.local.stack import EmbeddedServers, silent

API_COMMAND = (sys.executable, "-m", "sparkops.api")
WORKER_COMMAND = (sys.executable, "-m", "sparkops.worker")
DOORS_COMMAND = (sys.executable, "-m", "sparkops.local.doors")
"""The fork server that API and workers come from, where there can be one."""
WORKER_SESSION = "SPARK_WORKER_SESSION"
"""Tells a worker the id under which it holds leases. No setting: it is another one at each start."""

READY_SECONDS = 60.0
DOOR_GRACE_SECONDS = 1.0
"""API and workers are stopped together and may take as long as draining, and this much to end."""
RELEASE_SECONDS = 2.0

ReleaseSession = Callable[[Database, UUID], Awaitable[object]]
"""Hands on what a worker held, once its process is certainly gone."""


async def release_at_once(database: Database, session_id: UUID) -> None:
    """Give back what a dead worker held. The other workers look by themselves within a second, for runs too."""
    async for _ in hand_on(database.pool, session_id, crashed=True):
        pass


Prepare = Callable[[EmbeddedServers | None], Awaitable[Mapping[str, object]]]
"""Called once the servers answer (None: they are not ours); what it returns is added to the settings of the doors."""


async def nothing_more(_: EmbeddedServers | None) -> Mapping[str, object]:
    """Prepare nothing."""
    return {}


@dataclass(frozen=True, slots=True)
class _Servers:
    owner_url: str
    app_url: str | None
    redis_url: str


class Supervisor:
    """Everything, from `async with` on until its end.

    With both server URLs in the settings those servers are used, else embedded ones below the data directory.
    `owns_process` is for a process that does nothing else: it then also ends descendants of its children that were
    left behind. `by_link`: without a password in the settings, an installation without people gets its first one by
    a link (`set_up`), instead of one with a password in a file.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        release: ReleaseSession = release_at_once,
        say: Say = silent,
        api_command: tuple[str, ...] = API_COMMAND,
        worker_command: tuple[str, ...] = WORKER_COMMAND,
        doors_command: tuple[str, ...] = DOORS_COMMAND,
        prepare: Prepare = nothing_more,
        owns_process: bool = False,
        by_link: bool = False,
    ) -> None:
        self.settings = settings
        self.data = DataDir(settings.data_dir.absolute())
        self.embedded: EmbeddedServers | None = None
        self.endpoints: Endpoints
        self._release = release
        self._say = say
        self._api_command = api_command
        self._worker_command = worker_command
        self._doors_command = doors_command
        self._prepare = prepare
        self._owns_process = owns_process
        self._by_link = by_link
        self.set_up: str | None = None
        """The path of the page where the first administrator comes to be, if that is still to happen."""
        self._releases: set[asyncio.Task[None]] = set()
        self._exit = AsyncExitStack()
        self._guardian = Guardian()
        self._door_stop = ((signal.SIGTERM, settings.drain_seconds + DOOR_GRACE_SECONDS),)
        self._lock: int
        self._forks: Forks
        self._installation: int | None = None
        self._port: int
        self._servers: _Servers
        self._environment: dict[str, str]
        self.api = Child(self._api_plan(), say)
        self.workers = [Child(self._worker_plan(number), say) for number in range(1, settings.workers + 1)]

    async def __aenter__(self) -> Self:
        """Start everything; when this returns, the API says that it is ready.

        Raises:
            SparkOpsError: why not, in one sentence.
        """
        one_url_is_not_enough(self.settings)
        if self._owns_process:
            adopt_orphans()
            self._exit.callback(end_orphans, frozenset())
        async with self._exit:
            self._lock = self._exit.enter_context(held(self.data))
            withdraw(self.data.root)  # what a killed one left behind
            self._port = claimable(self.settings.host, self.settings.port)
            self._load_doors()
            self._servers = await (self._external() if self.settings.database_url else self._start_embedded())
            await self._install()
            self.settings = self.settings.model_copy(update=dict(await self._prepare(self.embedded)))
            await self._start_doors()
            self._publish()
            self._exit = self._exit.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    @property
    def children(self) -> list[Child]:
        """Every child, in the order in which they are stopped."""
        servers = [self.embedded.valkey, self.embedded.postgres] if self.embedded else []
        return [*self.workers, self.api, *servers]

    # Servers

    async def _external(self) -> _Servers:
        owner_url, redis_url = _revealed(self.settings.database_url), _revealed(self.settings.redis_url)
        app_url = _revealed(self.settings.app_database_url)
        await check_postgres(owner_url)
        await check_redis(redis_url)
        return _Servers(owner_url, app_url or None, redis_url)

    async def _start_embedded(self) -> _Servers:
        self.embedded = EmbeddedServers(self.data.root, lock=self._lock, say=self._say, ended=self._child_ended)
        await self._exit.enter_async_context(self.embedded)
        return _Servers(self.embedded.owner_url, self.embedded.app_url, self.embedded.redis_url)

    def _open_database(self) -> AbstractAsyncContextManager[Database]:
        url, role = self._child_settings().app_login
        return open_database(url, role=role, name="sparkops up", pool_size=1)

    async def _install(self) -> None:
        told = self._child_settings().model_copy(update={"admin_password": self.settings.admin_password})
        self.set_up = await make_ready(
            self.data,
            child_environment(told),
            owner_url=self._servers.owner_url,
            by_link=self._by_link,
            started=self._installs,
        )
        self._installation = None

    def _installs(self, pid: int) -> None:
        self._installation = pid

    # Doors

    def _load_doors(self) -> None:
        """Let what API and workers need be loaded while the servers start."""
        self._forks = Forks(
            self._doors_command, self.data.log("doors"), env=without_settings(os.environ), keep_open=(self._lock,)
        )
        self._exit.callback(self._forks.end)
        if forkable(self._api_command) or forkable(self._worker_command):
            self._forks.begin()

    async def _start_doors(self) -> None:
        self._environment = child_environment(self._child_settings())
        self._exit.callback(withdraw, self.data.root)
        self._exit.enter_context(self._guardian)
        self._exit.push_async_callback(self._stop_doors)
        await together(*(child.start() for child in (*self.workers, self.api)))
        await self._until_ready()

    def _child_settings(self) -> Settings:
        servers, key = self._servers, self.settings.secret_key
        return self.settings.model_copy(
            update={
                "data_dir": self.data.root,
                "host": self.settings.host,
                "port": self._port,
                # Who only uses rows does not learn how to change tables.
                "database_url": None if servers.app_url else SecretStr(servers.owner_url),
                "app_database_url": SecretStr(servers.app_url) if servers.app_url else None,
                "redis_url": SecretStr(servers.redis_url),
                "secret_key": key or SecretStr(self.data.secret("signing.key")),
                "audit_key": self.settings.audit_key or SecretStr(self.data.secret("audit.key")),
                "audit_roots": self.settings.audit_roots or self.data.audit_roots,
                "secrets_key_file": self._secrets_key_file(),
                "admin_password": None,
            }
        )

    def _secrets_key_file(self) -> Path | None:
        """Return where the key of secrets lies; it is made at the first start, unless the settings have one."""
        if self.settings.secrets_key is None and self.settings.secrets_key_file is None:
            self.data.secret(SECRETS_KEY.name)
            return self.data.root / SECRETS_KEY
        return self.settings.secrets_key_file

    def _api_plan(self) -> ChildPlan:
        return ChildPlan(
            name="api",
            launch=lambda: self._door("api", self._api_command),
            spawn=lambda launch: self._forks.spawn(launch),
            answers=self._api_lives,
            started=partial(self._guardian.watch, "api"),
            ended=self._child_ended,
            stop=self._door_stop,
        )

    def _worker_plan(self, number: int) -> ChildPlan:
        name = f"worker-{number}"
        return ChildPlan(
            name=name,
            launch=lambda: self._door(name, self._worker_command, session=str(uuid4())),
            spawn=lambda launch: self._forks.spawn(launch),
            started=partial(self._guardian.watch, name),
            ended=self._worker_ended,
            stop=self._door_stop,
        )

    def _door(self, name: str, command: tuple[str, ...], session: str = "") -> Launch:
        return Launch(
            argv=command,
            log=self.data.log(name),
            env=self._environment | ({WORKER_SESSION: session} if session else {}),
            keep_open=(self._lock,),
            tag=session,
        )

    async def _api_lives(self) -> bool:
        return await http_status(self.settings.host, self._port, "/health/live") == 200

    async def _until_ready(self) -> None:
        """Wait until the API answers for every part; without workers of our own, that it lives is enough.

        Raises:
            StartError: a child ended meanwhile, or it takes too long.
        """
        if not self.workers:
            return
        try:
            async with asyncio.timeout(READY_SECONDS):
                while await http_status(self.settings.host, self._port, "/health/ready") != 200:
                    for child in self.children:
                        if child.failure is not None:
                            raise child.failure
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise StartError(
                f"The API was not ready within {READY_SECONDS:g} s; its log says why: {self.data.log('api')}"
            ) from None

    def _publish(self) -> None:
        servers = self._servers
        self.endpoints = Endpoints(
            pid=os.getpid(),
            api_url=base_url(self.settings.host, self._port),
            database_url=servers.owner_url,
            app_database_url=servers.app_url,
            redis_url=servers.redis_url,
        )
        with disk_errors(self.data.root):
            publish(self.data.root, self.endpoints)

    # Ends

    def _child_ended(self, _: Launch) -> None:
        """End what an ended child left running: a PostgreSQL whose parent process was killed cannot return before."""
        if self._owns_process:
            ours = (self._installation, self._guardian.pid, self._forks.pid, *(child.pid for child in self.children))
            end_orphans(frozenset(pid for pid in ours if pid is not None))

    def _worker_ended(self, launch: Launch) -> None:
        self._child_ended(launch)
        release = asyncio.create_task(self._hand_on(UUID(launch.tag)))
        self._releases.add(release)
        release.add_done_callback(self._releases.discard)

    async def _hand_on(self, session_id: UUID) -> None:
        try:
            async with asyncio.timeout(RELEASE_SECONDS), self._open_database() as database:
                await self._release(database, session_id)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, SparkOpsError):
            self._say(
                "The steps of that worker could not be handed on at once; others take them when its leases lapse."
            )

    async def _stop_doors(self) -> None:
        await asyncio.gather(*(door.stop() for door in (*self.workers, self.api)))
        if self._releases:
            await asyncio.wait(self._releases)


def _revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


def one_url_is_not_enough(settings: Settings) -> None:
    """Do nothing if both servers are given, or none.

    Raises:
        ConfigError: one of them is missing.
    """
    if settings.database_url and not settings.redis_url:
        raise ConfigError("SPARKOPS_DATABASE_URL is set but SPARKOPS_REDIS_URL is not; set both, or neither.")
    if not settings.database_url and (settings.redis_url or settings.app_database_url):
        given = "SPARKOPS_REDIS_URL" if settings.redis_url else "SPARKOPS_APP_DATABASE_URL"
        raise ConfigError(f"{given} is set but SPARKOPS_DATABASE_URL is not; set both, or neither.")
