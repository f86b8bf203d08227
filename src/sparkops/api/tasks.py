"""Ending tasks for certain."""

import asyncio
from collections.abc import Collection
from typing import Any

_AGAIN_SECONDS = 0.2


async def stop(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel tasks and return when they have ended.

    Before Python 3.12 `asyncio.wait_for`, which the drivers use, loses a cancellation that comes as its future is
    done; a task that did not hear is told again.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_AGAIN_SECONDS)
