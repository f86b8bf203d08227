"""`noop`: does nothing, slowly if asked to. For trying a workflow's shape, and for measuring."""

import asyncio
from collections.abc import Mapping
from typing import Any

from sparkops.domains.effects.state import Capability, EffectClass
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult

MAX_DELAY_MS = 60_000


async def _run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    await asyncio.sleep(arguments.get("delay_ms", 0) / 1000)
    return ToolResult(dict(arguments))


NOOP = Tool(
    name="noop",
    description="Does nothing and returns its arguments, after delay_ms milliseconds.",
    parameters={
        "type": "object",
        "properties": {
            "delay_ms": {"type": "integer", "minimum": 0, "maximum": MAX_DELAY_MS, "description": "How long to wait."}
        },
        "additionalProperties": True,
    },
    effect_class=EffectClass.PURE,
    run=_run,
    local=True,
    capability=Capability.COMPUTE,
    takes_secrets=True,
)
