"""What goes wrong, at random: processes die or stop for too long, Redis forgets, answers of commits are lost."""

import argparse
import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sparkops.core.db import LOST_CONNECTION
from sparkops.local.child import Child, Say
from sparkops.local.supervisor import Supervisor
from tests.chaos.proxy import Proxy

SILENT_SECONDS = 9.0
"""Longer than a hint waits for Redis."""

LATE_SECONDS = 3.0
"""Beyond a lease: a sweep has given its steps to others by then, and the worker still waits for its answer."""

TRIES = 20
AGAIN_SECONDS = 0.5
"""When, and how often, a fault is tried again that found nothing to hit: a process that is being started again."""

KINDS: Mapping[str, int] = {
    "worker_kills": 6,
    "lost_answers": 6,
    "zombies": 3,
    "late_prepares": 3,
    "api_kills": 2,
    "postgres_kills": 2,
    "valkey_kills": 1,
    "redis_flushes": 2,
    "redis_stalls": 1,
}
"""What may go wrong, and how often in proportion, beyond the once or twice that each does if there are enough."""


def kinds(names: str) -> tuple[str, ...]:
    """Read the names of kinds, with commas between.

    Raises:
        ArgumentTypeError: there is no such kind.
    """
    found = tuple(names.split(","))
    if unknown := [name for name in found if name not in KINDS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(map(repr, unknown))}; choose from {', '.join(KINDS)}")
    return found


_REGISTERED = "SELECT EXISTS (SELECT 1 FROM worker_sessions WHERE id = ANY ($1))"


@dataclass(frozen=True)
class Kill:
    """A worker that was killed: its session, and the database's clock a moment before. What it had said before and was
    held up arrives later, its heartbeats too: then the time is the one at which the last of it did."""

    session: UUID
    at: float


