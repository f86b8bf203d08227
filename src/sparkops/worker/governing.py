"""The worker's side of the queue `policy` beside backtests: what comes due by its time is seen to, again and again."""

import asyncio
import contextlib
import random
from typing import Final

import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import SparkOpsError
from sparkops.engine.context import Engine
from sparkops.engine.governing import DUTIES
from sparkops.worker.loop import JITTER

log = structlog.get_logger()

LOOK_SECONDS: Final = 1.0


class Governing:
    """A companion of the worker's loop. Nobody else closes, escalates or reminds of questions: where no worker has it,
    `sparkops doctor` says so."""

    def __init__(self, engine: Engine, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._engine = engine
        self._look_seconds = look_seconds

    async def run(self, draining: asyncio.Event) -> None:
        """Look until the worker drains."""
        while not draining.is_set():
            for act in DUTIES:
                try:
                    await act(self._engine)
                except (*LOST_CONNECTION, SparkOpsError) as error:
                    log.warning(f"{act.__name__}.failed", error=str(error) or type(error).__name__)
                except Exception:  # outermost: a worker whose governing has died would look alive and expire nothing
                    log.exception(f"{act.__name__}.broke")
            with contextlib.suppress(TimeoutError):
                pause = self._look_seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
                await asyncio.wait_for(draining.wait(), pause)
