"""Connections to PostgreSQL: an ORM session factory for use cases, and a bare pool for the hot transactions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import BigInteger, DateTime, MetaData, Text, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from sparkops.core.errors import ConfigError

APP_ROLE = "sparkops_app"
"""May read and write rows, owns nothing: row-level security can be switched on for it."""

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

NO_ANSWER = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
)
"""The database went away, or is not there: nobody knows whether it still did what it was asked for. asyncpg's own
`InternalClientError` is what it says of a connection that the server ended while nobody was looking."""

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


class Base(DeclarativeBase):
    """The declarative base of every table; names of constraints are predictable so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads it as a class attribute
        UUID: PgUUID(as_uuid=True),
        str: Text(),
        int: BigInteger(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
        list[Any]: JSONB(none_as_null=True),
        Any: JSONB(none_as_null=True),
    }


@dataclass(frozen=True)
class Database:
    """One process's way to PostgreSQL. Both pools connect under the application role."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    pool: "asyncpg.Pool[asyncpg.Record]"

    @cached_property
    def reads(self) -> async_sessionmaker[AsyncSession]:
        """Sessions over the same pool for what only reads: without a transaction around the statements, which at this
        isolation would not see one moment either, and costs two round trips."""
        return async_sessionmaker(self.engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False)

    async def close(self) -> None:
        """Close both pools; running statements are given five seconds."""
        await self.engine.dispose()
        try:
            await asyncio.wait_for(self.pool.close(), timeout=5)
        except TimeoutError:
            self.pool.terminate()


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


def _refuse_closed(
    connection: DBAPIConnection, _record: ConnectionPoolEntry, _checked_out: PoolProxiedConnection
) -> None:
    """Have a connection that has ended meanwhile replaced, as the bare pool does.

    The event loop has noticed the end. Asking the server instead, as `pool_pre_ping` does, is three round trips.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def async_url(url: str) -> str:
    """Return the SQLAlchemy form of a PostgreSQL URL, for the asyncpg driver."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


@asynccontextmanager
async def open_database(
    url: str, *, role: str | None = None, name: str = "sparkops", pool_size: int = 8
) -> AsyncIterator[Database]:
    """Open both pools, hand them over, and close them at the end.

    `role` is taken on with every connection; None keeps the role of the URL. JSON columns carry Python values.

    Raises:
        OSError, asyncpg.PostgresError: the server cannot be reached or refuses the login.
    """
    settings = _server_settings(role=role, name=name)
    engine = create_async_engine(
        async_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        connect_args={"server_settings": settings | PLANNED_ONCE, "timeout": 5, "command_timeout": SILENCE_SECONDS},
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=pool_size,
        timeout=5,
        command_timeout=SILENCE_SECONDS,
        server_settings=settings | PLANNED_ONCE,
        init=_set_codecs,
        reset=_keep,
    )
    database = Database(engine, async_sessionmaker(engine, expire_on_commit=False), pool)
    try:
        yield database
    finally:
        await database.close()