@dataclass
class Faults:
    """`pause`: seconds between two faults. `kills` and `outages`, when PostgreSQL was away or no worker lived, are told
    in seconds since the epoch."""

    stack: Supervisor
    proxy: Proxy
    random: Random
    lease_seconds: float
    pause: float
    say: Say
    kinds: Sequence[str] = tuple(KINDS)
    """Which of them may happen."""
    counts: Counter[str] = field(default_factory=Counter)
    kills: list[Kill] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    _stopped: set[asyncio.Task[None]] = field(default_factory=set)
    _still: set[int] = field(default_factory=set)
    """The processes that are stopped now."""

    async def strike(self, times: int) -> None:
        """Let so many faults happen, each kind once or twice if there are enough, and wait until stopped ones go on."""
        acts: Mapping[str, Callable[[], Awaitable[bool]]] = {
            "worker_kills": self._kill_worker,
            "lost_answers": self._lose_answers,
            "zombies": self._stop_worker,
            "late_prepares": self._hold_up_a_call,
            "api_kills": self._kill_api,
            "postgres_kills": self._kill_postgres,
            "valkey_kills": self._kill_valkey,
            "redis_flushes": self._flush,
            "redis_stalls": self._stop_valkey,
        }
        names = list(self.kinds)
        names *= 2 if times >= 2 * len(names) else 1
        order = names + self.random.choices(names, [KINDS[name] for name in names], k=max(times - len(names), 0))
        self.random.shuffle(order)
        for name in order[:times]:
            self.say(f"· {name}")
            self.counts[name if await self._hits(acts[name]) else "missed"] += 1
            await asyncio.sleep(self.random.uniform(0.5, 1.5) * self.pause)
        if self._stopped:
            await asyncio.wait(self._stopped)

    def hit(self) -> Counter[str]:
        """Return how often each kind hit so far; of what the proxy was to do, what it did, which may be later."""
        proxys = {"lost_answers": sum(self.proxy.cut.values()), "late_prepares": self.proxy.held_up}
        return Counter({**self.counts, **proxys})

    async def _hits(self, act: Callable[[], Awaitable[bool]]) -> bool:
        for _ in range(TRIES):
            if await act():
                return True
            await asyncio.sleep(AGAIN_SECONDS)
        return False

    async def watch_workers(self) -> None:
        """Until cancelled: note when no worker lives that has begun to work and can be heard, for then nobody can take
        anything up."""
        since: float | None = None
        while True:
            lives = await self._some_worker_lives()
            now = time.time()
            if not lives:
                since = since or now
            elif since is not None:
                self.outages.append((since, now))
                since = None
            await asyncio.sleep(0.2)

    async def _some_worker_lives(self) -> bool:
        assert self.stack.embedded is not None
        there = [(worker.pid, worker._launch) for worker in self.stack.workers]
        still = self._still | self.proxy.held.keys()
        sessions = [UUID(launch.tag) for pid, launch in there if launch is not None and pid and pid not in still]
        try:
            connection = await asyncpg.connect(self.stack.embedded.app_url, timeout=2)
            try:
                return bool(await connection.fetchval(_REGISTERED, sessions))
            finally:
                await connection.close(timeout=1)
        except LOST_CONNECTION:
            return False

    async def _kill_worker(self) -> bool:
        worker = self.random.choice(self.stack.workers)
        launch, pid, now = worker._launch, worker.pid, time.time()
        if launch is None or not _send(worker, signal.SIGKILL):
            return False
        self.kills.append(Kill(UUID(launch.tag), max(now, self.proxy.until.get(pid or 0, now))))
        return True

    async def _stop_worker(self) -> bool:
        """Stop a worker for longer than its leases last; then it goes on as if nothing had been."""
        worker = self.random.choice(self.stack.workers)
        pid = worker.pid
        if pid is None or pid in self._still or not _send(worker, signal.SIGSTOP):
            return False

        self._still.add(pid)

        async def go_on() -> None:
            await asyncio.sleep(self.lease_seconds + 3)
            self._still.discard(pid)
            if worker.pid == pid:
                _send(worker, signal.SIGCONT)

        self._stopped.add(task := asyncio.create_task(go_on()))
        task.add_done_callback(self._stopped.discard)
        return True

    async def _kill_api(self) -> bool:
        return _send(self.stack.api, signal.SIGKILL)

    async def _kill_postgres(self) -> bool:
        embedded = self.stack.embedded
        assert embedded is not None
        began = time.time()
        if not _send(embedded.postgres, signal.SIGKILL):
            return False
        await self._until_it_answers(embedded.app_url)
        self.outages.append((began, time.time()))
        return True

    async def _until_it_answers(self, url: str) -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    await (await asyncpg.connect(url, timeout=5)).close()
                except LOST_CONNECTION:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def _kill_valkey(self) -> bool:
        assert self.stack.embedded is not None
        return _send(self.stack.embedded.valkey, signal.SIGKILL)

    async def _stop_valkey(self) -> bool:
        """Let Redis be silent for longer than anybody waits for it."""
        assert self.stack.embedded is not None
        valkey = self.stack.embedded.valkey
        pid = valkey.pid
        if not _send(valkey, signal.SIGSTOP):
            return False
        await asyncio.sleep(SILENT_SECONDS)
        if valkey.pid == pid:
            _send(valkey, signal.SIGCONT)
        return True

    async def _flush(self) -> bool:
        async with Redis.from_url(self.stack.endpoints.redis_url) as client:
            try:
                return bool(await client.flushall())
            except RedisError:
                return False  # it is being started again

    async def _hold_up_a_call(self) -> bool:
        """Let the line of the next worker that prepares a call be silent for longer than its leases last."""
        self.proxy.late_seconds = self.lease_seconds + LATE_SECONDS
        return True

    async def _lose_answers(self) -> bool:
        self.proxy.wanted += self.random.randint(1, 5)
        return True


def _send(child: Child, number: signal.Signals) -> bool:
    """Say whether there was a process to send it to."""
    pid = child.pid
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
