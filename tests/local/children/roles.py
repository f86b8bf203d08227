"""`python -m tests.local.children.roles FD`: a fork server of small parts; without a number, one of these parts."""

import asyncio
import json
import os
import random
import sys
import threading
import time
from pathlib import Path

from sparkops.core.forkserver.client import here
from sparkops.core.forkserver.server import serve
from sparkops.core.ids import new_id
from tests.local.children import api, worker

MODULE = "tests.local.children.roles"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def tell() -> int:
    """Say what this process is made of, and end with the code that the environment asks for."""
    told = {
        "arguments": sys.argv[1:],
        "environment": dict(os.environ),
        "input": sys.stdin.read(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "name": Path("/proc/self/comm").read_text().strip(),
        "leads": os.getsid(0) == os.getpid(),
        "random": random.random(),
        "id": str(new_id()),
    }
    say(json.dumps(told))
    return int(os.environ.get("CODE", "0"))


def sleep() -> int:
    say("asleep")
    time.sleep(600)
    return 0


async def order() -> int:
    """Order a process that sleeps, say its number, and sleep too."""
    server = here()
    assert server is not None
    ordered = await server.fork((sys.executable, "-m", MODULE, "sleep"), env={}, stdin=0)
    say(str(ordered.pid))
    return await ordered.ended()


def main() -> int:
    name = sys.argv.pop(1)
    if name == "order":
        return asyncio.run(order())
    return {"tell": tell, "sleep": sleep, "api": api.main, "worker": worker.main}[name]()


if __name__ == "__main__":
    if "--thread" in sys.argv:
        threading.Thread(target=sleep, daemon=True).start()
    sys.exit(serve(int(sys.argv[-1]), {MODULE: main}))
