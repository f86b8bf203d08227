"""A process of its own that is hit at a failpoint: a worker with its real loop, or a door that does one thing.

Forked from a server that has imported everything, so that one more child costs milliseconds.
"""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any
from uuid import UUID

import redis
import structlog
from redis.asyncio import Redis

from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.db import Database, open_database
from sparkops.core.envelope import Keys
from sparkops.core.failpoints import arm, failpoint
from sparkops.core.json import as_part, dumps
from sparkops.domains.audit.seals import SealKeys
from sparkops.domains.budgets.definition import Action, NewBudget, Period, Scope, Terms, Threshold
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.secrets.queries import VERSIONS
from sparkops.engine.accept import RunRequest, accept_run
from sparkops.engine.answer import Edit, answer_approval
from sparkops.engine.backtests import claim_backtest
from sparkops.engine.budgets import change_budget
from sparkops.engine.cancel import cancel_run
from sparkops.engine.context import Engine
from sparkops.engine.events import NewEvent, receive_event
from sparkops.engine.seals import seal_some
from sparkops.messenger.app import make_app
from sparkops.messenger.bell import RedisBell
from sparkops.runtime import backtests as judging
from sparkops.runtime.attempt import Runtime
from sparkops.runtime.llm.registry import Models
from sparkops.runtime.policies import PolicyCache
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from sparkops.runtime.tools.registry import builtin_tools
from sparkops.worker import loop as worker_loop
from sparkops.worker.event_log import event_log
from sparkops.worker.governing import Governing
from sparkops.worker.loop import Companion, WorkerLoop, open_worker
from sparkops.worker.relay import Relay
from tests.engine.conftest import IsolationHere, person_of
from tests.engine.sink import sending

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])

PAID = NewEvent("e-1", "paid", 7)
_PAUSE = [Threshold(percent=100, action=Action.PAUSE)]
ONE_CALL = NewBudget(name="calls", scope=Scope.PROJECT, period=Period.TOTAL, limit_calls=1, thresholds=_PAUSE)
RAISED = Terms(name="calls", limit_calls=1_000, thresholds=_PAUSE)

CHANGE = Edit(as_part(dumps({"tool": "noop", "arguments": {"n": 7}})), "digest of the change", "v1")

SEAL_KEYS = SealKeys(["a" * 32])
SEALED_AT_ONCE = 3
JUDGED_AT_ONCE = 10
KEY_FILE = "keys"

LEASE_SECONDS = 0.6
LONG_LEASE_SECONDS = 3.0
"""For steps that work for long in their process, which a busy machine must not take for dead."""
SWEEP_SECONDS = 0.2
"""Ten times as often as a real worker, so that a test need not wait."""


@dataclass(frozen=True)
class Given:
    """What a child is told. `does` is work, drain, relay, accept, answer, edit, cancel, event, budget, seal, backtest
    or rewrap; `subject` what this is done to."""

    failpoints: str
    does: str
    database_url: str
    redis_url: str
    session: UUID
    data_dir: Path
    sink: int
    person: UUID
    project: UUID
    subject: UUID | None = None
    lease_seconds: float = LEASE_SECONDS


def begin(given: Given) -> tuple[Any, Event]:
    """Start the child; the event is set once it has reached its failpoint."""
    hit = CONTEXT.Event()
    process = CONTEXT.Process(target=main, args=(given, hit), daemon=True)
    process.start()
    return process, hit


def main(given: Given, hit: Event) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(_main(given, hit))


async def _main(given: Given, hit: Event) -> None:
    app = make_app(given.redis_url)
    async with (
        open_database(given.database_url, name="child") as database,
        Redis.from_url(given.redis_url) as client,
        _bell(app, client) as bell,
    ):
        own: dict[str, Callable[[], None]] = {
            "drop-database": lambda: drop_connections(database),
            "drop-redis": lambda: drop_redis(given.redis_url),
        }
        arm(given.failpoints, own=own, hit=lambda _: hit.set())
        lease = timedelta(seconds=given.lease_seconds)
        engine = Engine(database, bell, lease, policies=PolicyCache(database))
        if given.does in ("work", "drain"):
            await _work(engine, bell, given)
        elif given.does == "relay":
            await _relay(engine, given)
        else:
            await _act(engine, given)


