"""Row-level security by direct SQL, under the role that sessions of the API have: each table, read and written."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from sparkops.core.db import API_ROLE, APP_ROLE, SIGHT_SETTING, Database
from sparkops.core.tenancy import INSTALLATION
from sparkops.migrations import runner
from sparkops.migrations.walls import policies_of
from tests.reused import Clone

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

OF_NO_PROJECT = {
    "account_links": "one-time links of people, found by what only their owner holds",
    "alembic_version": "which revision the tables have",
    "api_key_networks": "of keys, which belong to people; where a key reaches is `api_key_projects`",
    "api_keys": "of people, found by their owner or by what only their owner holds",
    "attempts": "how often somebody tried to sign in",
    "audit_seals": "of the audit trail of the installation: digests, and nothing of the lines",
    "audit_unsealed": "numbers of lines that have to be sealed",
    "challenges": "sign-ins that wait for a code, found by what only one browser holds",
    "chores": "what is done for the whole installation from time to time, and when",
    "idempotency_keys": "of principals, found by their own",
    "identities": "of people",
    "policy_stamps": "a number by scope, which says that rules have changed and not what",
    "recovery_codes": "of people",
    "second_factors": "of people",
    "sessions": "of people, found by what only their owner holds",
    "system": "the epoch of the installation",
    "unadvanced": "ids of runs that have to be looked at again",
    "worker_sessions": "processes",
}
"""Tables without a wall, each with the reason: what lies there belongs to no project. A new table without `project_id`
fails the test below until somebody has thought about it."""

A, B = UUID(int=0xA), UUID(int=0xB)

_TABLES = """
SELECT c.relname AS name, c.relrowsecurity AS walled, bool_or(a.attname = 'project_id' AND a.attnotnull) AS owned,
       bool_or(a.attname = 'project_id') AS has_project,
       has_table_privilege('sparkops_api', c.oid, 'UPDATE') AS updates,
       has_table_privilege('sparkops_api', c.oid, 'INSERT') AS inserts,
       has_table_privilege('sparkops_api', c.oid, 'DELETE') AS deletes
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
 GROUP BY c.oid, c.relname, c.relrowsecurity ORDER BY c.relname
"""
_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type FROM pg_attribute a
 WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef
   AND a.attidentity = ''
"""
_UNCHECK = """
DO $$ DECLARE r record; BEGIN
  FOR r IN SELECT conrelid::regclass AS rel, conname FROM pg_constraint
            WHERE contype = 'c' AND connamespace = 'public'::regnamespace AND conislocal LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', r.rel, r.conname);
  END LOOP;
  FOR r IN SELECT DISTINCT tgrelid::regclass AS rel FROM pg_trigger
            WHERE NOT tgisinternal AND tgparentid = 0 AND tgrelid IN (
              SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) LOOP
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', r.rel);
  END LOOP;
END $$
"""
_ANY_VALUE = {
    "uuid": "gen_random_uuid()",
    "text": "md5(random()::text)",
    "bigint": "(random() * 1e9)::bigint",
    "integer": "1",
    "smallint": "1",
    "double precision": "1",
    "boolean": "false",
    "jsonb": "'{}'::jsonb",
    "bytea": "sha256(random()::text::bytea)",
    "interval": "interval '1 s'",
    "timestamp with time zone": "clock_timestamp()",
    "character varying": "substr(md5(random()::text), 1, 30)",
    "inet": "'127.0.0.1'::inet",
}


@dataclass(frozen=True)
class Whose:
    """Two projects and the installation (None), each with a row in every table that may have one of theirs."""

    root: Connection
    policies: Mapping[UUID | None, UUID]

    def values(self, table: str, project: UUID | None) -> dict[str, str]:
        """What makes a row of this table one of this project."""
        if table == "projects":
            return {"id": f"'{project}'"}
        if table in ("policy_versions", "policy_publications"):
            return {"policy_id": f"'{self.policies[project]}'"}
        if table == "budgets":
            return {"project_id": _quoted(project), "scope": "'installation'"}
        if table == "policies":
            return {"project_id": _quoted(project), "id": f"'{self.policies[project]}'"}
        return {"project_id": _quoted(project)}

    async def insert(self, on: Connection, table: str, project: UUID | None) -> None:
        values = self.values(table, project)
        for column in await self.root.fetch(_COLUMNS, table):
            made = _ANY_VALUE["uuid"] if column["type"] == "uuid" else _ANY_VALUE.get(column["type"], "'{}'")
            values.setdefault(column["name"], made)
        names, marks = ", ".join(f'"{name}"' for name in values), ", ".join(values.values())
        await on.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})')

    def condition(self, table: str, project: UUID | None) -> str:
        """What finds the rows of a project in this table."""
        values = self.values(table, project)
        column = next(name for name in ("project_id", "policy_id", "id") if name in values)
        value = values[column]
        return f'"{column}" IS NOT DISTINCT FROM {value}'


