"""Start and stop the embedded servers on a directory; say how they are confined and as whom PostgreSQL runs."""

import asyncio
import sys
from pathlib import Path

from sparkops.local.process import confinement
from sparkops.local.stack import EmbeddedServers


async def main() -> None:
    async with EmbeddedServers(Path(sys.argv[1])) as servers:
        status = Path(f"/proc/{servers.postgres.pid}/status").read_text()
        print(confinement(), status.partition("Uid:")[2].split()[0])


asyncio.run(main())