@asynccontextmanager
async def _bell(app: Any, client: "Redis") -> AsyncIterator[RedisBell]:
    bell = RedisBell(app, client)
    try:
        yield bell
    finally:
        await bell.close()


async def _work(engine: Engine, bell: RedisBell, given: Given) -> None:
    worker_loop.SWEEP_SECONDS = SWEEP_SECONDS
    settings = Settings(data_dir=given.data_dir)
    blobs = Blobs.in_directory(settings.blob_dir)
    async with Models(settings) as models:
        runtime = Runtime(engine, settings, blobs, models, tools(given.sink), PolicyCache(engine.database), bell)
        worker = await open_worker(engine, given.session, ["run"], 4)
        # On a busy machine a lease may lapse before the point is reached; then the step has to run alone.
        companions: list[Companion] = [IsolationHere(runtime), Governing(engine, look_seconds=SWEEP_SECONDS)]
        loop = WorkerLoop(runtime, worker, slots=4, drain_seconds=0.3, companions=companions)
        running = asyncio.get_running_loop()
        running.add_signal_handler(signal.SIGTERM, loop.drain)
        if given.does == "drain":
            running.call_later(0.3, loop.drain)
        await loop.run()


async def _relay(engine: Engine, given: Given) -> None:
    worker = await open_worker(engine, given.session, ["run"], 1)
    handlers = await event_log(engine, Settings(data_dir=given.data_dir, event_log="file"))
    draining = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, draining.set)
    await Relay(engine, worker, handlers).run(draining)


async def _act(engine: Engine, given: Given) -> None:
    person = person_of("person", given.project, user_id=given.person)
    if given.does == "accept":
        await accept_run(engine, person, RunRequest(given.project, "report", idem_key="same"))
    elif given.does == "cancel" and given.subject is not None:
        await cancel_run(engine, person, given.subject)
    elif given.does == "budget" and given.subject is not None:
        await change_budget(engine, person, given.subject, RAISED)
    elif given.does == "event":
        await receive_event(engine, person, given.project, PAID)
    elif given.does in ("seal", "backtest", "rewrap"):
        await _keep(engine, given)
    elif given.subject is not None:
        edit = CHANGE if given.does == "edit" else None
        await answer_approval(engine, person, given.subject, approve=True, comment=None, edit=edit)


async def _keep(engine: Engine, given: Given) -> None:
    if given.does == "seal":
        while await seal_some(engine, SEAL_KEYS, SEALED_AT_ONCE):
            pass
    elif given.does == "rewrap":
        async with engine.database.sessions.begin() as session:
            await VERSIONS.rewrap(session, Keys(file=given.data_dir / KEY_FILE).ring())
    else:
        judging.PAGE = JUDGED_AT_ONCE  # so that there are several
        taken = await claim_backtest(engine.database)
        assert taken is not None
        await judging.run_backtest(engine.database, taken, stopping=lambda: False)


def tools(sink: int) -> Mapping[str, Tool]:
    """Those of the platform, `send` with a key that the target honours, and `once`, which must not be repeated."""
    return builtin_tools() | {
        "send": _slow_reader(sending(sink, EffectClass.IDEMPOTENT)),
        "once": _slow_reader(sending(sink, EffectClass.UNSAFE, "once")),
    }


def _slow_reader(tool: Tool) -> Tool:
    """The same tool, with a point between the effect and its answer."""

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        answer = await tool.run(arguments, context)
        failpoint("mid_send")
        return answer

    return replace(tool, run=run)


def drop_connections(database: Database) -> None:
    """Cut every connection of the pool, those in use too."""
    for holder in database.pool._holders:
        if holder._con is not None:
            holder._con.terminate()


def drop_redis(url: str) -> None:
    """Let Redis forget everything and hang up on everybody."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def killed(process: Any) -> bool:
    return bool(process.exitcode == -signal.SIGKILL)


async def ended(process: Any, seconds: float) -> bool:
    """Wait for the end of a child; False if it did not come in time."""
    await asyncio.to_thread(process.join, seconds)
    return process.exitcode is not None


def end(process: Any) -> None:
    """Ask a child to end in peace."""
    if process.exitcode is None and process.pid is not None:
        os.kill(process.pid, signal.SIGTERM)
