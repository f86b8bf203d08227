"""`python -m sparkops.worker.backtester`: judges backtests for its parent, in a process of its own.

It ends a few seconds after the last backtest, or when its input ends, which means that its parent has ended. It steps
back for everything else that wants the processor.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time

import structlog
import uvloop

from sparkops.core import log as logs
from sparkops.core.config import Settings, load_settings
from sparkops.core.db import Database, open_database
from sparkops.core.errors import ConfigError
from sparkops.engine.backtests import claim_backtest
from sparkops.runtime.backtests import run_backtest

log = structlog.get_logger()

NICENESS = 5
CONNECTIONS = 2
LINGER_SECONDS = 15.0
"""Who has looked at one backtest often wants another; starting takes two seconds of a processor."""
LOOK_SECONDS = 0.5


async def judge_all(database: Database, stopping: asyncio.Event, *, linger_seconds: float = 0.0) -> int:
    """Judge backtests until none has waited for so long, or it is asked to stop. Returns how many it took."""
    judged = 0
    last = time.monotonic()
    while not stopping.is_set():
        taken = await claim_backtest(database)
        if taken is not None:
            judged += 1
            log.info("backtest.taken", backtest_id=str(taken.id))
            await run_backtest(database, taken, stopping=stopping.is_set)
            last = time.monotonic()
        elif time.monotonic() - last < linger_seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)
        else:
            break
    return judged


def _until_orphaned() -> None:
    """End with our parent. What was recorded stays, and the rest is judged when the lease has run out."""
    while os.read(0, 1):
        pass
    os._exit(1)


async def _main(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    threading.Thread(target=_until_orphaned, name="orphan", daemon=True).start()
    url, role = settings.app_login
    async with open_database(url, role=role, name="sparkops backtests", pool_size=CONNECTIONS) as database:
        await judge_all(database, stopping, linger_seconds=LINGER_SECONDS)


def main() -> int:
    """Run the process; the exit code of a configuration that is not valid is 2."""
    try:
        settings = load_settings()
        logs.configure(level=settings.log_level, fmt=settings.log_format, role="backtester")
        os.nice(NICENESS)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_main(settings))
    except ConfigError as error:
        print(error.detail, file=sys.stderr)  # noqa: T201 -- the one sentence for who started it
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
