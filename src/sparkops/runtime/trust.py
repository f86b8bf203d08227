"""How long a worker may believe that it still holds a step, by its own monotonic clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from sparkops.core.db import NO_ANSWER
from sparkops.core.leases import MARGIN
from sparkops.engine.errors import Fenced

log = structlog.get_logger()
A = TypeVar("A")

RETRY_SECONDS = 0.3
"""Pause after the database did not answer."""


@dataclass(slots=True)
class Trust:
    """Renewed with every claim and heartbeat, from the moment at which the request for it was sent."""

    until: float

    @classmethod
    def since(cls, sent: float, lease_seconds: float) -> "Trust":
        return cls(sent + lease_seconds * (1 - MARGIN))

    def renew(self, sent: float, lease_seconds: float) -> None:
        """Extend the window after a heartbeat that was sent at this monotonic instant."""
        self.until = max(self.until, sent + lease_seconds * (1 - MARGIN))

    def holds(self) -> bool:
        """Say whether a call may still be started."""
        return time.monotonic() < self.until

    async def insist(self, act: Callable[[bool], Awaitable[A]]) -> A:
        """Write what is safe to repeat, again and again until the database answers. `act` is told whether it repeats.

        Raises:
            Fenced: the lease may have run out meanwhile.
        """
        again = False
        while True:
            try:
                return await act(again)
            except NO_ANSWER as error:
                if not self.holds():
                    raise Fenced("The lease ran out while the database did not answer.", where="trust") from error
                log.warning("database.no_answer", error=str(error) or type(error).__name__)
            again = True
            await asyncio.sleep(RETRY_SECONDS)
