"""What is done after the answer: so that nobody can tell from its time what there was to do."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from sparkops.api.tasks import stop

log = structlog.get_logger(__name__)

MAX_OPEN = 100
CLOSE_SECONDS = 5.0


class Errands:
    """The errands of one process: bounded in number, waited for at its end for a while."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, errand: Coroutine[Any, Any, None]) -> None:
        """Have something done, or not at all where too much is under way."""
        if len(self._tasks) >= MAX_OPEN:
            errand.close()
            log.warning("errands.too_many")
            return
        task = asyncio.create_task(errand)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def settled(self) -> None:
        """Return when nothing is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Give what is under way a few seconds, then end it."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=CLOSE_SECONDS)
        await stop(set(self._tasks))

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("errands.failed", exc_info=error)
