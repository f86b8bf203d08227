"""`sql.query`: reads one of the operator's PostgreSQL databases.

Three walls stand one behind the other: the role must not be able to write, to create or to go elsewhere (it is
asked, not believed); the transaction is read-only; and the connection carries one statement and is closed.
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from sparkops.core.json import Json, dumps
from sparkops.domains.effects.state import Capability, EffectClass
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from sparkops.runtime.tools.sql_database import (
    CONNECT_TIMEOUT_SECONDS,
    MAX_PARAMETERS,
    MAX_SQL_CHARS,
    Databases,
    Postgres,
    Target,
    connect,
    server_words,
    target_of,
    took_too_long,
)
from sparkops.runtime.tools.sql_values import bounded_sql, column_names, from_server, to_server

RESTART_SECONDS = 20.0
"""How long a database that is away is asked again: one that was killed needs some seconds to recover."""
_AWAY = frozenset({"connection-failed", "sql-connection-lost"})
_PAUSE_SECONDS = 0.25
_FETCH = 100
_TELLS_ONLY = re.compile(r"\s*(show|explain|insert|update|delete|merge)\b", re.IGNORECASE)
"""Statements that cannot stand in brackets: the first two give little, the others are refused by the server."""


class SqlQuery:
    """The tool, and what it keeps between calls."""

    def __init__(self, restart_seconds: float) -> None:
        self._restart_seconds = restart_seconds
        self._databases = Databases()

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run the statement and return columns and rows, cut at the connection's limits, under its labels."""
        target = await target_of(arguments["connection"], context)
        limit = target.settings.statement_timeout_seconds + 2 * CONNECT_TIMEOUT_SECONDS + self._restart_seconds
        until = time.monotonic() + limit if context.deadline is None else context.deadline
        try:
            async with asyncio.timeout(until - time.monotonic()):
                found = await self._query_patiently(target, arguments["sql"], arguments.get("parameters") or [])
                return ToolResult(found, labels=frozenset(target.settings.labels))
        except CallFailed as failed:
            failed.labels = frozenset(target.settings.labels)  # the server's words may quote what it holds
            raise
        except TimeoutError as error:
            raise CallFailed("sql-timeout", took_too_long(target), retryable=True) from error

    async def _query_patiently(self, target: Target, sql: str, parameters: Sequence[Json]) -> dict[str, Json]:
        """Ask again while the database restarts: a statement that only reads may be repeated, and an agent that is
        told of a restart can do nothing about it."""
        give_up = time.monotonic() + self._restart_seconds
        while True:
            try:
                async with self._databases.places[target.name]:
                    return await self._query(target, sql, parameters)
            except CallFailed as failed:
                if failed.code not in _AWAY or time.monotonic() >= give_up:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _query(self, target: Target, sql: str, parameters: Sequence[Json]) -> dict[str, Json]:
        connection = await connect(target, tool="sql.query")
        try:
            await self._databases.check_role(connection, target)
            async with connection.transaction(readonly=True):
                found = await _read(connection, target, sql, parameters)
            await connection.close(timeout=CONNECT_TIMEOUT_SECONDS)
            return found
        except asyncpg.QueryCanceledError as error:
            raise CallFailed("sql-timeout", took_too_long(target), retryable=False) from error
        except (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError) as error:
            raise CallFailed("sql-connection-lost", f"The database {target.name} went away.", retryable=True) from error
        except asyncpg.PostgresError as error:
            raise CallFailed("sql-error", server_words(error), retryable=False) from error
        except (asyncpg.InterfaceError, OSError) as error:
            raise CallFailed("sql-connection-lost", f"The database {target.name} went away.", retryable=True) from error
        finally:
            connection.terminate()


async def _read(connection: Postgres, target: Target, sql: str, parameters: Sequence[Json]) -> dict[str, Json]:
    statement = await connection.prepare(sql)
    attributes = statement.get_attributes()
    if not attributes:
        raise CallFailed(
            "sql-no-rows", "Only a statement that returns rows can be run, such as SELECT.", retryable=False
        )
    names = column_names([attribute.name for attribute in attributes])
    types = [attribute.type.name for attribute in attributes]
    bounded = not _TELLS_ONLY.match(sql)
    if bounded:
        statement = await _prepare_bounded(connection, sql, types, target.settings.max_bytes)
    cursor = await statement.cursor(*to_server(parameters, statement.get_parameters()))
    rows: list[Json] = []
    size = 0
    while records := await cursor.fetch(_FETCH):
        for record in records:
            if bounded and not record["fits"]:
                return _result(names, rows, truncated=True)
            row: dict[str, Json] = dict(zip(names, map(from_server, record, types), strict=True))
            size += len(dumps(row))
            if len(rows) == target.settings.max_rows or size > target.settings.max_bytes:
                return _result(names, rows, truncated=True)
            rows.append(row)
    return _result(names, rows, truncated=False)


async def _prepare_bounded(
    connection: Postgres, sql: str, types: Sequence[str], max_bytes: int
) -> "PreparedStatement[asyncpg.Record]":
    """Return the statement such that the server keeps back every row beyond the limit: a field may be enormous.

    See `bounded_sql`. The statement was prepared alone before, so it is whole and cannot reach out of its brackets.

    Raises:
        CallFailed: something follows the statement.
    """
    try:
        return await connection.prepare(bounded_sql(sql, types, max_bytes))
    except asyncpg.PostgresSyntaxError:
        raise CallFailed(
            "sql-error", "Write one SELECT alone, with no comment after its semicolon.", retryable=False
        ) from None


def _result(names: Sequence[str], rows: list[Json], *, truncated: bool) -> dict[str, Json]:
    return {"columns": list(names), "rows": rows, "row_count": len(rows), "truncated": truncated}


PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "connection": {"type": "string", "minLength": 1, "maxLength": 100, "description": "The connection's name."},
        "sql": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_SQL_CHARS,
            "description": "One statement that returns rows; values as $1, $2, …",
        },
        "parameters": {
            "type": "array",
            "maxItems": MAX_PARAMETERS,
            "description": "The values of $1, $2, …; dates and times as ISO 8601 texts.",
        },
    },
    "required": ["connection", "sql"],
    "additionalProperties": False,
}


def sql_query(restart_seconds: float = RESTART_SECONDS) -> Tool:
    """Return the tool, with a memory of its own. `restart_seconds`: how long a database that is away is waited for."""
    return Tool(
        name="sql.query",
        description="Reads a PostgreSQL database by one SQL statement. Returns columns, rows as objects, row_count, "
        "and whether the rows were truncated. Dates and times are ISO 8601 texts in UTC; exact numbers that a JSON "
        "number cannot hold are texts.",
        parameters=PARAMETERS,
        effect_class=EffectClass.PURE,
        run=SqlQuery(restart_seconds).run,
        capability=Capability.READ,
    )
