"""A relay for the log of events in a process of its own, to be killed: `python -m tests.crash.relay_child JSON`."""

import asyncio
import sys

from sparkops.core.config import Settings
from sparkops.worker.event_log import event_log
from sparkops.worker.loop import open_worker
from sparkops.worker.relay import Relay
from tests.crash.children import Given, opened, read


async def main(given: Given) -> None:
    async with opened(given) as runtime:
        worker = await open_worker(runtime.engine, given.session, ["run"], 1)
        settings = Settings(data_dir=given.data_dir, event_log="file")
        await Relay(runtime.engine, worker, await event_log(runtime.engine, settings)).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(read(sys.argv[1])))
