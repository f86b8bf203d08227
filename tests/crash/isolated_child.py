"""The process for isolated steps with the tools of these tests: `python -m tests.crash.isolated_child JSON …`."""

import asyncio
import os
import sys
from uuid import UUID

from sparkops.worker.isolated import work_alone
from sparkops.worker.isolation import PARENT, SESSION
from tests.crash.children import Given, opened, read


async def main(given: Given) -> None:
    async with opened(given) as runtime:
        await work_alone(runtime, UUID(os.environ[SESSION]), UUID(os.environ[PARENT]), ["run"])


if __name__ == "__main__":
    asyncio.run(main(read(sys.argv[1])))
