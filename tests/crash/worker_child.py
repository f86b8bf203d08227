"""A real worker loop in a process of its own, to be killed: `python -m tests.crash.worker_child JSON [slots]`.

With a number of slots it also looks after isolated steps.
"""

import asyncio
import signal
import sys

from sparkops.worker.isolation import Isolation
from sparkops.worker.loop import WorkerLoop, open_worker
from tests.crash.children import Given, opened, read


async def main(given: Given, slots: int | None) -> None:
    async with opened(given) as runtime:
        worker = await open_worker(runtime.engine, given.session, ["run"], slots or 4)
        command = [sys.executable, "-m", "tests.crash.isolated_child", given.to_json()]
        isolation = Isolation(runtime.engine, worker, drain_seconds=1, command=command)
        loop = WorkerLoop(
            runtime, worker, slots=slots or 4, drain_seconds=1, companions=[isolation] if slots is not None else []
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, loop.drain)
        await loop.run()


if __name__ == "__main__":
    asyncio.run(main(read(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None))
