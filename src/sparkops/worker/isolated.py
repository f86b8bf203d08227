"""`python -m sparkops.worker.isolated`: runs isolated steps, a few together or one alone, for its parent.

It ends when there is none left, when it has run a few, or when its input ends, which means that its parent has ended.
"""

import argparse
import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Sequence
from uuid import UUID

import structlog
import uvloop

from sparkops.core import log as logs
from sparkops.core.config import Settings, load_settings
from sparkops.core.errors import ConfigError
from sparkops.engine.claim import Claim, claim_isolated
from sparkops.engine.context import Worker
from sparkops.messenger.app import make_app
from sparkops.runtime.attempt import Runtime
from sparkops.worker.app import open_runtime
from sparkops.worker.isolation import PARENT, SESSION
from sparkops.worker.loop import WorkerLoop, open_worker

log = structlog.get_logger()

COMPANY = 8
"""So many isolated steps run side by side, until they die so: one at a time, many bystanders would wait for long."""
STEPS = 50
"""A process ends after so many: what a step left behind in it cannot be held against too many others."""
ORPHAN_SECONDS = 3.0
"""What giving back may take when the parent is gone; then the process ends as it is."""


class IsolatedLoop(WorkerLoop):
    """Holds isolated steps: a few together, or one that must be alone. `run` returns without any, or after some."""

    def __init__(self, runtime: Runtime, worker: Worker, *, drain_seconds: float, steps: int = STEPS) -> None:
        super().__init__(runtime, worker, slots=COMPANY, drain_seconds=drain_seconds)
        self._left = steps

    def give_up(self) -> None:
        """Give back at once what is running."""
        self._drain_seconds = 0.0
        self.drain()

    async def _claim(self, room: int, full: Collection[UUID]) -> Sequence[Claim]:
        held = self._slots.all()
        if any(each.claim.alone for each in held):
            return []
        limit = min(room, self._left)
        claims = await claim_isolated(self._engine, self._worker, limit=limit, empty=not held) if limit else []
        self._left -= len(claims)
        if not claims and not held:
            self.drain()
        return claims

    def _room(self, ending: Sequence[UUID]) -> int:
        """None: what becomes ready is for ordinary workers."""
        return 0


async def work_alone(runtime: Runtime, session_id: UUID, parent_id: UUID, queues: Sequence[str]) -> None:
    """Run isolated steps until there is none, a signal asks to stop, or the input of this process ends."""
    worker = await open_worker(runtime.engine, session_id, queues, COMPANY, parent_id=parent_id)
    alone = IsolatedLoop(runtime, worker, drain_seconds=runtime.settings.drain_seconds)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, alone.drain)
    threading.Thread(target=_until_orphaned, args=(loop, alone), name="orphan", daemon=True).start()
    await alone.run()


def _until_orphaned(loop: asyncio.AbstractEventLoop, alone: IsolatedLoop) -> None:
    """Wait for the end of our input. A pipe works on every system, and however the parent has ended."""
    while os.read(0, 1):
        pass
    if loop.is_closed():
        return
    log.warning("isolated.orphaned")
    loop.call_soon_threadsafe(alone.give_up)
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)  # the step has frozen the loop, or the database does not answer


async def _main(settings: Settings, queues: Sequence[str]) -> None:
    app = make_app(settings.broker_url)
    async with open_runtime(settings, app, name="sparkops isolated") as runtime:
        await work_alone(runtime, UUID(os.environ[SESSION]), UUID(os.environ[PARENT]), queues)


def main() -> int:
    """Run the process; the exit code of a configuration that is not valid is 2."""
    parser = argparse.ArgumentParser(prog="python -m sparkops.worker.isolated")
    parser.add_argument("--queues", required=True)
    queues = parser.parse_args().queues.split(",")
    try:
        settings = load_settings()
        logs.configure(level=settings.log_level, fmt=settings.log_format, role="isolated")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_main(settings, queues))
    except ConfigError as error:
        print(error.detail, file=sys.stderr)  # noqa: T201 -- the one sentence for who started it
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
