"""A brake on guessing passwords: counts attempts in this process and in Redis, and refuses when either is over.

The count in the process holds when Redis is away; the one in Redis holds over several API processes.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sparkops.core.errors import TooMany

log = structlog.get_logger(__name__)

WINDOW_SECONDS = 300
PER_ACCOUNT = 10
PER_ADDRESS = 50
"""Many people may share an address; nobody mistypes fifty times in five minutes."""
_MAX_TRACKED = 50_000
"""Beyond it the oldest counts are dropped, so that memory is bounded whatever comes in."""


@dataclass(slots=True)
class _Count:
    until: float
    used: int = 0


class SignInThrottle:
    """Each attempt takes a place before the password is looked at, so that parallel ones count."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._clock = clock
        self._counts: dict[str, _Count] = {}

    async def take(self, *, email: str, address: str) -> None:
        """Count one attempt.

        Raises:
            TooMany: this account or this address has used its attempts for the window.
        """
        waits = [await self._take(key, limit) for key, limit in self._keys(email, address)]
        if any(waits):
            raise TooMany(
                "Too many attempts to sign in. Wait a few minutes and try again.", retry_after_seconds=max(waits)
            )

    async def give_back(self, *, email: str, address: str) -> None:
        """Forget the attempts on the account, and this one from the address: the password was right."""
        (account, _), (place, _) = self._keys(email, address)
        self._counts.pop(account, None)
        if count := self._counts.get(place):
            count.used -= 1
        try:
            await self._redis.delete(account)
            await self._redis.decr(place)
        except (RedisError, OSError):
            log.debug("throttle.redis_away")

    @staticmethod
    def _keys(email: str, address: str) -> tuple[tuple[str, int], tuple[str, int]]:
        account = hashlib.sha256(email.strip().lower().encode()).hexdigest()
        return (f"sparkops:signin:account:{account}", PER_ACCOUNT), (f"sparkops:signin:address:{address}", PER_ADDRESS)

    async def _take(self, key: str, limit: int) -> int:
        """Return 0 if there was room, else the seconds to wait."""
        here = self._take_here(key)
        used = max(here.used, await self._take_there(key))
        return 0 if used <= limit else max(1, round(here.until - self._clock()))

    def _take_here(self, key: str) -> _Count:
        now = self._clock()
        count = self._counts.get(key)
        if count is None or count.until <= now:
            self._counts.pop(key, None)
            if len(self._counts) >= _MAX_TRACKED:
                self._counts.pop(next(iter(self._counts)))
            count = self._counts[key] = _Count(now + WINDOW_SECONDS)
        count.used += 1
        return count

    async def _take_there(self, key: str) -> int:
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.incr(key)
                pipe.expire(key, WINDOW_SECONDS, nx=True)
                used, _ = await pipe.execute()
        except (RedisError, OSError):
            log.debug("throttle.redis_away")
            return 0
        return int(used)
