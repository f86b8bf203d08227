"""Connections to PostgreSQL: a bare pool for the hot transactions, and sessions for use cases (`core/orm.py`)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg
import orjson

from sparkops.core.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    from sparkops.core.tenancy import Walled

APP_ROLE = "sparkops_app"
"""May read and write rows of every project, owns nothing: the engine and the workers."""

API_ROLE = "sparkops_api"
"""May do what `APP_ROLE` may, but only with rows of the projects that `SIGHT_SETTING` lists: sessions that act for one
person (`migrations/walls.py`)."""

SIGHT_SETTING = "sparkops.projects"
"""The setting of a connection that lists what it may see: `core/tenancy.py` says how."""

PLANNED_ONCE = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
}
"""For statements that reach few rows by an index, whatever their arguments: planning them anew each time took a fifth
of the time of a hot transaction. A plan that is kept must not be one for a table that was empty when it was made, which
reads the whole of it: so every row is looked up by an index, one after the other."""

PLANNED_FOR_MANY = "SET LOCAL plan_cache_mode = auto; " + "; ".join(
    f"SET LOCAL {name} = on" for name in PLANNED_ONCE if name.startswith("enable_")
)
"""Takes that back within a transaction whose statements look at whole tables."""

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    TimeoutError,
)
"""The database went away, is not there, or does not answer in time. asyncpg's own `InternalClientError` is what it says
of a connection that the server ended while nobody was looking."""

NO_ANSWER = (*AWAY, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
"""It went away, is not there, or is too busy: nobody knows whether it still did what it was asked for."""

LOST_CONNECTION = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""The database did not do what it was asked for, whatever the reason."""

FORGETFUL = """
SELECT name AS subject, reset_val AS setting FROM pg_settings
 WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND reset_val = 'off' ORDER BY name
"""
"""Lists by which of its settings a server may lose what it has confirmed."""

STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 2_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 5_000

SILENCE_SECONDS = 10.0
"""A server that is there answers sooner, if only that a statement took too long; beyond this the line is dead, which
nothing else would tell a worker whose heartbeat goes over another one."""


class Statements(Protocol):
    """What executes statements: a connection within a transaction, a pool, or what sees the rows of some projects."""

    async def fetchval(self, query: str, *args: object) -> Any: ...

    async def fetchrow(self, query: str, *args: object) -> Any: ...

    async def fetch(self, query: str, *args: object) -> list[Any]: ...


@dataclass(frozen=True)
class Login:
    """How to open another connection like those of the pool."""

    url: str
    server_settings: Mapping[str, str]
    pool_size: int


@dataclass(frozen=True)
class Database:
    """One process's way to PostgreSQL. All pools but `walled` connect under the application role.

    SQLAlchemy is imported when a session is first wanted: workers do without it, and start sooner and smaller.
    """

    pool: "asyncpg.Pool[asyncpg.Record]"
    login: Login

    @cached_property
    def engine(self) -> "AsyncEngine":
        """The pool behind the sessions."""
        from sparkops.core.orm import make_engine  # noqa: PLC0415 -- see above

        return make_engine(self.login.url, self.login.server_settings, self.login.pool_size)

    @cached_property
    def sessions(self) -> "async_sessionmaker[AsyncSession]":
        """Sessions for use cases, each in a transaction."""
        from sparkops.core.orm import make_sessions  # noqa: PLC0415 -- see above

        return make_sessions(self.engine)

    @cached_property
    def reads(self) -> "async_sessionmaker[AsyncSession]":
        """Sessions over the same pool for what only reads: without a transaction around the statements, which at this
        isolation would not see one moment either, and costs two round trips."""
        from sparkops.core.orm import make_sessions  # noqa: PLC0415 -- see above

        return make_sessions(self.engine.execution_options(isolation_level="AUTOCOMMIT"))

    @cached_property
    def walled(self) -> "Walled":
        """Sessions that see the rows of some projects only, whatever their statements say."""
        from sparkops.core.tenancy import Walled  # noqa: PLC0415 -- see above

        return Walled(self.login)

    async def close(self) -> None:
        """Close both pools; running statements are given five seconds."""
        if "engine" in vars(self):
            await self.engine.dispose()
        if "walled" in vars(self):
            await self.walled.close()
        await close_pool(self.pool)


async def close_pool(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Close a pool; running statements are given five seconds."""
    try:
        await asyncio.wait_for(pool.close(), timeout=5)
    except TimeoutError:
        pool.terminate()


async def check_durable(url: str) -> None:
    """Do nothing if the server keeps what it confirms; nor if it cannot be asked, which whoever opens it finds out.

    Raises:
        ConfigError: it does not, by its settings or by those of this database or role.
    """
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError):
        return
    try:
        names = [row["subject"] for row in await connection.fetch(FORGETFUL)]
    finally:
        await connection.close()
    if names:
        raise ConfigError(
            f"PostgreSQL runs with {' and '.join(names)} off and may lose what it has confirmed; turn it on. "
            "For data that nobody keeps, set SPARKOPS_REQUIRE_DURABLE=false."
        )


def _server_settings(*, role: str | None, name: str) -> dict[str, str]:
    settings = {
        "application_name": name,
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "jit": "off",
        "timezone": "UTC",
    }
    return settings | ({"role": role} if role else {})


async def _set_codecs(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )


async def _keep(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Leave a connection as it is when it returns to the pool: nothing here changes a session's state.

    The driver has rolled back what was open; its own reset would cost every statement a second round trip.
    """


async def open_pool(
    login: Login, connection_class: "type[asyncpg.Connection[asyncpg.Record]]" = asyncpg.Connection
) -> "asyncpg.Pool[asyncpg.Record]":
    """Open a pool whose connections are logged in like this.

    Raises:
        OSError, asyncpg.PostgresError: the server cannot be reached or refuses the login.
    """
    return await asyncpg.create_pool(
        login.url,
        min_size=1,
        max_size=login.pool_size,
        timeout=5,
        command_timeout=SILENCE_SECONDS,
        server_settings=dict(login.server_settings),
        init=_set_codecs,
        reset=_keep,
        connection_class=connection_class,
    )


@asynccontextmanager
async def open_database(
    url: str, *, role: str | None = None, name: str = "sparkops", pool_size: int = 8
) -> AsyncIterator[Database]:
    """Open both pools, hand them over, and close them at the end.

    `role` is taken on with every connection; None keeps the role of the URL. JSON columns carry Python values.

    Raises:
        OSError, asyncpg.PostgresError: the server cannot be reached or refuses the login.
    """
    login = Login(url, _server_settings(role=role, name=name) | PLANNED_ONCE, pool_size)
    database = Database(await open_pool(login), login)
    try:
        yield database
    finally:
        await database.close()
