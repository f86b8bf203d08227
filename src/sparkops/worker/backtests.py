"""The worker's side of the queue `policy`: keeps at most one process for backtests, and none while none waits."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from typing import Final

import structlog

from sparkops.core.db import LOST_CONNECTION, Database
from sparkops.engine.backtests import backtests_wait
from sparkops.worker.helper import Helper

log = structlog.get_logger()

COMMAND: Final = (sys.executable, "-m", "sparkops.worker.backtester")
LOOK_SECONDS = 5.0
"""A hint comes at once; looking makes a lost one harmless."""
WATCH_SECONDS = 0.1
MOST_REST_SECONDS = 60.0
GRACE_SECONDS = 1.5
"""What the process may take to give its backtest back: it looks up after every page."""


class Backtests:
    """Starts a process where a backtest waits. A companion of the worker's loop."""

    def __init__(self, database: Database, *, command: Sequence[str] = COMMAND) -> None:
        self._database = database
        self._command = command
        self._wake = asyncio.Event()
        self._rest = 0.0

    def wake(self) -> None:
        """Look now. Call it on the loop's own thread."""
        self._wake.set()

    async def run(self, draining: asyncio.Event) -> None:
        """Go on until the worker drains. No process of ours is left afterwards."""
        drained = asyncio.create_task(draining.wait())
        try:
            while not draining.is_set():
                self._wake.clear()
                try:
                    if await backtests_wait(self._database):
                        await self._run_process(draining)
                except LOST_CONNECTION as error:
                    log.warning("backtests.failed", error=str(error) or type(error).__name__)
                await self._pause(drained)
        finally:
            drained.cancel()

    async def _pause(self, drained: "asyncio.Task[bool]") -> None:
        woken = asyncio.create_task(self._wake.wait())
        if self._rest:  # a process that is broken from its start is not started over and over, whoever rings
            await asyncio.wait([drained], timeout=self._rest)
        await asyncio.wait([woken, drained], timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()

    async def _run_process(self, draining: asyncio.Event) -> None:
        helper = await Helper.start(self._command)
        log.info("backtests.started", pid=helper.pid)
        try:
            while helper.lives and not draining.is_set():
                await asyncio.sleep(WATCH_SECONDS)
            helper.send_signal(signal.SIGTERM)
            await helper.gone(GRACE_SECONDS)
        finally:
            code = await helper.end()
        self._rest = 0.0 if code == 0 or draining.is_set() else min(max(1.0, 2 * self._rest), MOST_REST_SECONDS)
        log.log(20 if code == 0 else 40, "backtests.ended", code=code)
