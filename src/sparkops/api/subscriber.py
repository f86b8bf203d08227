"""One WebSocket: what it asks for, the bounded queue in front of it, and when it is let go."""

import asyncio
import time
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from redis.exceptions import RedisError

from sparkops.api.live import DATABASE_IS_AWAY, Hub, ProjectFeed, RunFeed, Subscription
from sparkops.api.tasks import stop
from sparkops.core import json
from sparkops.core.errors import NotFound, SparkOpsError, Unavailable
from sparkops.core.principal import Principal
from sparkops.domains.effects.queries import model_calls_in_flight
from sparkops.domains.projects.queries import watched_project
from sparkops.domains.runs.queries import watched_run
from sparkops.messenger.bell import TEXT_KEY

log = structlog.get_logger(__name__)

QUEUE_FRAMES = 256
"""About half a minute of a busy run; who is further behind asks again with `since`."""
MAX_SUBSCRIPTIONS = 50
MAX_MESSAGE_CHARS = 4_096
MESSAGE_SECONDS = 0.02
"""Each message costs statements: at most fifty a second are looked at."""
MAX_MESSAGES = 300
"""Who sends more than this within `MESSAGES_WINDOW_SECONDS` is let go: a page subscribes to what it shows."""
MESSAGES_WINDOW_SECONDS = 10.0
PING_SECONDS = 20.0

SLOW_READER = 4008
SESSION_ENDED = 4001
TOO_MANY = 4029
"""Too many sockets of one user or of this process, or too many messages: come back later."""
NOT_TEXT = 1003
TOO_BIG = 1009


