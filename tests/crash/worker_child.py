"""A real worker loop in a process of its own, to be killed at a failpoint: `python -m tests.crash.worker_child`.

It takes one JSON argument: {database, session, data_dir, sink}.
"""

import asyncio
import sys
from pathlib import Path
from uuid import UUID

from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.db import open_database
from sparkops.core.json import loads
from sparkops.core.payloads import Payloads
from sparkops.domains.effects.state import EffectClass
from sparkops.engine.context import Engine, SilentBell
from sparkops.runtime.attempt import Runtime
from sparkops.runtime.llm.registry import Models
from sparkops.runtime.policies import PolicyCache
from sparkops.runtime.tools.registry import builtin_tools
from sparkops.worker.loop import WorkerLoop, open_worker
from tests.engine.bulk import LARGE, making
from tests.engine.conftest import NoViewer
from tests.engine.sink import sending


async def main(database_url: str, session: str, data_dir: str, sink: str) -> None:
    settings = Settings(data_dir=Path(data_dir))
    tools = builtin_tools() | {"send": sending(int(sink), EffectClass.IDEMPOTENT), "large": making([LARGE])}
    async with open_database(database_url, name="child") as database, Models(settings) as models:
        blobs = Blobs.in_directory(settings.blob_dir)
        engine = Engine(database, SilentBell(), payloads=Payloads(blobs))
        runtime = Runtime(engine, settings, blobs, models, tools, PolicyCache(database), NoViewer())
        worker = await open_worker(engine, UUID(session), ["run"], 4)
        await WorkerLoop(runtime, worker, slots=4, drain_seconds=1).run()


if __name__ == "__main__":
    given = loads(sys.argv[1])
    asyncio.run(main(given["database"], given["session"], given["data_dir"], given["sink"]))
