"""The hub of one API process: from Redis rings and the event log to subscribers, without a gap and without a repeat.

Redis only says that a log has grown. What has happened is read from PostgreSQL, where the events of a run become
visible in the order of their numbers; so a lost ring costs at most one poll, and any number of processes is right.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from sparkops.api import problems
from sparkops.api.tasks import stop
from sparkops.core import json
from sparkops.core.db import Database
from sparkops.core.principal import Principal
from sparkops.domains.approvals.queries import OpenState, open_state
from sparkops.domains.identity.queries import principals_of
from sparkops.domains.runs.queries import events_after
from sparkops.messenger.bell import LIVE_CHANNEL, STREAM_CHANNEL

log = structlog.get_logger(__name__)

POLL_SECONDS = 2.0
"""How long a lost ring may delay an event."""
ENDED_POLL_SECONDS = 30.0
"""Of a run that has ended: hardly anything can still come."""
FRAME_SECONDS = 0.1
"""At most ten frames a second for one run; what happens meanwhile shares the next one."""
PROJECT_FRAME_SECONDS = 0.5
"""A frame makes every list on show ask again."""
PAGE = 500
RETRY_SECONDS = 1.0
CHECK_SECONDS = 0.5
"""How long a socket may outlive its session, and a subscription its holder's place in the project."""
MAX_SOCKETS_OF_USER = 20
"""A tab has one."""
MAX_SOCKETS = 2_000
"""Of one process."""
_MAX_BACKOFF_SECONDS = 5.0
_STREAM_PREFIX = STREAM_CHANNEL.format(run_id="")
_FINAL = frozenset({"run.succeeded", "run.failed", "run.cancelled"})
DATABASE_IS_AWAY = (*problems.DATABASE_IS_AWAY, asyncpg.InterfaceError, OSError)


class Subscriber(Protocol):
    """Who gets frames."""

    def offer(self, frame: bytes) -> bool:
        """Queue a frame; a subscriber that is too slow drops itself and returns False."""
        ...

    def offer_ephemeral(self, frame: bytes) -> None:
        """Queue a frame that may be left out."""
        ...

    async def deliver(self, frame: bytes) -> None:
        """Queue a frame, waiting for room."""
        ...


class Watched(Protocol):
    """A socket, as the hub looks after it."""

    @property
    def principal(self) -> Principal:
        """Who holds it."""
        ...

    async def allow(self, principal: Principal | None) -> None:
        """Take in what its holder is allowed by now; None: nothing any more, the session opens nothing."""
        ...


def frame(topic: str, events: "Sequence[asyncpg.Record]") -> bytes:
    """Return one batch of events as it is sent."""
    return json.dumps({"topic": topic, "seq": events[-1]["seq"], "events": [dict(event) for event in events]})


class Subscription:
    """One subscriber's place in the log of one run. `live` once it was let in and has caught up with the feed."""

    def __init__(self, subscriber: Subscriber, topic: str, seq: int) -> None:
        self.subscriber = subscriber
        self.topic = topic
        self.seq = seq
        self.live = False

    def push(self, events: "Sequence[asyncpg.Record]", whole: bytes) -> None:
        """Send what is new to this subscriber; `whole` is the frame of all the events."""
        fresh = [event for event in events if event["seq"] > self.seq]
        if fresh and self.subscriber.offer(whole if len(fresh) == len(events) else frame(self.topic, fresh)):
            self.seq = fresh[-1]["seq"]


class RunFeed:
    """Reads the log of one run once for all its watchers in this process."""

    def __init__(self, database: Database, run_id: UUID, *, poll_seconds: float) -> None:
        self.run_id = run_id
        self.topic = f"run:{run_id}"
        self.seq = 0
        self.subscriptions: set[Subscription] = set()
        self.rung = asyncio.Event()
        self._pool = database.pool
        self._poll = poll_seconds
        self._ended = False

    async def catch_up(self, subscription: Subscription) -> None:
        """Send a newcomer the log from its place on, then let it share the feed.

        Between seeing that it has caught up and going live nothing is awaited, so no event falls in between.
        """
        while subscription in self.subscriptions and not subscription.live:
            events = await events_after(self._pool, run_id=self.run_id, since=subscription.seq, limit=PAGE)
            if events:
                await subscription.subscriber.deliver(frame(self.topic, events))
                subscription.seq = events[-1]["seq"]
            elif subscription.seq >= self.seq:
                if not self._someone_is_live():
                    self.seq = subscription.seq  # nobody needs what came before read again
                subscription.live = True

    def _someone_is_live(self) -> bool:
        return any(one.live for one in self.subscriptions)

    def ended(self) -> None:
        """Note that the run is over: poll it seldom."""
        self._ended = True

    async def run(self) -> None:
        """Forward new events until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ENDED_POLL_SECONDS if self._ended else self._poll):
                    await self.rung.wait()
            self.rung.clear()
            try:
                await self._forward()
            except DATABASE_IS_AWAY as error:
                log.warning("live.database_away", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self.rung.set()
            await asyncio.sleep(FRAME_SECONDS)

    async def _forward(self) -> None:
        """Send what there is: one frame, or full pages of a backlog; what comes meanwhile waits for the next."""
        more = self._someone_is_live()
        while more:
            events = await events_after(self._pool, run_id=self.run_id, since=self.seq, limit=PAGE)
            if not events:
                return
            more = len(events) == PAGE
            whole = frame(self.topic, events)
            for subscription in [one for one in self.subscriptions if one.live]:
                subscription.push(events, whole)
            self.seq = events[-1]["seq"]
            self._ended = self._ended or any(event["kind"] in _FINAL for event in events)

    def forward_text(self, piece: Any) -> None:
        """Forward a piece of a model's answer; nobody waits for it, and it may be left out.

        Who is not live is not let in yet, or finds the piece in the text so far, which is kept before it is told.
        """
        text = json.dumps({"topic": self.topic, "stream": piece})
        for subscription in [one for one in self.subscriptions if one.live]:
            subscription.subscriber.offer_ephemeral(text)


class ProjectFeed:
    """Tells the watchers of a project's lists that they should ask again."""

    def __init__(self, database: Database, project_id: UUID, *, heard: Callable[[], bool]) -> None:
        self.project_id = project_id
        self.watchers: dict[Subscriber, str] = {}
        self.rung = asyncio.Event()
        self._pool = database.pool
        self._heard = heard
        self._approvals: OpenState | None = None

    async def run(self) -> None:
        """Forward rings until cancelled; while Redis is away, assume a change now and then."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ENDED_POLL_SECONDS if self._heard() else _MAX_BACKOFF_SECONDS):
                    await self.rung.wait()
            if self.rung.is_set() or not self._heard():
                self.rung.clear()
                await self._tell()
            await asyncio.sleep(PROJECT_FRAME_SECONDS)

    async def _tell(self) -> None:
        changed = ["runs", "approvals"]
        try:
            state = await open_state(self._pool, project_id=self.project_id)
        except DATABASE_IS_AWAY:
            state = None
        if state is not None and state == self._approvals:
            changed = ["runs"]
        self._approvals = state
        for watcher, topic in list(self.watchers.items()):
            watcher.offer(json.dumps({"topic": topic, "changed": changed}))


def complain(task: asyncio.Task[None]) -> None:
    """A task of this process runs until it is cancelled; ending otherwise is a bug, and must not pass unseen."""
    if not task.cancelled() and (error := task.exception()):
        log.error("task.died", exc_info=error)


class Hub:
    """All feeds of this process, and the one connection to Redis that rings them."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        *,
        poll_seconds: float = POLL_SECONDS,
        refuses: Callable[[Principal], bool] = lambda _: False,
    ) -> None:
        """`refuses` says of the holder of a session that goes on whether it opens nothing all the same."""
        self.database = database
        self._refuses = refuses
        self.redis = redis
        self.listening = asyncio.Event()
        self._poll = poll_seconds
        self._runs: dict[UUID, RunFeed] = {}
        self._projects: dict[UUID, ProjectFeed] = {}
        self._tasks: dict[RunFeed | ProjectFeed, asyncio.Task[None]] = {}
        self._sockets: dict[UUID, set[Watched]] = {}
        self._someone = asyncio.Event()

    def enter(self, socket: Watched) -> bool:
        """Look after a socket from now on, or return False: its holder has as many as allowed, or this process has."""
        held = self._sockets.setdefault(socket.principal.user_id, set())
        if len(held) >= MAX_SOCKETS_OF_USER or sum(map(len, self._sockets.values())) >= MAX_SOCKETS:
            return False
        held.add(socket)
        self._someone.set()
        return True

    def leave(self, socket: Watched) -> None:
        """Look after it no more; it may never have entered."""
        user_id = socket.principal.user_id
        held = self._sockets.get(user_id, set())
        held.discard(socket)
        if not held:
            self._sockets.pop(user_id, None)

    async def look_after(self) -> None:
        """Tell sockets what their holders are allowed, twice a second until cancelled.

        One statement for all of them. A database that is away proves nothing.
        """
        while True:
            await self._someone.wait()
            await asyncio.sleep(CHECK_SECONDS)
            sockets = [socket for held in self._sockets.values() for socket in held]
            if not sockets:
                self._someone.clear()
                continue
            sessions = {socket: socket.principal.session_id for socket in sockets}
            try:
                found = await principals_of(self.database.pool, session_ids={id_ for id_ in sessions.values() if id_})
            except DATABASE_IS_AWAY as error:
                log.warning("live.database_away", error=type(error).__name__)
                continue
            for socket, session_id in sessions.items():
                holder = found.get(session_id) if session_id else None
                await socket.allow(None if holder is None or self._refuses(holder) else holder)

    def watch_run(self, subscriber: Subscriber, run_id: UUID, since: int) -> tuple[RunFeed, Subscription]:
        """Add a subscriber to the feed of a run; it gets nothing before `catch_up`."""
        feed = self._runs.get(run_id)
        if feed is None:
            feed = self._runs[run_id] = RunFeed(self.database, run_id, poll_seconds=self._poll)
            self._start(feed)
        subscription = Subscription(subscriber, feed.topic, since)
        feed.subscriptions.add(subscription)
        return feed, subscription

    async def leave_run(self, feed: RunFeed, subscription: Subscription) -> None:
        """Take a subscriber off; the last one ends the feed."""
        feed.subscriptions.discard(subscription)
        if not feed.subscriptions and self._runs.get(feed.run_id) is feed:
            del self._runs[feed.run_id]
            await self._end(feed)

    def watch_project(self, subscriber: Subscriber, project_id: UUID, topic: str) -> ProjectFeed:
        """Add a subscriber to the feed of a project."""
        feed = self._projects.get(project_id)
        if feed is None:
            feed = ProjectFeed(self.database, project_id, heard=self.listening.is_set)
            self._projects[project_id] = feed
            self._start(feed)
        feed.watchers[subscriber] = topic
        return feed

    async def leave_project(self, feed: ProjectFeed, subscriber: Subscriber) -> None:
        """Take a subscriber off; the last one ends the feed."""
        feed.watchers.pop(subscriber, None)
        if not feed.watchers and self._projects.get(feed.project_id) is feed:
            del self._projects[feed.project_id]
            await self._end(feed)

    def _start(self, feed: RunFeed | ProjectFeed) -> None:
        task = self._tasks[feed] = asyncio.create_task(feed.run())
        task.add_done_callback(complain)

    async def _end(self, feed: RunFeed | ProjectFeed) -> None:
        await stop([self._tasks.pop(feed)])

    async def listen(self) -> None:
        """Hear rings until cancelled; a lost connection is made again, later and later."""
        attempt = 0
        while True:
            try:
                async with self.redis.pubsub() as channel:
                    await channel.subscribe(LIVE_CHANNEL)
                    await channel.psubscribe(f"{_STREAM_PREFIX}*")
                    async for message in self._messages(channel):
                        attempt = 0
                        self._hear(message)
            except (RedisError, OSError) as error:
                log.warning("live.redis_away", error=type(error).__name__)
            finally:
                self.listening.clear()
            attempt += 1
            ceiling = min(_MAX_BACKOFF_SECONDS, 0.1 * 2**attempt)
            await asyncio.sleep(random.uniform(0, ceiling))  # noqa: S311 -- jitter, not a secret

    def _now_listening(self) -> None:
        """Rings may have been missed until now: look everywhere once."""
        self.listening.set()
        for feed in self._tasks:
            feed.rung.set()

    @staticmethod
    async def _messages(channel: PubSub) -> AsyncIterator[dict[str, Any]]:
        while True:
            if message := await channel.get_message(timeout=POLL_SECONDS):
                yield message

    def _hear(self, message: dict[str, Any]) -> None:
        """Take in one message. The client reconnects by itself, which shows only in being subscribed again."""
        if message["type"] == "subscribe":
            self._now_listening()
        elif message["type"] in ("message", "pmessage"):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._dispatch(message["channel"].decode(), json.loads(message["data"]))

    def _dispatch(self, channel: str, body: Any) -> None:
        if channel == LIVE_CHANNEL:
            for ring in body:
                self._ring(ring)
        elif run := self._runs.get(UUID(channel.removeprefix(_STREAM_PREFIX))):
            run.forward_text(body)

    def _ring(self, ring: Any) -> None:
        if run := self._runs.get(UUID(ring["run_id"])):
            run.rung.set()
        if project := self._projects.get(UUID(ring["project_id"])):
            project.rung.set()
