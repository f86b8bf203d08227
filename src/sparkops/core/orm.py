"""SQLAlchemy, for use cases and their tables. The hot transactions and the workers do without (`core/db.py`)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, ColumnElement, DateTime, MetaData, Text, cast, event, func
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from sparkops.core.db import SILENCE_SECONDS

_REFERS: Final = '$.**."$blob" ? (@.sha256 == $sha256)'


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


def async_url(url: str) -> str:
    """Return the SQLAlchemy form of a PostgreSQL URL, for the asyncpg driver."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def make_engine(url: str, server_settings: Mapping[str, str], pool_size: int) -> AsyncEngine:
    """Return a pool that opens its first connection when it is asked for one. JSON columns carry Python values."""
    engine = create_async_engine(
        async_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        connect_args={"server_settings": dict(server_settings), "timeout": 5, "command_timeout": SILENCE_SECONDS},
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def make_sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Return a factory of sessions whose rows can be read after a commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


def refers_to(column: InstrumentedAttribute[Any], sha256: str) -> ColumnElement[bool]:
    """Return the condition that the stored value of a row refers to this object in object storage."""
    return func.jsonb_path_exists(column, cast(_REFERS, JSONPATH), func.jsonb_build_object("sha256", sha256))


def _refuse_closed(
    connection: DBAPIConnection, _record: ConnectionPoolEntry, _checked_out: PoolProxiedConnection
) -> None:
    """Have a connection that has ended meanwhile replaced, as the bare pool does.

    The event loop has noticed the end. Asking the server instead, as `pool_pre_ping` does, is three round trips.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError
