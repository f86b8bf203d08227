"""A worker process: Celery receives the hints on its threads, one event loop beside it does the work."""

import asyncio
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import structlog
import uvloop
from celery import Celery, bootsteps
from celery.signals import setup_logging
from redis.asyncio import BlockingConnectionPool, Redis

from sparkops.core.blobs import open_blobs
from sparkops.core.config import Settings
from sparkops.core.db import open_database
from sparkops.core.errors import ConfigError
from sparkops.core.payloads import Payloads
from sparkops.domains.audit.seals import SealKeys
from sparkops.engine.backtests import QUEUE as POLICY
from sparkops.engine.context import Engine, Worker
from sparkops.engine.records import KEPT
from sparkops.messenger.app import QUEUES, make_app
from sparkops.messenger.bell import RedisBell
from sparkops.runtime.attempt import Runtime
from sparkops.runtime.llm.registry import Models
from sparkops.runtime.policies import PolicyCache
from sparkops.runtime.secrets.sources import open_secrets
from sparkops.runtime.tools.registry import builtin_tools, priced
from sparkops.worker.backtests import Backtests
from sparkops.worker.event_log import event_log
from sparkops.worker.governing import Governing
from sparkops.worker.hints import HintWatch, begin_anew
from sparkops.worker.isolation import Isolation
from sparkops.worker.loop import Companion, WorkerLoop, open_worker
from sparkops.worker.relay import Relay
from sparkops.worker.sealer import Sealer
from sparkops.worker.tasks import register
from sparkops.worker.upkeep import Upkeep

log = structlog.get_logger()

HINT_THREADS = 2
"""A hint takes microseconds; two threads so that one that hangs does not silence the queue."""


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    app: Celery,
    *,
    name: str = "sparkops worker",
    on_work: Callable[[str], None] | None = None,
) -> AsyncIterator[Runtime]:
    """Open what attempts of one process share, and close it at the end. `on_work` hears of work made here.

    Raises:
        ConfigError: a setting that workers need is missing.
        OSError, asyncpg.PostgresError: the database cannot be reached or refuses the login.
    """
    connections = BlockingConnectionPool.from_url(settings.broker_url, max_connections=8, timeout=2)
    redis = Redis.from_pool(connections)
    url, role = settings.app_login
    tools = priced(builtin_tools(), settings.tool_prices)
    async with (
        open_database(url, role=role, name=name) as database,
        Models(settings) as models,
        open_secrets(settings, database) as secrets,
    ):
        bell = RedisBell(app, redis, on_work=on_work)
        blobs = open_blobs(settings)
        payloads = Payloads(blobs)
        policies = PolicyCache(database)
        engine = Engine(
            database, bell, settings.lease, settings.run_budget_micros, payloads=payloads, policies=policies
        )
        try:
            yield Runtime(engine, settings, blobs, models, tools, policies, bell, secrets=secrets)
        finally:
            await bell.close()
            await redis.aclose()


