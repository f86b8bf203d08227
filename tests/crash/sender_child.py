"""Sends one event from a process of its own, to be killed at a failpoint: `python -m tests.crash.sender_child`.

It takes one JSON argument: {database, project, user}.
"""

import asyncio
import sys
from uuid import UUID

from sparkops.core.db import open_database
from sparkops.core.json import loads
from sparkops.engine.context import Engine, SilentBell
from sparkops.engine.events import NewEvent, receive_event
from tests.engine.conftest import person_of


async def main(database_url: str, project: str, user: str) -> None:
    async with open_database(database_url, name="sender") as database:
        sender = person_of("ada", UUID(project), user_id=UUID(user))
        await receive_event(Engine(database, SilentBell()), sender, UUID(project), NewEvent("e-1", "paid", None))


if __name__ == "__main__":
    given = loads(sys.argv[1])
    asyncio.run(main(given["database"], given["project"], given["user"]))
