"""Values that do not fit into a row, and tools that make them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparkops.core.json import Json
from sparkops.core.money import Micros
from sparkops.core.payloads import INLINE_BYTES
from sparkops.domains.effects.state import EffectClass
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from tests.engine.conftest import World

LARGE = "x" * INLINE_BYTES


def objects(world: World) -> list[Path]:
    """Return the files of the object storage."""
    return [path for path in world.settings.blob_dir.rglob("*") if path.is_file()]


def making(value: Json) -> Tool:
    """A tool that answers with this value and costs 2 micros."""

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return ToolResult(value, Micros(2))

    return Tool("large", "Makes it.", {"type": "object"}, EffectClass.PURE, run, bound_micros=Micros(5))


def echo(sent: list[Any], *, cost: int = 2) -> Tool:
    """A tool that answers with its argument, which it adds to the list, and costs so many micros."""

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        sent.append(arguments["value"])
        return ToolResult({"value": arguments["value"]}, Micros(cost))

    return Tool("echo", "Echoes.", {"type": "object"}, EffectClass.PURE, run, bound_micros=Micros(cost))


def broken() -> Tool:
    """A tool that fails for good."""

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        raise CallFailed("broken", "it is broken", retryable=False)

    return Tool("broken", "Fails.", {"type": "object"}, EffectClass.PURE, run)
