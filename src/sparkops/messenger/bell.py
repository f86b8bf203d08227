"""The bell that doors hand to the engine: never raises, never makes its caller wait."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from celery import Celery
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from sparkops.core.failpoints import failpoint
from sparkops.core.json import dumps
from sparkops.engine.context import Ring
from sparkops.messenger.app import HINT_EXPIRES_SECONDS, HINT_TASK

LIVE_CHANNEL: Final = "sparkops:live"
STREAM_CHANNEL: Final = "sparkops:stream:{run_id}"
TEXT_KEY: Final = "sparkops:text:{call_id}"
TEXT_SECONDS: Final = 600
"""How long the text of an unfinished answer can be picked up by a page that was reloaded."""

HINT_REST_SECONDS: Final = 0.010
"""After a hint its queue rests this long: whoever it woke finds the rest by itself."""

log = structlog.get_logger()


class HintSender(threading.Thread):
    """Publishes hints from a thread of its own, because Celery publishes by blocking."""

    def __init__(self, app: Celery) -> None:
        super().__init__(name="hints", daemon=True)
        self._app = app
        self._wanted: set[str] = set()
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._closed = False
        self.lost = 0

    def ring(self, queue: str) -> None:
        with self._lock:
            self._wanted.add(queue)
        self._bell.set()

    def close(self) -> None:
        self._closed = True
        self._bell.set()
        self.join(timeout=2)

    def run(self) -> None:
        while True:
            self._bell.wait()
            if self._closed:
                return
            self._bell.clear()
            with self._lock:
                wanted, self._wanted = self._wanted, set()
            for queue in wanted:
                self._send(queue)
            time.sleep(HINT_REST_SECONDS)

    def _send(self, queue: str) -> None:
        try:
            failpoint("before_hint")
            self._app.send_task(HINT_TASK, args=[queue], queue=queue, expires=HINT_EXPIRES_SECONDS, retry=False)
        except Exception as error:  # a hint may be lost in as many ways as there are brokers
            self.lost += 1
            log.warning("hint.lost", queue=queue, error=type(error).__name__, lost=self.lost)


@dataclass(slots=True)
class _Said:
    """A piece of a model's answer that watchers have not been shown; `offset` counts the characters before it."""

    run_id: UUID
    step_id: UUID
    offset: int
    text: str


class RedisBell:
    """Rings workers by Celery and watchers by Redis. `on_work` also wakes this process's own claimer.

    What watchers are told while a message is on its way shares the next one: each that listens pays by the message.
    """

    def __init__(self, app: Celery, redis: "Redis", on_work: Callable[[str], None] | None = None) -> None:
        self._hints = HintSender(app)
        self._redis = redis
        self._on_work = on_work
        self._grown: dict[str, Ring] = {}
        self._said: dict[UUID, _Said] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._hints.start()

    def work(self, queue: str) -> None:
        if self._on_work is not None:
            self._on_work(queue)
        self._hints.ring(queue)

    def log_grew(self, rings: Sequence[Ring]) -> None:
        if not rings:
            return
        self._grown.update((ring["run_id"], ring) for ring in rings)
        self._tell()

    async def text(self, run_id: UUID, step_id: UUID, call_id: UUID, offset: int, text: str) -> None:
        """Show watchers the next piece of a model's answer, soon; `offset` counts the characters before it."""
        said = self._said.setdefault(call_id, _Said(run_id, step_id, offset, ""))
        said.text += text
        self._tell()

    def _tell(self) -> None:
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        """Publish what has gathered, and what gathers meanwhile."""
        while self._grown or self._said:
            rings, self._grown = list(self._grown.values()), {}
            texts, self._said = self._said, {}
            failpoint("before_publish")
            with contextlib.suppress(RedisError, OSError):
                async with self._redis.pipeline(transaction=False) as pipe:
                    for call_id, said in texts.items():
                        _show(pipe, call_id, said)
                    if rings:
                        pipe.publish(LIVE_CHANNEL, dumps(rings))
                    await pipe.execute()

    async def close(self) -> None:
        """Stop ringing; what has not been sent is lost, as it may be."""
        if self._flushing is not None:
            await asyncio.wait([self._flushing], timeout=1)
        await asyncio.to_thread(self._hints.close)


def _show(pipe: Pipeline, call_id: UUID, said: _Said) -> None:
    """Publish a piece, and keep it for a page that comes later."""
    key = TEXT_KEY.format(call_id=call_id)
    if said.offset:
        pipe.append(key, said.text)
        pipe.expire(key, TEXT_SECONDS)
    else:
        pipe.set(key, said.text, ex=TEXT_SECONDS)
    frame = {"call_id": str(call_id), "step_id": str(said.step_id), "offset": said.offset, "text": said.text}
    pipe.publish(STREAM_CHANNEL.format(run_id=said.run_id), dumps(frame))
