"""`python -m tests.local.canary_doors worker|api`: the real doors, with a tool that is careless with keys."""

import logging
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import structlog

from sparkops.api import __main__ as api_door
from sparkops.api.routes import projects
from sparkops.domains.effects.state import EffectClass
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from sparkops.runtime.tools.registry import builtin_tools
from sparkops.worker import __main__ as worker_door
from sparkops.worker import app as worker_app
from tests.engine.secretly import Shop, told

log = structlog.get_logger(__name__)


async def tell(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    """Log the key in every way there is, and answer with it."""
    key = str(arguments["key"])
    log.info("shop.asked", key=key, told=told(key))
    logging.getLogger("shop").error("asked with %s", key)
    try:
        raise RuntimeError(f"no answer to {key!r}")
    except RuntimeError:
        logging.getLogger("shop").exception("failed with %r", {"key": key})
    return ToolResult({"said": told(key)})


def tools() -> dict[str, Tool]:
    pay = Shop().tool
    says = Tool("shop.tell", "Tells.", pay.parameters, EffectClass.PURE, tell, takes_secrets=True)
    return builtin_tools() | {pay.name: pay, says.name: says}


def main() -> int:
    """Be the door that the first argument names."""
    worker_app.builtin_tools = tools  # type: ignore[attr-defined]  # it is imported there
    projects.builtin_tools = tools  # type: ignore[attr-defined]
    door: ModuleType = {"worker": worker_door, "api": api_door}[sys.argv.pop(1)]
    code: int = door.main()
    return code


if __name__ == "__main__":
    sys.exit(main())
