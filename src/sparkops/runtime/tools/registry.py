"""The built-in tools, by name."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from sparkops.core.errors import ConfigError
from sparkops.core.money import micros_from_usd
from sparkops.runtime.tools.base import Tool
from sparkops.runtime.tools.files import FILES_READ, FILES_WRITE
from sparkops.runtime.tools.noop import NOOP
from sparkops.runtime.tools.sql import sql_query
from sparkops.runtime.tools.sql_execute import sql_execute


def builtin_tools() -> dict[str, Tool]:
    """Return the built-in tools. A worker makes them once: those for SQL keep count of their connections."""
    return {tool.name: tool for tool in (NOOP, sql_query(), sql_execute(), FILES_READ, FILES_WRITE)}


def priced(tools: Mapping[str, Tool], prices: Mapping[str, Decimal]) -> dict[str, Tool]:
    """Return the tools at the prices that the settings state.

    Raises:
        ConfigError: a price is stated for what is no tool.
    """
    unknown = sorted(prices.keys() - tools.keys())
    if unknown:
        raise ConfigError(
            f"SPARKOPS_TOOL_PRICES names {unknown[0]}, which is no tool. Tools: {', '.join(sorted(tools))}."
        )
    return {
        name: replace(tool, price_micros=micros_from_usd(prices[name])) if name in prices else tool
        for name, tool in tools.items()
    }
