"""`sparkops up` with stand-ins for API and worker; released sessions are noted in a file. `forked`: as doors."""

import asyncio
import sys
from functools import partial
from pathlib import Path
from uuid import UUID

from sparkops.core.config import load_settings
from sparkops.core.db import Database
from sparkops.local.supervisor import Supervisor
from sparkops.local.up import run

HERE = Path(__file__).parent
ROLES = (sys.executable, "-m", "tests.local.children.roles")
settings = load_settings()
forked = sys.argv[1:] == ["forked"]


async def release(database: Database, session_id: UUID) -> None:
    assert await database.pool.fetchval("SELECT current_user") == "sparkops_app"
    with (settings.data_dir / "released").open("a") as file:
        file.write(f"{session_id}\n")


asyncio.run(
    run(
        settings,
        partial(
            Supervisor,
            api_command=(*ROLES, "api") if forked else (sys.executable, str(HERE / "api.py")),
            worker_command=(*ROLES, "worker") if forked else (sys.executable, str(HERE / "worker.py")),
            doors_command=ROLES,
            release=release,
        ),
    )
)
