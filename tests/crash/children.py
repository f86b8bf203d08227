"""What the child processes of these tests have in common: their runtime, and tools that misbehave."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.db import open_database
from sparkops.core.json import dumps, loads
from sparkops.core.payloads import Payloads
from sparkops.domains.effects.state import EffectClass
from sparkops.engine.context import Engine, SilentBell
from sparkops.runtime.attempt import Runtime
from sparkops.runtime.llm.registry import Models
from sparkops.runtime.policies import PolicyCache
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from sparkops.runtime.tools.registry import builtin_tools
from tests.engine.bulk import LARGE, making
from tests.engine.conftest import NoViewer
from tests.engine.sink import sending

CONNECTIONS = "connections.json"
"""A file in the data directory with the databases that tools may use."""


@dataclass(frozen=True)
class Given:
    """What a child is told on its command line, as JSON."""

    database: str
    session: UUID
    data_dir: Path
    sink: int

    def to_json(self) -> str:
        return dumps({name: str(value) for name, value in vars(self).items()}).decode()


def read(text: str) -> Given:
    data = loads(text)
    return Given(data["database"], UUID(data["session"]), Path(data["data_dir"]), int(data["sink"]))


async def _die(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    await asyncio.sleep(0.2)  # others are under way by then
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("this process is dead")


async def _nap(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    await asyncio.sleep(arguments["seconds"])
    return ToolResult({"slept": arguments["seconds"]})


DIE = Tool("die", "Kills its process.", {"type": "object"}, EffectClass.PURE, _die)
NAP = Tool("nap", "Sleeps.", {"type": "object"}, EffectClass.PURE, _nap)


@asynccontextmanager
async def opened(given: Given) -> AsyncIterator[Runtime]:
    connections = given.data_dir / CONNECTIONS
    settings = Settings.model_validate(
        {
            "data_dir": given.data_dir,
            "drain_seconds": 1,
            "connections": loads(connections.read_bytes()) if connections.exists() else {},
        }
    )
    send = sending(given.sink, EffectClass.IDEMPOTENT)
    tools = builtin_tools() | {"send": send, "die": DIE, "nap": NAP, "large": making([LARGE])}
    async with open_database(given.database, name="child") as database, Models(settings) as models:
        blobs = Blobs.in_directory(settings.blob_dir)
        engine = Engine(database, SilentBell(), payloads=Payloads(blobs))
        yield Runtime(engine, settings, blobs, models, tools, PolicyCache(database), NoViewer())