def _quoted(project: UUID | None) -> str:
    return "NULL::uuid" if project is None else f"'{project}'::uuid"


@pytest.fixture
async def whose(clone: Clone, postgres_server: Any) -> AsyncIterator[Whose]:
    name = make_url(clone.owner_url).database
    url = make_url(postgres_server.admin_url).set(database=name).render_as_string(hide_password=False)
    root = await asyncpg.connect(url)
    try:
        await root.execute(_UNCHECK)
        await root.execute("SET session_replication_role = replica")  # no triggers and no foreign keys
        whose = Whose(root, {A: uuid4(), B: uuid4(), None: uuid4()})
        for table in await walled_tables(root):
            for project in (A, B):
                await whose.insert(root, table["name"], project)
            if may_be_nobodys(table):
                await whose.insert(root, table["name"], None)
        yield whose
    finally:
        await root.close()


async def walled_tables(root: Connection) -> list[asyncpg.Record]:
    return [table for table in await root.fetch(_TABLES) if table["walled"]]


def may_be_nobodys(table: asyncpg.Record) -> bool:
    return table["name"] != "projects" and not table["owned"]


@asynccontextmanager
async def acting(clone: Clone, sight: str | None, role: str = API_ROLE) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(clone.app_url, server_settings={"role": role})
    try:
        if sight is not None:
            await connection.execute(f"SELECT set_config('{SIGHT_SETTING}', $1, false)", sight)
        yield connection
    finally:
        await connection.close()


async def seen(on: Connection, whose: Whose, table: str) -> set[UUID | None]:
    """Whose rows of a table this connection sees."""
    projects = (A, B) if table == "projects" else (A, B, None)
    return {
        one
        for one in projects
        if await on.fetchval(f'SELECT count(*) FROM "{table}" WHERE {whose.condition(table, one)}')
    }


async def test_every_table_that_knows_whose_its_rows_are_has_a_wall(whose: Whose) -> None:
    tables = await whose.root.fetch(_TABLES)
    assert {table["name"] for table in tables if not table["walled"]} == set(OF_NO_PROJECT)
    assert not {table["name"] for table in tables if table["has_project"] and not table["walled"]}
    assert len(await walled_tables(whose.root)) > 30


async def test_a_project_is_shown_its_own_rows_and_what_holds_for_all(clone: Clone, whose: Whose) -> None:
    noted = {"audit", "security_events", "memberships", "outbox", "secrets", "secret_versions", "backtests"}
    async with acting(clone, f"{{{A}}}") as api:
        for table in await walled_tables(whose.root):
            shared = {None} if may_be_nobodys(table) and table["name"] not in noted else set()
            assert await seen(api, whose, table["name"]) == {A} | shared, table["name"]


async def test_an_administrator_is_shown_what_is_the_installations_and_no_other_project(
    clone: Clone, whose: Whose
) -> None:
    async with acting(clone, f"{{{INSTALLATION}}}") as api:
        for table in await walled_tables(whose.root):
            rest = {None} if may_be_nobodys(table) else set()
            everyone = {A, B} if table["name"] in ("memberships", "outbox") else set()
            assert await seen(api, whose, table["name"]) == rest | everyone, table["name"]


@pytest.mark.parametrize("sight", [None, "", "{}", "{00000000-0000-0000-0000-00000000000c}"])
async def test_where_nobody_has_said_what_may_be_seen_no_project_is(
    clone: Clone, whose: Whose, sight: str | None
) -> None:
    async with acting(clone, sight) as api:
        for table in await walled_tables(whose.root):
            assert await seen(api, whose, table["name"]) <= {None}, table["name"]


async def test_a_setting_that_is_no_list_of_projects_is_an_error(clone: Clone, whose: Whose) -> None:
    async with acting(clone, "everything") as api:
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await api.fetchval("SELECT count(*) FROM runs")


@pytest.mark.parametrize("sight", [f"{{{A}}}", "{}"])
async def test_rows_of_another_project_cannot_be_written(clone: Clone, whose: Whose, sight: str) -> None:
    tried = 0
    await whose.root.execute("SET session_replication_role = origin")
    async with acting(clone, sight) as api:
        for table in await walled_tables(whose.root):
            name, theirs = table["name"], whose.condition(table["name"], B)
            if table["inserts"]:
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                    await whose.insert(api, name, B)
                tried += 1
            column = next(iter(whose.values(name, B)))
            if table["updates"]:
                assert await api.execute(f'UPDATE "{name}" SET "{column}" = "{column}" WHERE {theirs}') == "UPDATE 0", (
                    name
                )
                tried += 1
            if table["updates"] and may_be_nobodys(table) and name != "users":  # people change what is their own
                shared = whose.condition(name, None)
                assert await api.execute(f'UPDATE "{name}" SET "{column}" = "{column}" WHERE {shared}') == "UPDATE 0", (
                    name
                )
                tried += 1
            if table["deletes"]:
                assert await api.execute(f'DELETE FROM "{name}" WHERE {theirs}') == "DELETE 0", name
    assert tried > 50


