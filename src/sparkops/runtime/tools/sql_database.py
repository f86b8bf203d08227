"""What the tools `sql.query` and `sql.execute` share: the operator's databases, and how one is reached.

A connection carries one call and is closed. Its role must not be able to do more than its settings say: it is asked,
not believed.
"""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg
from pydantic import SecretStr

from sparkops.core.config import Connection
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.tools.base import ToolContext
from sparkops.runtime.tools.sql_privileges import TOO_MUCH

CONNECTIONS_PER_PROCESS = 8
"""To one database. A worker may hold a hundred steps; the database need not hold a hundred connections for it."""
CHECK_LASTS_SECONDS = 60.0
CONNECT_TIMEOUT_SECONDS = 5.0
MAX_SQL_CHARS = 20_000
MAX_PARAMETERS = 100

Postgres: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Target:
    """A connection of the settings under its name."""

    name: str
    settings: Connection


class Databases:
    """What a process keeps of them between calls: places for connections, and which roles have been checked."""

    def __init__(self) -> None:
        self.places: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(CONNECTIONS_PER_PROCESS)
        )
        self._checked_at: dict[str, float] = {}

    async def check_role(self, connection: Postgres, target: Target, *, writes: bool = False) -> None:
        """Refuse a role that could do more than read, or with `writes` more than write tables, even if no statement
        could use it here.

        Asked again after a minute: somebody may grant what was not granted before.

        Raises:
            CallFailed: it could; nothing was run.
        """
        key = target.settings.url.get_secret_value()
        if time.monotonic() - self._checked_at.get(key, -CHECK_LASTS_SECONDS) < CHECK_LASTS_SECONDS:
            return
        excess = [str(row[0]) for row in await connection.fetch(TOO_MUCH, writes)]
        if excess:
            raise CallFailed(
                "connection-too-powerful",
                f"The role of the connection {target.name} may do more than {'write tables' if writes else 'read'}: "
                f"{'; '.join(excess)}. Use a role without these rights; nothing was run.",
                retryable=False,
            )
        self._checked_at[key] = time.monotonic()


async def target_of(name: str, context: ToolContext) -> Target:
    """Return the connection of this name, with its url.

    Raises:
        CallFailed: there is none that the run's project may reach, or its secret cannot be read.
    """
    reachable = context.settings.connections_of(context.project)
    found = reachable.get(name)
    if found is None:
        known = ", ".join(sorted(reachable)) or "none"
        raise CallFailed(
            "connection-unknown",
            f"There is no connection called {name} for this project (there are: {known}). An operator adds it under "
            "connections in the settings, with the project in its projects.",
            retryable=False,
        )
    url = await context.secrets.setting(found.url.get_secret_value())
    return Target(name, found.model_copy(update={"url": SecretStr(url)}))


async def connect(target: Target, *, tool: str, seconds: float | None = None) -> Postgres:
    """Return a connection of its own. `seconds`: how long a statement may take; None: as the settings say.

    Raises:
        CallFailed: nothing was sent but a login.
    """
    milliseconds = str(round((seconds or target.settings.statement_timeout_seconds) * 1000))
    session = {
        "application_name": f"sparkops {tool}",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        "timezone": "UTC",
        "standard_conforming_strings": "on",
    }
    try:
        # lint: allow outgoing -- the address is an operator's, from the settings
        return await asyncpg.connect(
            target.settings.url.get_secret_value(),
            timeout=CONNECT_TIMEOUT_SECONDS,
            server_settings=session,
            statement_cache_size=0,
        )
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise CallFailed(
            "connection-refused",
            f"The database {target.name} refused the login; check the url of connections.{target.name}.",
            retryable=False,
        ) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
        raise CallFailed(
            "connection-failed",
            f"The database {target.name} cannot be reached; check that it runs, and the url of "
            f"connections.{target.name}.",
            retryable=True,
        ) from error


def took_too_long(target: Target) -> str:
    """Return what is said of a statement that was stopped."""
    seconds = target.settings.statement_timeout_seconds
    return f"The statement took longer than the {seconds:g} s that {target.name} allows. Touch less, or use an index."


def server_words(error: asyncpg.PostgresError) -> str:
    """Return what the server said, as far as it helps to write a better statement."""
    if "multiple commands" in str(error):
        return "Only one statement can be run at a time."
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
        return "The database may only be read here."
    parts = [f"The database said: {error.message or error}."]
    parts += [f"Hint: {error.hint}"] if error.hint else []
    parts += [f"At character {error.position}."] if error.position else []
    return " ".join(parts)
