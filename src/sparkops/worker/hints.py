"""What looks whether hints come. Without them everything goes on by polls, only later, and nobody would notice."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sparkops.core.db import LOST_CONNECTION
from sparkops.engine.context import Engine
from sparkops.engine.sweep import stale_queues

log = structlog.get_logger()

WAITING: Final = timedelta(seconds=5)
"""Ready work this old should have been rung for: every sweep of every worker rings for what is older than a second."""
SILENT_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 2.0
"""How long the broker may take to say that it is there."""


class HintWatch:
    """A companion of the worker's loop that makes hints come again.

    Where a queue of ours has had ready work for some time and no hint for it has arrived all that while, although the
    broker answers, `restart` is called, and the silence is counted from then on anew. `heard` says when, by the
    process's clock, the last hint for each queue arrived. The time before there was work counts for nothing, nor does
    a time in which the broker was away: an idle queue is silent, and a consumer needs a moment to come back.
    """

    def __init__(
        self,
        engine: Engine,
        queues: Sequence[str],
        broker_url: str,
        heard: Mapping[str, float],
        restart: Callable[[], None],
        *,
        waiting: timedelta = WAITING,
        silent_seconds: float = SILENT_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._engine = engine
        self._queues = queues
        self._broker_url = broker_url
        self._heard = heard
        self._restart = restart
        self._waiting = waiting
        self._silent_seconds = silent_seconds
        self._look_seconds = look_seconds
        self._since: dict[str, float] = {}
        self.restarts = 0

    async def run(self, draining: asyncio.Event) -> None:
        """Look every few seconds until the worker drains."""
        while not draining.is_set():
            try:
                await self._look()
            except LOST_CONNECTION as error:
                self._since.clear()  # nobody can ring for work that nobody can see
                log.warning("hints.unknown", error=str(error) or type(error).__name__)
            except Exception:  # outermost: a watch that has died would look like one that finds nothing
                log.exception("hints.broke")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(draining.wait(), self._look_seconds)

    async def _look(self) -> None:
        stale = await stale_queues(self._engine, self._queues, self._waiting)
        now = time.monotonic()
        self._since = {queue: max(self._since.get(queue, now), self._heard.get(queue, 0.0)) for queue in stale}
        silent = [queue for queue, since in self._since.items() if now - since > self._silent_seconds]
        if not silent:
            return
        seconds = round(now - min(self._since[queue] for queue in silent))
        self._since.clear()
        if await self._broker_answers():
            self.restarts += 1
            log.error("hints.silent", queues=silent, seconds=seconds, restarts=self.restarts)
            self._restart()

    async def _broker_answers(self) -> bool:
        """Ask over a connection of its own: one that is open may be the one that is broken."""
        try:
            # lint: allow outgoing -- the address is an operator's, from the settings
            async with asyncio.timeout(ANSWER_SECONDS), Redis.from_url(self._broker_url) as client:
                return bool(await client.ping())
        except (RedisError, OSError):
            return False


def begin_anew(controller: Any) -> None:
    """Make the consumer of a Celery worker connect anew, as after a lost connection; from any thread.

    Celery has no call for it that works in the process itself (`pool_restart` is about its pool, and needs the remote
    control that is off), but it comes back from a lost connection at any time: it closes what it has, and what it
    cannot close within five seconds it drops, connects, and consumes all queues again. So that is what its loop is
    told. Nothing of ours is touched by it: steps go on, which a worker that drains for its messenger's sake would
    have to give back.
    """
    if controller.consumer is not None:
        controller.consumer.call_soon(_lose)


def _lose() -> None:
    raise ConnectionResetError("no hint came")
