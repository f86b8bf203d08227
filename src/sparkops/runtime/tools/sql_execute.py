"""`sql.execute`: changes rows of one of the operator's PostgreSQL databases, and tells before what it would do.

One statement, one transaction. What changes more rows than the connection allows is rolled back. Until COMMIT is sent
nothing has happened, whatever goes wrong; from then on until its answer nobody knows, and it is never sent again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from sparkops.core.json import Json
from sparkops.domains.effects.state import Capability, EffectClass
from sparkops.runtime.effects import CallFailed, OutcomeUnknown
from sparkops.runtime.outlook import SECONDS, Outlook, Rows
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
from sparkops.runtime.tools.sql_outlook import outlook_on, plan_of
from sparkops.runtime.tools.sql_values import bounded_write, column_names, from_server, to_server

_FETCH = 100
_LOST = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError, OSError)


@dataclass(slots=True)
class _Sent:
    """Whether COMMIT has left."""

    commit: bool = False


class SqlExecute:
    """The tool, and what it keeps between calls."""

    def __init__(self) -> None:
        self._databases = Databases()

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Execute the statement and commit it; return how many rows it changed, and what it returns, under the
        connection's labels."""
        target = _writable(await target_of(arguments["connection"], context))
        labels = frozenset(target.settings.labels)
        limit = target.settings.statement_timeout_seconds + 2 * CONNECT_TIMEOUT_SECONDS
        until = time.monotonic() + limit if context.deadline is None else context.deadline
        sent = _Sent()
        try:
            async with asyncio.timeout(until - time.monotonic()), self._databases.places[target.name]:
                return ToolResult(await self._execute(target, arguments, sent), labels=labels)
        except CallFailed as failed:
            failed.labels = labels  # the server's words may quote what it holds
            raise
        except TimeoutError as error:
            if sent.commit:
                raise _nobody_knows(target) from error
            raise CallFailed("sql-timeout", took_too_long(target), retryable=True) from error

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Outlook:
        """Return what the statement would do, by planning it and counting rows where nothing can be written."""
        try:
            target = _writable(await target_of(arguments["connection"], context))
            async with self._databases.places[target.name]:
                return await self._look(target, arguments)
        except CallFailed as failed:
            why = f"As it stands it would fail. {failed.message}"
            return Outlook(f"Write to {arguments['connection']}", Rows(None, "unknown", why))

    async def _look(self, target: Target, arguments: Mapping[str, Any]) -> Outlook:
        seconds = min(SECONDS, target.settings.statement_timeout_seconds)
        async with self._open(target, seconds) as connection:
            await connection.execute("BEGIN TRANSACTION READ ONLY")
            try:
                outlook = await outlook_on(connection, arguments["sql"], arguments.get("parameters") or [])
            except asyncpg.ReadOnlySQLTransactionError:
                why = "A function in it writes, although it is declared not to; it was stopped, so nothing can be told."
                outlook = Outlook(f"Write to {target.name}", Rows(None, "unknown", why))
            await connection.execute("ROLLBACK")
            return outlook

    async def _execute(self, target: Target, arguments: Mapping[str, Any], sent: _Sent) -> dict[str, Json]:
        most = min(target.settings.max_rows, arguments.get("max_rows") or target.settings.max_rows)
        async with self._open(target) as connection:
            await connection.execute("BEGIN TRANSACTION READ WRITE")
            result = await _change(
                connection, arguments["sql"], arguments.get("parameters") or [], most, target.settings.max_bytes
            )
            sent.commit = True
            try:
                await connection.execute("COMMIT")
            except asyncpg.PostgresError as error:
                if error.severity_en == "ERROR":  # the answer to COMMIT: it was rolled back
                    raise
                raise _nobody_knows(target) from error
            except (asyncpg.InterfaceError, OSError) as error:
                raise _nobody_knows(target) from error
            return result

    @asynccontextmanager
    async def _open(self, target: Target, seconds: float | None = None) -> AsyncIterator[Postgres]:
        """Give a connection whose role has been checked, and put into words what the server says against its use."""
        connection = await connect(target, tool="sql.execute", seconds=seconds)
        try:
            await self._databases.check_role(connection, target, writes=True)
            yield connection
        except asyncpg.QueryCanceledError as error:
            raise CallFailed("sql-timeout", took_too_long(target), retryable=False) from error
        except _LOST as error:
            raise CallFailed("sql-connection-lost", f"The database {target.name} went away.", retryable=True) from error
        except asyncpg.PostgresError as error:
            raise CallFailed("sql-error", server_words(error), retryable=False) from error
        finally:
            connection.terminate()


