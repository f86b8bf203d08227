"""How many requests a caller and an address may make: counted in this process, and shared with the others by Redis.

A request waits for nobody: it is counted here, and five times a second each process tells Redis what it has counted
and learns what the others have. So several processes together let through at most what comes within a fifth of a
second too much, and without Redis each of them holds the limits alone. There is no way to have none.

A window slides: what was counted in the ten seconds before counts as far as these ten seconds still reach into them.
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.types import Scope

from sparkops.core.config import RateLimits
from sparkops.core.errors import TooMany

log = structlog.get_logger(__name__)

WINDOW_SECONDS: Final = 10
SHARE_SECONDS: Final = 0.2
MAX_TRACKED: Final = 100_000
"""Beyond it the oldest counts are dropped, so that memory is bounded whatever comes in."""


class RouteClass(StrEnum):
    """What a request costs us, and so how many of them there may be."""

    READ = "read"
    WRITE = "write"
    RUN = "run"
    """Starts runs, or sends an event that may wake some."""
    SIGN_IN = "sign-in"
    """Looks at a password or a one-time token."""


_RUNS = re.compile(r"/api/v1/(?:runs(?:/[^/]+/(?:retry|fork|rerun))?|events)")
_AUTH = "/api/v1/auth/"
_CHEAP_AUTH = frozenset({f"{_AUTH}refresh", f"{_AUTH}sign-out"})


def class_of(scope: Scope) -> RouteClass:
    """Return the class of a request."""
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return RouteClass.READ
    path = scope["path"]
    if path.startswith(_AUTH) and path not in _CHEAP_AUTH:
        return RouteClass.SIGN_IN
    return RouteClass.RUN if _RUNS.fullmatch(path) else RouteClass.WRITE


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands with a limit after a request: how many are left, and for how many seconds that is so.

    None left over is no refusal; `refused` says whether this request was one too many.
    """

    route_class: RouteClass
    limit: int
    left: int
    seconds: int
    refused: bool = False

    def check(self) -> None:
        """Do nothing if the request may go on.

        Raises:
            TooMany: it was one too many.
        """
        if self.refused:
            raise TooMany(
                f"More than {self.limit} requests of this kind within {WINDOW_SECONDS} seconds; "
                f"wait {self.seconds} s and ask again.",
                retry_after_seconds=self.seconds,
            )

    def headers(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return the fields of the IETF draft on rate limits."""
        return (
            ("RateLimit-Policy", f'"{self.route_class}";q={self.limit};w={WINDOW_SECONDS}'),
            ("RateLimit", f'"{self.route_class}";r={self.left};t={self.seconds}'),
        )


class _Count:
    """Of one caller or address in one class: this window here and elsewhere, and the whole window before."""

    __slots__ = ("before", "elsewhere", "here", "told", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.here = self.told = self.elsewhere = self.before = 0

    def turn(self, window: int) -> None:
        self.before = self.here + self.elsewhere if window == self.window + 1 else 0
        self.window = window
        self.here = self.told = self.elsewhere = 0


class Rates:
    """The counts of one process. `share` keeps them in step with the other processes."""

    def __init__(self, limits: RateLimits, redis: Redis, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._factor = limits.address_factor
        self._limits: Mapping[RouteClass, int] = {
            RouteClass.READ: limits.reads * WINDOW_SECONDS,
            RouteClass.WRITE: limits.writes * WINDOW_SECONDS,
            RouteClass.RUN: limits.runs * WINDOW_SECONDS,
            RouteClass.SIGN_IN: limits.sign_ins * WINDOW_SECONDS,
        }
        self._counts: dict[str, _Count] = {}
        self._untold: dict[tuple[str, int], int] = {}
        self._something = asyncio.Event()
        self._heard = True

    def take_address(self, address: str, route_class: RouteClass) -> Standing:
        """Count a request from this address, unless it is one too many."""
        factor = 1 if route_class is RouteClass.SIGN_IN else self._factor
        return self._take(f"address:{address}", route_class, self._limits[route_class] * factor)

    def take_caller(self, caller: str, route_class: RouteClass) -> Standing:
        """Count a request of somebody who is known by now, a user or a key, unless it is one too many."""
        return self._take(f"caller:{caller}", route_class, self._limits[route_class])

    def _take(self, who: str, route_class: RouteClass, limit: int) -> Standing:
        whole, into = divmod(self._clock(), WINDOW_SECONDS)
        window, key = int(whole), f"{route_class}:{who}"
        count = self._count(key, window)
        used = count.here + count.elsewhere + count.before * (1 - into / WINDOW_SECONDS)
        seconds = max(1, math.ceil(WINDOW_SECONDS - into))
        if used >= limit:
            return Standing(route_class, limit, 0, seconds, refused=True)
        count.here += 1
        self._untold[key, window] = self._untold.get((key, window), 0) + 1
        self._something.set()
        return Standing(route_class, limit, max(0, int(limit - used - 1)), seconds)

    def _count(self, key: str, window: int) -> _Count:
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= MAX_TRACKED:
                self._make_room(window)
            count = self._counts[key] = _Count(window)
        elif count.window != window:
            count.turn(window)
        return count

    def _make_room(self, window: int) -> None:
        """Drop what counts no longer; where all of it does, a tenth of what has been here longest."""
        stale = [key for key, count in self._counts.items() if count.window < window - 1]
        for key in stale or list(self._counts)[: MAX_TRACKED // 10]:
            del self._counts[key]

    async def run(self) -> None:
        """Keep the counts in step with the other processes until cancelled."""
        while True:
            await self._something.wait()
            await asyncio.sleep(SHARE_SECONDS)
            self._something.clear()
            await self.share()

    async def share(self) -> None:
        """Tell Redis what was counted here since the last time, and learn what was counted everywhere."""
        untold, self._untold = self._untold, {}
        if not untold:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for (key, window), number in untold.items():
                    name = f"sparkops:rate:{window}:{key}"
                    pipe.incrby(name, number)
                    pipe.expire(name, 2 * WINDOW_SECONDS)
                totals = (await pipe.execute())[::2]
        except (RedisError, OSError) as error:
            if self._heard:
                log.warning("rates.redis_away", error=type(error).__name__)
            self._heard = False
            return
        self._heard = True
        for ((key, window), number), total in zip(untold.items(), totals, strict=True):
            count = self._counts.get(key)
            if count is not None and count.window == window:
                count.told += number
                count.elsewhere = max(0, int(total) - count.told)
