"""A worker's upkeep in a process of its own, to be killed: `python -m tests.crash.upkeep_child JSON`."""

import asyncio
import sys
from datetime import timedelta

from sparkops.engine import removal
from sparkops.worker.upkeep import Upkeep
from tests.crash.children import Given, opened, read

removal.BATCH = 10  # type: ignore[misc]  # so that there are many


async def main(given: Given) -> None:
    async with opened(given) as runtime:
        upkeep = Upkeep(runtime.engine, runtime.blobs, grace=timedelta(hours=1), look_seconds=0.05)
        await upkeep.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(read(sys.argv[1])))