class LoopThread(threading.Thread):
    """Runs the worker's event loop beside Celery's consumer. `failed` holds what ended it, if something did."""

    def __init__(self, settings: Settings, app: Celery, session_id: UUID, queues: Sequence[str]) -> None:
        super().__init__(name="loop", daemon=True)
        self._settings = settings
        self._app = app
        self._session_id = session_id
        self._queues = queues
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker_loop: WorkerLoop | None = None
        self._backtests: Backtests | None = None
        self._heard: dict[str, float] = {}
        """When the last hint for each queue arrived, by the process's clock."""
        self.controller: Any = None
        """The Celery worker that receives them; set before this thread starts."""
        self.failed: BaseException | None = None

    def hinted(self, queue: str) -> None:
        """A hint for this queue has arrived; from any thread."""
        self._heard[queue] = time.monotonic()
        self.wake(queue)

    def wake(self, queue: str) -> None:
        """Make whoever serves this queue look for work; from any thread."""
        sleeper = self._backtests if queue == POLICY else self._worker_loop
        if self._loop is not None and sleeper is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(sleeper.wake)

    def drain(self) -> None:
        """Ask the loop to end in peace; from any thread. `join` waits for it."""
        if self._loop is not None and self._worker_loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._worker_loop.drain)

    def run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                self._loop = runner.get_loop()
                runner.run(self._main())
        except BaseException as error:  # the process must not go on without its loop
            self.failed = error
            log.exception("worker.broke")
        finally:
            signal.raise_signal(signal.SIGTERM)

    async def _main(self) -> None:
        settings = self._settings
        async with open_runtime(settings, self._app, on_work=self.wake) as runtime:
            worker = await open_worker(runtime.engine, self._session_id, self._queues, settings.slots)
            restart = partial(begin_anew, self.controller)
            watch = HintWatch(runtime.engine, worker.queues, settings.broker_url, self._heard, restart)
            companions = [*await companions_of(runtime, worker), watch]
            self._backtests = next((one for one in companions if isinstance(one, Backtests)), None)
            self._worker_loop = WorkerLoop(
                runtime,
                worker,
                slots=settings.slots,
                drain_seconds=settings.drain_seconds,
                companions=companions,
            )
            await self._worker_loop.run()


async def companions_of(runtime: Runtime, worker: Worker) -> Sequence[Companion]:
    """Return what goes on beside the claims of a worker: what every worker does, and what those do that serve the
    queue `policy`."""
    settings = runtime.settings
    always: Sequence[Companion] = (
        Isolation(runtime.engine, worker, drain_seconds=settings.drain_seconds),
        Relay(runtime.engine, worker, await event_log(runtime.engine, settings)),
        Sealer(runtime.engine, SealKeys.of(settings.audit_key), settings.audit_roots),
        Upkeep(runtime.engine, runtime.blobs, grace=settings.object_grace, kept=_kept(settings)),
    )
    if POLICY not in worker.queues:
        return always
    return (*always, Backtests(runtime.engine.database), Governing(runtime.engine))


def _kept(settings: Settings) -> Mapping[str, timedelta]:
    """Return how long records are kept that are over."""
    return {
        **KEPT,
        "secret_uses": timedelta(days=settings.keep_secret_uses_days),
        "security_events": timedelta(days=settings.keep_security_events_days),
    }


class LoopStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Starts the loop with the Celery worker and drains it before the worker goes."""

    requires: ClassVar[set[str]] = {"celery.worker.components:Pool"}
    thread: ClassVar[LoopThread]

    def start(self, parent: Any) -> None:
        self.thread.controller = parent
        self.thread.start()

    def stop(self, parent: Any) -> None:
        self.thread.drain()
        self.thread.join(timeout=60)

    terminate = stop


def _keep_our_logs(**_: object) -> None:
    """Celery would set the level of every log of this process; only its own talk is turned down."""
    for name in ("celery", "kombu"):
        logging.getLogger(name).setLevel(logging.WARNING)


def run_worker(settings: Settings, *, session_id: UUID, queues: Sequence[str]) -> int:
    """Work until SIGTERM or SIGINT, then drain. Returns the exit code: 0 unless the loop broke.

    Raises:
        ConfigError: a queue or a needed setting is missing or unknown.
    """
    unknown = sorted(set(queues) - set(QUEUES))
    if unknown:
        raise ConfigError(f"There is no queue {', '.join(unknown)}. Queues: {', '.join(QUEUES)}.")
    SealKeys.of(settings.audit_key)
    app = make_app(settings.broker_url)
    setup_logging.connect(_keep_our_logs, weak=False)
    thread = LoopThread(settings, app, session_id, queues)
    register(app, thread.hinted)
    LoopStep.thread = thread
    app.steps["worker"].add(LoopStep)
    worker = app.Worker(
        pool="threads",
        concurrency=HINT_THREADS,
        queues=list(queues),
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        hostname=f"{session_id}@sparkops",
        loglevel="WARNING",
        quiet=True,
    )
    worker.start()
    return 1 if thread.failed else 0
