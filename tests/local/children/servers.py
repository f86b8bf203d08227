"""Start and stop the embedded servers on a directory; say how they are confined and as whom PostgreSQL runs."""

import asyncio
import sys
from pathlib import Path

from sparkops.local.process import confinement
from sparkops.local.stack import EmbeddedServers


def user_of(pid: int | None) -> str:
    return Path(f"/proc/{pid}/status").read_text().partition("Uid:")[2].split()[0]


async def main() -> None:
    async with EmbeddedServers(Path(sys.argv[1])) as servers:
        sys.stdout.write(f"{confinement()} {user_of(servers.postgres.pid)}\n")


asyncio.run(main())
