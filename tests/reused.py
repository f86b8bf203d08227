"""A database that is emptied after a test instead of being made anew for the next.

To clone one and to drop it takes a twentieth of a second of a processor; that the server's processes come to know its
tables and plan the statements of the engine takes more than twice as much, and connections that stay know them already.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self
from uuid import uuid4

import asyncpg

from sparkops.core.db import APP_ROLE, Database, open_database
from sparkops.local.postgres import OWNER_ROLE
from sparkops.local.stack import EmbeddedServers
from tests.lent import LentServers

TESTS_PER_DATABASE: Final = 200
"""What was deleted takes its place until then."""
APPLICATION: Final = "tests"
"""The connections of this name stay."""

_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.oid >= 16384 AND n.nspname !~ '^pg_' ORDER BY 1
"""
_SEQUENCES = """
SELECT format('SELECT setval(%L, %s, false)', format('%I.%I', schemaname, sequencename), start_value) FROM pg_sequences
"""
_CATALOGS = (
    *("pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_database", "pg_db_role_setting"),
    *("pg_default_acl", "pg_namespace", "pg_policy", "pg_proc", "pg_trigger"),
)
# lint: allow sql-text -- names of catalogs
_SCHEMA = " UNION ALL ".join(f"SELECT count(*), max(xmin::text::bigint) FROM {name}" for name in _CATALOGS)
"""Differs after every change of what is defined in this database and for it."""
_STRAYS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend'
   AND pid <> pg_backend_pid() AND application_name <> $1
"""
_LOCKED = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')"


@dataclass(frozen=True)
class Clone:
    """One test's own database, by the URLs of its two roles."""

    owner_url: str
    app_url: str


class Reused:
    """Makes the databases of a test process, one at a time, which has one test at a time."""

    def __init__(self, servers: EmbeddedServers | LentServers, template: str, admin: Any) -> None:
        self._servers = servers
        self._template = template
        self._admin = admin
        self._present: _Present | None = None

    async def lend(self) -> Clone:
        """Return a database that holds what the template holds."""
        if self._present is None:
            name = f"test_{uuid4().hex}"
            # Copying files takes half as long as writing ahead what is in them.
            await self._admin.execute(
                f"CREATE DATABASE {name} TEMPLATE {self._template} OWNER {OWNER_ROLE} STRATEGY file_copy"
            )
            clone = Clone(self._servers.url(OWNER_ROLE, name), self._servers.url(APP_ROLE, name))
            self._present = await _Present.open(name, clone, self._servers.admin_url)
        return self._present.clone

    async def opened(self) -> Database:
        """Return the database that was lent, open under the role of API and workers."""
        assert self._present is not None, "no database was lent"
        return await self._present.opened()

    @asynccontextmanager
    async def open(
        self, url: str, *, role: str | None = None, name: str = APPLICATION, pool_size: int = 8
    ) -> AsyncIterator[Database]:
        """Stand in for `open_database`: what was lent is open and stays so."""
        if self._present is not None and url == self._present.clone.app_url and role is None:
            yield await self.opened()
            return
        async with open_database(url, role=role, name=name, pool_size=pool_size) as database:
            yield database

    async def take_back(self) -> None:
        """See to it that nothing is left of the test that had the database."""
        assert self._present is not None, "no database was lent"
        if not await self._present.emptied():
            await self.close()

    async def close(self) -> None:
        """Drop the database, if there is one."""
        if self._present is not None:
            name, present, self._present = self._present.name, self._present, None
            await present.close()
            await self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


class _Present:
    """The database that is used at present."""

    def __init__(self, name: str, clone: Clone, inside: Any) -> None:
        self.name = name
        self.clone = clone
        self._inside = inside
        self._exit = AsyncExitStack()
        self._database: Database | None = None
        self._tests = 0

    @classmethod
    async def open(cls, name: str, clone: Clone, admin_url: str) -> Self:
        inside = await asyncpg.connect(admin_url, database=name, timeout=5)
        made = cls(name, clone, inside)
        await inside.execute("SET session_replication_role = replica")  # no trigger, no foreign key
        await made._learn()
        return made

    async def _learn(self) -> None:
        """Remember what is there before the first test."""
        self._schema = await self._inside.fetch(_SCHEMA)
        self._restarts = "; ".join(row[0] for row in await self._inside.fetch(_SEQUENCES))
        self._rows = {
            row["name"]: await self._inside.fetchval(f"SELECT json_agg(t)::text FROM {row['name']} t")
            for row in await self._inside.fetch(_TABLES)
        }
        self._changed = " UNION ALL ".join(_changed(name, rows) for name, rows in self._rows.items())

    async def opened(self) -> Database:
        if self._database is None:
            self._database = await self._exit.enter_async_context(open_database(self.clone.app_url, name=APPLICATION))
        return self._database

    async def emptied(self) -> bool:
        """Return whether it holds again what it held before the first test, and may be used once more."""
        self._tests += 1
        if self._tests >= TESTS_PER_DATABASE or self._inside.is_closed():
            return False
        if self._database is not None and not _idle(self._database):
            await self._close_database()
        await self._inside.fetch(_STRAYS, APPLICATION)
        if await self._inside.fetch(_SCHEMA) != self._schema or await self._inside.fetchval(_LOCKED):
            return False
        changed = [row["name"] for row in await self._inside.fetch(self._changed)]
        if changed:
            await self._inside.execute(";".join(map(self._restored, changed)) + ";" + self._restarts)
        return True

    def _restored(self, name: str) -> str:
        rows = self._rows[name]
        delete = f"DELETE FROM {name}"
        if rows is None:
            return delete
        # lint: allow sql-text -- what the template holds
        return f"{delete}; INSERT INTO {name} SELECT * FROM json_populate_recordset(NULL::{name}, {_quoted(rows)})"

    async def _close_database(self) -> None:
        self._database = None
        await self._exit.aclose()
        self._exit = AsyncExitStack()

    async def close(self) -> None:
        await self._close_database()
        await self._inside.close()


def _changed(name: str, rows: str | None) -> str:
    """Return the query that gives the name of a table if it does not hold what it held."""
    if rows is None:
        return f"SELECT '{name}' AS name WHERE EXISTS (SELECT FROM {name})"
    return f"SELECT '{name}' WHERE {_quoted(rows)} IS DISTINCT FROM (SELECT json_agg(t)::text FROM {name} t)"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _idle(database: Database) -> bool:
    """Return whether nobody holds one of its connections any more."""
    pools = [database.pool]
    engines = [database.engine] if "engine" in vars(database) else []
    if "walled" in vars(database):
        engines.append(database.walled.engine)
        pools.extend([database.walled._pool] if database.walled._pool is not None else [])
    return all(not pool.is_closing() and pool.get_idle_size() == pool.get_size() for pool in pools) and not any(
        engine.pool.checkedout()  # type: ignore[attr-defined]
        for engine in engines
    )
