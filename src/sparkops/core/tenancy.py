"""The two walls between projects: the condition that every query on project-owned rows carries, and sessions to which
the database shows no other rows, should a query ever lack it (ADR 18)."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final, Literal
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, ColumnElement, Connection, any_, event, func, literal, select
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import InstrumentedAttribute, Session, SessionTransaction

from sparkops.core.db import API_ROLE, SIGHT_SETTING, Login, close_pool, open_pool
from sparkops.core.orm import make_engine
from sparkops.core.principal import Principal

INSTALLATION: Final = UUID(int=0)
"""Stands for what belongs to no project, in the sight of administrators."""
_SIGHT: Final = "sight"
_SHOW: Final = f"SELECT set_config('{SIGHT_SETTING}', $1, $2)"


def visible_to(
    principal: Principal, project_id: InstrumentedAttribute[UUID] | InstrumentedAttribute[UUID | None]
) -> ColumnElement[bool]:
    """Return the condition that the principal may see the row's project; put it into the same statement."""
    return project_id == any_(literal(list(principal.places), ARRAY(PgUUID(as_uuid=True))))


def seen_by(principal: Principal) -> list[UUID]:
    """Return the projects that the principal may see, for an administrator with what is the installation's."""
    return [*principal.places, *([INSTALLATION] if principal.is_admin else [])]


def sight_of(principal: Principal | None) -> str:
    """Return what a session of this principal may see, as the setting says it; None: nobody has signed in."""
    return _sight(() if principal is None else seen_by(principal))


def _sight(projects: Collection[UUID]) -> str:
    return "{" + ",".join(sorted(str(one) for one in projects)) + "}"


class _Shown(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types of its own
    """A connection that remembers what it may see."""

    _sight: str | None = None

    async def show(self, sight: str) -> None:
        """Tell the server what may be seen over this connection, unless it knows (`_show` says how that is safe)."""
        if self._sight != sight:
            self._sight = None
            await self.execute(_SHOW, sight, False)
            self._sight = sight


class Rows:
    """Statements over connections of the API's role, one each, shown what one principal may see."""

    def __init__(self, walled: "Walled", sight: str) -> None:
        self._walled = walled
        self._sight = sight

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"]:
        async with (await self._walled.pool()).acquire() as connection:
            await connection.show(self._sight)
            yield connection

    async def fetchval(self, query: str, *args: object) -> Any:
        """Return the first value of the first row, None where there is none."""
        async with self._connection() as connection:
            return await connection.fetchval(query, *args)

    async def fetchrow(self, query: str, *args: object) -> Any:
        """Return the first row, None where there is none."""
        async with self._connection() as connection:
            return await connection.fetchrow(query, *args)

    async def fetch(self, query: str, *args: object) -> list[Any]:
        """Return all rows."""
        async with self._connection() as connection:
            rows: list[Any] = await connection.fetch(query, *args)
            return rows


class Walled:
    """Sessions and statements over pools of their own, under the role of the API. Each is shown what one principal
    may see."""

    def __init__(self, login: Login) -> None:
        self._login = Login(login.url, {**login.server_settings, "role": API_ROLE}, login.pool_size)
        self.engine = make_engine(self._login.url, self._login.server_settings, login.pool_size)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()
        self._writing = _sessions(self.engine)
        self._reading = _sessions(self.engine.execution_options(isolation_level="AUTOCOMMIT"))

    @asynccontextmanager
    async def begin(self, sight: str, mode: Literal["write", "read"]) -> AsyncIterator[AsyncSession]:
        """Open a session: one transaction to `write`, or, to `read`, none around the statements."""
        make = self._writing if mode == "write" else self._reading
        async with make(info={_SIGHT: sight}) as session, session.begin():
            yield session

    def rows(self, sight: str) -> Rows:
        """Return what executes single statements, without SQLAlchemy's share of the time."""
        return Rows(self, sight)

    async def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """Return the pool of `rows`, opened when it is first asked for."""
        async with self._opening:
            if self._pool is None:
                self._pool = await open_pool(self._login, _Shown)
            return self._pool

    async def close(self) -> None:
        """Close the pools."""
        await self.engine.dispose()
        if self._pool is not None:
            await close_pool(self._pool)


async def show_also(session: AsyncSession, project_id: UUID) -> None:
    """Let a session see a project that is being made in its transaction, until its end."""
    seen = session.info.get(_SIGHT, _sight(())).strip("{}")
    session.info[_SIGHT] = _sight({*(UUID(one) for one in seen.split(",") if one), project_id})
    await session.execute(select(func.set_config(SIGHT_SETTING, session.info[_SIGHT], True)))


class _WalledSession(Session):
    """A session whose `info` says what may be seen."""


def _sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, expire_on_commit=False, sync_session_class=_WalledSession)


@event.listens_for(_WalledSession, "after_begin")
def _show(session: Session, _: SessionTransaction, connection: Connection) -> None:
    """Tell a connection what may be seen over it, unless it knows.

    A transaction is told for itself alone, so that its end takes that back, whatever becomes of it. Outside of one it
    lasts, and is remembered: mostly the next request over a connection is of somebody who may see the same. It is
    forgotten first: of a statement that was given up nobody knows whether it was executed.
    """
    sight = session.info[_SIGHT]
    if connection.info.get(_SIGHT) == sight:
        return
    lasts = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
    if lasts:
        connection.info.pop(_SIGHT, None)
    connection.exec_driver_sql(_SHOW, (sight, not lasts)).close()
    if lasts:
        connection.info[_SIGHT] = sight
