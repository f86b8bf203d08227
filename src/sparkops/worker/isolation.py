"""Steps that were there when two workers died run in a process of their own: this is its parent's side.

A few run in it together; those that were there when it died run in it alone, one after the other. Alone, only the
guilty one dies again, and is found out.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.ids import new_id
from sparkops.engine.claim import isolated_steps_wait
from sparkops.engine.context import Engine, Worker
from sparkops.engine.give_back import release_session
from sparkops.worker.helper import Helper

log = structlog.get_logger()

SESSION: Final = "SPARK_WORKER_SESSION"
"""Set by a parent, so that it can release the leases of a worker that it saw die."""
PARENT: Final = "SPARK_WORKER_PARENT"
"""The session of the worker that started this process."""
COMMAND: Final = (sys.executable, "-m", "sparkops.worker.isolated")

LOOK_SECONDS = 1.0
WATCH_SECONDS = 0.05
ASK_SECONDS = 2.0
START_SECONDS = 60.0
"""A process that has not registered by then hangs; importing takes about three seconds on a slow machine."""
MOST_REST_SECONDS = 60.0
GRACE_SECONDS = 1.5
"""What a process may take to end, beyond its grace for running steps."""

_SILENT = """
SELECT seen_at < clock_timestamp() - $2::interval FROM worker_sessions WHERE id = $1 AND ended_at IS NULL
"""


class Isolation:
    """Looks for isolated steps and keeps at most one process for them. A companion of the worker's loop."""

    def __init__(
        self, engine: Engine, worker: Worker, *, drain_seconds: float, command: Sequence[str] = COMMAND
    ) -> None:
        self._engine = engine
        self._worker = worker
        self._drain_seconds = drain_seconds
        self._command = command
        self._rest = 0.0

    async def run(self, draining: asyncio.Event) -> None:
        """Look about once a second until the worker drains. No process of ours is left afterwards."""
        while not draining.is_set():
            try:
                if await isolated_steps_wait(self._engine, self._worker):
                    await self._run_process(draining)
            except LOST_CONNECTION as error:
                log.warning("isolation.failed", error=str(error) or type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(draining.wait(), max(LOOK_SECONDS, self._rest))

    async def _run_process(self, draining: asyncio.Event) -> None:
        session_id = new_id()
        helper = await Helper.start(
            [*self._command, "--queues", ",".join(self._worker.queues)],
            {SESSION: str(session_id), PARENT: str(self._worker.session_id)},
        )
        log.info("isolation.started", session_id=str(session_id), pid=helper.pid)
        try:
            await self._watch(helper, session_id, draining)
        finally:
            code = await helper.end()
        # A process that is broken from its start must not be started over and over.
        self._rest = 0.0 if code == 0 else min(max(LOOK_SECONDS, 2 * self._rest), MOST_REST_SECONDS)
        log.log(_level(code), "isolation.ended", session_id=str(session_id), code=code)
        await release_session(self._engine, session_id, crashed=code != 0 and not draining.is_set())

    async def _watch(self, helper: Helper, session_id: UUID, draining: asyncio.Event) -> None:
        """Return when the process has ended, or when it has to be ended: it is silent, or we drain and it does not."""
        started = asked = time.monotonic()
        while helper.lives:
            if draining.is_set():
                helper.send_signal(signal.SIGTERM)
                await helper.gone(self._drain_seconds + GRACE_SECONDS)
                return
            now = time.monotonic()
            if now - asked > ASK_SECONDS:
                asked = now
                if await self._silent(session_id, now - started):
                    log.error("isolation.silent", session_id=str(session_id))
                    return
            await asyncio.sleep(WATCH_SECONDS)

    async def _silent(self, session_id: UUID, seconds: float) -> bool:
        """Say whether the process hangs: it gives no sign of life for two leases, or never gave one."""
        try:
            silent = await self._engine.database.pool.fetchval(_SILENT, session_id, 2 * self._engine.lease)
        except LOST_CONNECTION:
            return False
        return seconds > START_SECONDS if silent is None else bool(silent)


def _level(code: int) -> int:
    return 20 if code == 0 else 40
