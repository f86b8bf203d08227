"""A database outside of the platform, and a role that may write two of its tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import asyncpg
from sqlalchemy.engine import make_url

from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.db import Database
from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.local.stack import EmbeddedServers
from sparkops.runtime.outlook import Outlook
from sparkops.runtime.tools.base import ToolContext
from sparkops.runtime.tools.sql_execute import sql_execute

PASSWORD = "writer-of-accounts"
TABLES = """
CREATE TABLE accounts (id int PRIMARY KEY, owner text, balance numeric(10, 2), closed boolean DEFAULT false);
INSERT INTO accounts SELECT n, 'owner ' || n, n * 10, n % 2 = 0 FROM generate_series(1, 20) AS n;
CREATE TABLE transfers (id serial PRIMARY KEY, account int REFERENCES accounts (id) ON DELETE CASCADE, amount int);
INSERT INTO transfers (account, amount) SELECT n, 5 FROM generate_series(1, 20) AS n, generate_series(1, 3);
CREATE VIEW open_accounts AS SELECT * FROM accounts WHERE NOT closed;
CREATE TABLE seen (n int);
CREATE SEQUENCE tickets;
CREATE FUNCTION marks(n int) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER VOLATILE AS
  $$ BEGIN INSERT INTO seen VALUES (n); RETURN true; END $$;
CREATE FUNCTION marked() RETURNS SETOF int LANGUAGE sql VOLATILE AS $$ SELECT nextval('tickets')::int $$;
CREATE VIEW marked_accounts AS SELECT id FROM accounts WHERE marks(id);
"""
GRANTS = (
    "GRANT CONNECT ON DATABASE {db} TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, transfers, open_accounts TO {role}",
    "GRANT SELECT ON marked_accounts TO {role}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
)
STATE = """
SELECT (SELECT md5(string_agg(a::text, ',' ORDER BY id)) FROM accounts a) AS accounts,
       (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM transfers t) AS transfers,
       (SELECT count(*) FROM seen) AS seen,
       (SELECT last_value || is_called::text FROM transfers_id_seq) AS serial,
       (SELECT last_value || is_called::text FROM tickets) AS tickets
"""


class Bank:
    """One database of its own with a role that may write two of its tables."""

    def __init__(self, servers: EmbeddedServers, database: str, role: str) -> None:
        self.servers, self.database, self.role = servers, database, role
        self.tool = sql_execute()

    async def admin(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.servers.url("postgres", self.database))
        try:
            for statement in statements:
                await connection.execute(statement.format(role=self.role, db=self.database))
        finally:
            await connection.close()

    async def state(self) -> dict[str, Any]:
        """Everything that could have changed."""
        connection = await asyncpg.connect(self.servers.url("postgres", self.database))
        try:
            return dict(await connection.fetchrow(STATE))
        finally:
            await connection.close()

    async def value(self, sql: str) -> Any:
        connection = await asyncpg.connect(self.servers.url("postgres", self.database))
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    @property
    def url(self) -> str:
        url = make_url(self.servers.url(self.role, self.database)).set(password=PASSWORD)
        return url.render_as_string(hide_password=False)

    def context(self, **limits: Any) -> ToolContext:
        connection = {"url": self.url, "write": True, "projects": ["*"], **limits}
        settings = Settings.model_validate({"connections": {"bank": connection}})
        nothing = (cast(Database, None), cast(Blobs, None))
        return ToolContext(new_id(), new_id(), new_id(), new_id(), *nothing, settings)

    async def execute(self, sql: str, *parameters: Json, max_rows: int | None = None, **limits: Any) -> dict[str, Any]:
        result = await self.tool.run(arguments(sql, *parameters, max_rows=max_rows), self.context(**limits))
        return cast(dict[str, Any], result.output)

    async def preview(self, sql: str, *parameters: Json, **limits: Any) -> Outlook:
        assert self.tool.preview is not None
        return await self.tool.preview(arguments(sql, *parameters), self.context(**limits))


def arguments(sql: str, *parameters: Json, max_rows: int | None = None) -> dict[str, Any]:
    limit = {"max_rows": max_rows} if max_rows else {}
    return {"connection": "bank", "sql": sql, "parameters": list(parameters), **limit}


@asynccontextmanager
async def opened_bank(postgres_server: EmbeddedServers) -> AsyncIterator[Bank]:
    """A bank that is gone afterwards."""
    name, role = f"bank_{uuid4().hex[:8]}", f"teller_{uuid4().hex[:8]}"
    root = await asyncpg.connect(postgres_server.admin_url)
    await root.execute(f"CREATE DATABASE {name}")
    await root.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    for database in await root.fetch("SELECT quote_ident(datname) FROM pg_database"):
        await root.execute(f"REVOKE CONNECT ON DATABASE {database[0]} FROM PUBLIC")
        await root.execute(f"GRANT CONNECT ON DATABASE {database[0]} TO sparkops_app")
    made = Bank(postgres_server, name, role)
    await made.admin(TABLES.replace("{", "{{"), *GRANTS)
    yield made
    await root.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await root.execute(f"DROP ROLE {role}")
    await root.close()
