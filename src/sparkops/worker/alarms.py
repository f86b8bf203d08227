"""Times at which a process has to look for what is due; the sweep would be up to two seconds late."""

import asyncio
import contextlib
import heapq
from collections.abc import Awaitable, Callable
from datetime import timedelta

FARTHEST = timedelta(minutes=1)
"""What is due later is left to the sweep: what is kept here dies with the process."""
LATE_SECONDS = 0.002
"""Added to each time, so that the database agrees that it has come; also what close times are gathered by."""


class Alarms:
    """The earliest time counts; by then several may have come, which share one look."""

    def __init__(self, ring: Callable[[], Awaitable[None]]) -> None:
        self._ring = ring
        self._times: list[float] = []
        self._changed = asyncio.Event()

    def set(self, after: timedelta | None) -> None:
        """Ring after this long; None: never."""
        if after is not None and after <= FARTHEST:
            heapq.heappush(self._times, asyncio.get_running_loop().time() + after.total_seconds() + LATE_SECONDS)
            self._changed.set()

    async def run(self) -> None:
        """Ring at each time, until cancelled."""
        now = asyncio.get_running_loop().time
        while True:
            self._changed.clear()
            pause = max(self._times[0] - now(), 0) if self._times else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause)
                continue
            while self._times and self._times[0] <= now():
                heapq.heappop(self._times)
            await self._ring()