class _Sub(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    sub: Annotated[str, Field(max_length=100, pattern=r"^[\x20-\x7e]+$")]
    since: Annotated[int, Field(ge=0, le=2**53)] = 0


class _Unsub(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    unsub: Annotated[str, Field(max_length=100)]


_MESSAGE: TypeAdapter[_Sub | _Unsub] = TypeAdapter(_Sub | _Unsub)


class TooManySubscriptions(SparkOpsError):
    code, title = "too-many-subscriptions", f"One socket may watch {MAX_SUBSCRIPTIONS} topics"


class Malformed(SparkOpsError):
    code, title = "malformed", 'Send {"sub": "run:<id>", "since": 0}, {"sub": "project:<slug>"} or {"unsub": "<topic>"}'


class SocketSubscriber:
    """The server's side of one socket."""

    def __init__(self, socket: WebSocket, hub: Hub, principal: Principal) -> None:
        self._socket = socket
        self._hub = hub
        self.principal = principal
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_FRAMES)
        self._dropped = asyncio.Event()
        self._code = 1000
        self._runs: dict[str, tuple[RunFeed, Subscription, asyncio.Task[None]]] = {}
        self._projects: dict[str, ProjectFeed] = {}
        self._owners: dict[str, UUID] = {}
        """By topic the project that must stay the holder's."""

    def offer(self, frame: bytes) -> bool:
        """Queue a frame; with the queue full the reader is too slow, and is let go."""
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            self._drop(SLOW_READER)
            return False
        return True

    def offer_ephemeral(self, frame: bytes) -> None:
        """Queue a frame unless the queue is half full: it may be left out, and must not push out others."""
        if self._frames.qsize() < QUEUE_FRAMES // 2:
            self.offer(frame)

    async def deliver(self, frame: bytes) -> None:
        """Queue a frame when there is room."""
        await self._frames.put(frame)

    def _drop(self, code: int) -> None:
        self._code = code
        self._dropped.set()

    async def serve(self) -> None:
        """Do what the client asks until it goes or is dropped; then leave every feed."""
        if not self._hub.enter(self):
            self._code = TOO_MANY
            await self._close()
            return
        jobs = [self._receive(), self._send(), self._ping(), self._dropped.wait()]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(self)
            await stop(tasks)
            await self._leave_all()
        for task in done:
            if not task.cancelled() and (error := task.exception()) and not isinstance(error, _GONE):
                log.error("live.socket_died", exc_info=error)
                self._code = 1011
        await self._close()

    async def _close(self) -> None:
        try:
            await self._socket.close(self._code)
        except _GONE:
            return

    async def _send(self) -> None:
        while True:
            await self._socket.send_text((await self._frames.get()).decode())

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            self.offer(json.dumps({"ping": int(time.time())}))

    async def allow(self, principal: Principal | None) -> None:
        """Let the socket go when its session has ended, and a topic when its project is its holder's no more."""
        if principal is None:
            self._drop(SESSION_ENDED)
            return
        self.principal = principal
        for topic, project_id in list(self._owners.items()):
            if project_id not in principal.places:
                await self._leave(topic)
                self._refuse(topic, NotFound("This project is not yours any more."))

    async def _receive(self) -> None:
        begun, count = time.monotonic(), 0
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"])
            text = message.get("text")
            if text is None:
                self._drop(NOT_TEXT)
                return
            if len(text) > MAX_MESSAGE_CHARS:
                self._drop(TOO_BIG)
                return
            if time.monotonic() - begun > MESSAGES_WINDOW_SECONDS:
                begun, count = time.monotonic(), 0
            count += 1
            if count > MAX_MESSAGES:
                self._drop(TOO_MANY)
                return
            await self._obey(text)
            await asyncio.sleep(MESSAGE_SECONDS)

    async def _obey(self, text: str) -> None:
        topic = None
        try:
            message = _MESSAGE.validate_json(text)
            topic = message.sub if isinstance(message, _Sub) else message.unsub
            await self._leave(topic)
            if isinstance(message, _Sub):
                await self._join(topic, message.since)
        except ValidationError:
            self._refuse(topic, Malformed())
        except SparkOpsError as error:
            self._refuse(topic, error)
        except DATABASE_IS_AWAY:
            self._refuse(topic, Unavailable("The database does not answer; subscribe again."))

    def _refuse(self, topic: str | None, error: SparkOpsError) -> None:
        self.offer(json.dumps({"topic": topic, "error": {"code": error.code, "detail": error.detail}}))

    async def _join(self, topic: str, since: int) -> None:
        if len(self._runs) + len(self._projects) >= MAX_SUBSCRIPTIONS:
            raise TooManySubscriptions()
        kind, _, name = topic.partition(":")
        if kind == "run":
            await self._join_run(topic, _run_id(name), since)
        elif kind == "project":
            await self._join_project(topic, name)
        else:
            raise Malformed()

    async def _join_run(self, topic: str, run_id: UUID, since: int) -> None:
        """Join the feed first and look at the run then: what happens in between rings a feed that exists.
        Nothing is sent before `_catch_up`."""
        feed, subscription = self._hub.watch_run(self, run_id, since)
        try:
            found = await watched_run(self._hub.database.pool, self.principal, run_id=run_id)
            if found is None:
                raise NotFound("There is no such run here.")
            project_id, last_seq, ended = found
            subscription.seq = min(since, last_seq)
            if ended:
                feed.ended()
        except BaseException:
            await self._hub.leave_run(feed, subscription)
            raise
        await self.deliver(json.dumps({"topic": topic, "subscribed": True, "seq": last_seq}))
        self._owners[topic] = project_id
        self._runs[topic] = (feed, subscription, asyncio.create_task(self._catch_up(feed, subscription)))

    async def _catch_up(self, feed: RunFeed, subscription: Subscription) -> None:
        while True:
            try:
                await feed.catch_up(subscription)
                await self._show_text_in_flight(feed)
            except DATABASE_IS_AWAY:
                await asyncio.sleep(1)
            else:
                return

    async def _show_text_in_flight(self, feed: RunFeed) -> None:
        """Send what a model has said so far in answers that are not complete: a reloaded page goes on from there."""
        for call_id, step_id in await model_calls_in_flight(self._hub.database.pool, run_id=feed.run_id):
            try:
                text = await self._hub.redis.get(TEXT_KEY.format(call_id=call_id))
            except (RedisError, OSError):
                return
            if text:
                said = text.decode() if isinstance(text, bytes) else text
                piece = {"call_id": call_id, "step_id": step_id, "offset": 0, "text": said}
                self.offer_ephemeral(json.dumps({"topic": feed.topic, "stream": piece}))

    async def _join_project(self, topic: str, slug: str) -> None:
        project_id = await watched_project(self._hub.database.pool, self.principal, slug=slug)
        if project_id is None:
            raise NotFound("There is no such project here.")
        self._owners[topic] = project_id
        self._projects[topic] = self._hub.watch_project(self, project_id, topic)
        await self.deliver(json.dumps({"topic": topic, "subscribed": True, "seq": 0}))

    async def _leave(self, topic: str) -> None:
        self._owners.pop(topic, None)
        if watched := self._runs.pop(topic, None):
            feed, subscription, catching_up = watched
            await stop([catching_up])
            await self._hub.leave_run(feed, subscription)
        if project := self._projects.pop(topic, None):
            await self._hub.leave_project(project, self)

    async def _leave_all(self) -> None:
        for topic in [*self._runs, *self._projects]:
            await self._leave(topic)


_GONE = (WebSocketDisconnect, RuntimeError, OSError)
"""How Starlette and the server say that the other side has gone."""


def _run_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such run here.") from None


async def serve(socket: WebSocket, hub: Hub, principal: Principal) -> None:
    """Serve one socket until it goes."""
    await socket.accept()
    await SocketSubscriber(socket, hub, principal).serve()
