"""The built-in tools, by name."""

from sparkops.runtime.tools.base import Tool
from sparkops.runtime.tools.files import FILES_READ, FILES_WRITE
from sparkops.runtime.tools.noop import NOOP
from sparkops.runtime.tools.sql import sql_query


def builtin_tools() -> dict[str, Tool]:
    """Return the built-in tools. A worker makes them once: `sql.query` keeps count of its connections."""
    return {tool.name: tool for tool in (NOOP, sql_query(), FILES_READ, FILES_WRITE)}