async def test_a_row_cannot_be_moved_into_another_project(clone: Clone, whose: Whose) -> None:
    async with acting(clone, f"{{{A}}}") as api:
        for table in await walled_tables(whose.root):
            if not (table["has_project"] and table["updates"]) or table["name"] == "outbox":
                continue  # entries of the outbox are changed by administrators alone
            # Without a WHERE: a statement that reads the rows would be refused because they could not be read after it.
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await api.execute(f'UPDATE "{table["name"]}" SET project_id = $1', B)


async def test_partitions_cannot_be_asked_past_their_table(clone: Clone, whose: Whose) -> None:
    async with acting(clone, f"{{{A}}}") as api:
        for partition in ("calls_default", "events_default", "step_attempts_default"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await api.fetchval(f"SELECT count(*) FROM {partition}")


async def test_the_engine_sees_every_project(clone: Clone, whose: Whose) -> None:
    async with acting(clone, None, APP_ROLE) as engine:
        for table in await walled_tables(whose.root):
            assert {A, B} <= await seen(engine, whose, table["name"]), table["name"]


async def test_the_role_of_the_api_may_do_no_more_than_that_of_the_engine(database: Database) -> None:
    rights = """SELECT array_agg(c.relname || ' ' || a.privilege_type ORDER BY c.relname, a.privilege_type)
                  FROM pg_class c, aclexplode(c.relacl) a
                 WHERE a.grantee = $1::regrole AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition"""
    assert await database.pool.fetchval(rights, API_ROLE) == await database.pool.fetchval(rights, APP_ROLE)
    assert not await database.pool.fetchval("SELECT pg_has_role($1, $2, 'MEMBER')", API_ROLE, APP_ROLE)


async def test_the_role_of_the_api_cannot_read_even_the_cipher_of_a_secret(clone: Clone, whose: Whose) -> None:
    async with acting(clone, f"{{{A}}}") as api:
        assert await api.fetchval("SELECT count(version) FROM secret_versions") == 1
        for column in ("ciphertext", "wrapped_key", "*"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await api.fetch(f"SELECT {column} FROM secret_versions")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.execute("UPDATE secret_versions SET kek_id = 'other'")
        await api.execute("UPDATE secrets SET description = 'other'")


async def test_the_role_of_the_api_cannot_read_even_the_cipher_of_a_second_factor(clone: Clone, whose: Whose) -> None:
    await whose.root.execute(
        "INSERT INTO second_factors (id, user_id, kek_id, wrapped_key, ciphertext) "
        "SELECT gen_random_uuid(), id, 'one', 'x', 'y' FROM users LIMIT 1"
    )
    async with acting(clone, f"{{{A}}}") as api:
        assert await api.fetchval("SELECT count(user_id) FROM second_factors") == 1
        for column in ("ciphertext", "wrapped_key", "*"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await api.fetch(f"SELECT {column} FROM second_factors")
        for change in ("kek_id = 'other'", "ciphertext = 'z'", "user_id = gen_random_uuid()"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await api.execute(f"UPDATE second_factors SET {change}")


async def test_walls_that_stand_are_not_touched_and_those_that_do_not_are_put_up(clone: Clone, whose: Whose) -> None:
    policies = "SELECT array_agg(oid ORDER BY oid) FROM pg_policy WHERE polrelid <> 'runs'::regclass"
    before = await whose.root.fetchval(policies)
    await whose.root.execute("DROP POLICY wall_all ON runs; REVOKE SELECT ON calls FROM sparkops_api")
    await whose.root.execute("GRANT DELETE ON runs TO sparkops_api")
    await runner.upgrade(clone.owner_url)
    assert await whose.root.fetchval(policies) == before
    async with acting(clone, f"{{{A}}}") as api:
        assert await seen(api, whose, "runs") == {A}
        assert await api.fetchval("SELECT count(*) FROM calls") == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.execute("DELETE FROM runs")


def test_a_table_is_behind_the_wall_because_of_its_column() -> None:
    assert policies_of("new_table", owned=None) is None
    owned, shared = policies_of("new_table", owned=True), policies_of("new_table", owned=False)
    assert set(owned or ()) == {"ALL"}
    assert shared is not None
    assert "IS NULL" in shared["SELECT"]
    assert "IS NULL" not in shared["INSERT"]