def _writable(target: Target) -> Target:
    if not target.settings.write:
        raise CallFailed(
            "connection-read-only",
            f"The connection {target.name} may only be read. An operator sets write = true for it, with a role that "
            "may write the tables in question and nothing else; nothing was run.",
            retryable=False,
        )
    return target


async def _change(
    connection: Postgres, sql: str, parameters: Sequence[Json], most: int, max_bytes: int
) -> dict[str, Json]:
    """Execute the statement in the open transaction.

    Raises:
        CallFailed: it is not one write, or it changed more rows than `most`; the transaction is to be rolled back.
    """
    plan = await plan_of(connection, sql, parameters)
    statement = await connection.prepare(sql)
    attributes = statement.get_attributes()
    values = to_server(parameters, statement.get_parameters())
    rows: list[Json] = []
    truncated = False
    names = column_names([attribute.name for attribute in attributes])
    if attributes:
        types = [attribute.type.name for attribute in attributes]
        affected = 0
        cursor = await (await _bounded(connection, sql, types, max_bytes)).cursor(*values)
        while affected <= most and (records := await cursor.fetch(_FETCH)):
            affected += len(records)
            fitting = [record for record in records if record["fits"]]
            rows += [dict(zip(names, map(from_server, record, types), strict=True)) for record in fitting]
            truncated = truncated or len(fitting) < len(records)
    else:
        await statement.fetch(*values)
        affected = int(statement.get_statusmsg().rpartition(" ")[2])
    if affected > most:
        raise CallFailed(
            "sql-too-many-rows",
            f"The statement changes more than {most} rows, which is the most that it may; it was rolled back.",
            retryable=False,
        )
    return {
        "operation": plan.operation.lower(),
        "affected": affected,
        "columns": list(names),
        "rows": rows,
        "truncated": truncated,
    }


async def _bounded(connection: Postgres, sql: str, types: Sequence[str], max_bytes: int) -> Any:
    """Return the statement such that the server keeps back what it returns beyond the limit: a field may be enormous.

    It was prepared alone before, so it is whole and cannot reach out of its brackets.

    Raises:
        CallFailed: something follows the statement.
    """
    try:
        return await connection.prepare(bounded_write(sql, types, max_bytes))
    except asyncpg.PostgresSyntaxError:
        words = "Write one statement alone, with no comment after its semicolon."
        raise CallFailed("sql-error", words, retryable=False) from None


def _nobody_knows(target: Target) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"The database {target.name} did not answer to COMMIT: the rows may have been changed or not."
    )


PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "connection": {"type": "string", "minLength": 1, "maxLength": 100, "description": "The connection's name."},
        "sql": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_SQL_CHARS,
            "description": "One INSERT, UPDATE, DELETE or MERGE of one table; values as $1, $2, …",
        },
        "parameters": {
            "type": "array",
            "maxItems": MAX_PARAMETERS,
            "description": "The values of $1, $2, …; dates and times as ISO 8601 texts.",
        },
        "max_rows": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10_000,
            "description": "Roll back if more rows than this would change; the connection has a limit of its own.",
        },
    },
    "required": ["connection", "sql"],
    "additionalProperties": False,
}


def sql_execute() -> Tool:
    """Return the tool, with a memory of its own."""
    tool = SqlExecute()
    return Tool(
        name="sql.execute",
        description="Changes rows of one table of a PostgreSQL database by one INSERT, UPDATE, DELETE or MERGE with "
        "parameters, in one transaction. Returns how many rows were affected, and columns and rows of RETURNING.",
        parameters=PARAMETERS,
        effect_class=EffectClass.UNSAFE,
        run=tool.run,
        capability=Capability.OUTWARD,
        preview=tool.preview,
    )
