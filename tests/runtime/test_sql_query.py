"""`sql.query` on a real PostgreSQL, under roles that may more or less."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, cast
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.db import Database
from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.core.schemas import schema_errors
from sparkops.local.stack import EmbeddedServers
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.tools.base import ToolContext
from sparkops.runtime.tools.sql import PARAMETERS, sql_query
from sparkops.runtime.tools.sql_execute import sql_execute

PASSWORD = "reader"
TABLE = """
CREATE TABLE weather (day date PRIMARY KEY, rain numeric(6, 2), sun float8, note text, extra jsonb, tags text[]);
INSERT INTO weather VALUES
    ('2014-01-01', 12.50, 0.5, 'wet', '{"a": [1]}', '{x,y}'),
    ('2014-01-02', 0, 'NaN', NULL, NULL, '{}');
CREATE TABLE ledger (id int);
"""


class Readers:
    """One database of its own, and roles to read it with."""

    def __init__(self, servers: EmbeddedServers, database: str) -> None:
        self.servers, self.database = servers, database
        self._tool = sql_query()

    async def admin(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.servers.url("postgres", self.database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def role(self, *grants: str) -> str:
        """Make a login that may read `weather`, and whatever else the grants say (`{}` is the role)."""
        name = f"reader_{uuid4().hex[:8]}"
        basic = ("GRANT CONNECT ON DATABASE {db} TO {}", "GRANT SELECT ON weather TO {}")
        await self.admin(
            f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'",
            *(grant.format(name, db=self.database) for grant in (*basic, *grants)),
        )
        return name

    async def query(self, role: str, sql: str, *parameters: Json, **limits: Any) -> dict[str, Any]:
        url = make_url(self.servers.url(role, self.database)).set(password=PASSWORD)
        connection = {"url": url.render_as_string(hide_password=False), "projects": ["*"], **limits}
        settings = Settings.model_validate({"connections": {"weather": connection}})
        arguments = {"connection": "weather", "sql": sql, "parameters": list(parameters)}
        result = await self._tool.run(arguments, context(settings))
        return cast(dict[str, Any], result.output)


def context(settings: Settings, project: str = "elsewhere") -> ToolContext:
    nothing = (cast(Database, None), cast(Blobs, None))
    return ToolContext(new_id(), new_id(), new_id(), new_id(), *nothing, settings, project=project)


@pytest.fixture
async def readers(postgres_server: EmbeddedServers) -> AsyncIterator[Readers]:
    name = f"weather_{uuid4().hex[:8]}"
    root = await asyncpg.connect(postgres_server.admin_url)
    await root.execute(f"CREATE DATABASE {name}")
    for database in await root.fetch("SELECT quote_ident(datname) FROM pg_database"):
        await root.execute(f"REVOKE CONNECT ON DATABASE {database[0]} FROM PUBLIC")
    made = Readers(postgres_server, name)
    await made.admin(TABLE)
    yield made
    await root.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await root.close()


async def test_rows_come_as_objects_in_json_types(readers: Readers) -> None:
    found = await readers.query(await readers.role(), "SELECT * FROM weather ORDER BY day")
    assert found == {
        "columns": ["day", "rain", "sun", "note", "extra", "tags"],
        "rows": [
            {"day": "2014-01-01", "rain": 12.5, "sun": 0.5, "note": "wet", "extra": {"a": [1]}, "tags": ["x", "y"]},
            {"day": "2014-01-02", "rain": 0, "sun": "nan", "note": None, "extra": None, "tags": []},
        ],
        "row_count": 2,
        "truncated": False,
    }


async def test_parameters_take_the_types_that_the_server_names(readers: Readers) -> None:
    role = await readers.role()
    sql = "SELECT $1::date AS d, $2::int AS i, $3::numeric AS n, $4::text AS t, $5::int[] AS a, $6::timestamptz AS m"
    found = await readers.query(role, sql, "2014-01-01", "7", 1.25, 5, [1, 2], "2014-01-01T12:00:00+02:00")
    assert found["rows"] == [
        {"d": "2014-01-01", "i": 7, "n": 1.25, "t": "5", "a": [1, 2], "m": "2014-01-01T10:00:00+00:00"}
    ]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (("yesterday",), "$1 must be of type date, not 'yesterday'"),
        ((), "has 1 places ($1, $2, …) and got 0 parameters"),
    ],
)
async def test_parameters_that_do_not_fit_are_named(readers: Readers, parameters: tuple[str, ...], words: str) -> None:
    with pytest.raises(CallFailed) as failed:
        await readers.query(await readers.role(), "SELECT * FROM weather WHERE day = $1", *parameters)
    assert failed.value.code == "sql-parameters"
    assert words in failed.value.message


async def test_rows_and_bytes_are_limited_and_the_cut_is_said(readers: Readers) -> None:
    role = await readers.role()
    series = "SELECT n, repeat('x', 100) AS t FROM generate_series(1, 100000) AS n"
    by_rows = await readers.query(role, series, max_rows=10)
    assert (by_rows["row_count"], len(by_rows["rows"]), by_rows["truncated"]) == (10, 10, True)
    by_bytes = await readers.query(role, series, max_bytes=1_000)
    assert by_bytes["truncated"]
    assert 5 <= by_bytes["row_count"] < 10
    exact = await readers.query(role, "SELECT * FROM weather", max_rows=2)
    assert not exact["truncated"]


@pytest.mark.parametrize(
    ("sql", "code", "words"),
    [
        ("SELECT 1; SELECT 2", "sql-error", "Only one statement"),
        ("SELEC 1", "sql-error", 'syntax error at or near "SELEC"'),
        ("SELECT wind FROM weather", "sql-error", 'column "wind" does not exist'),
        ("SELECT * FROM ledger", "sql-error", "permission denied"),
        ("SET statement_timeout = 0", "sql-no-rows", "returns rows"),
        ("INSERT INTO weather VALUES ('2014-01-03') RETURNING day", "sql-error", "may only be read"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "sql-error", "must be set before any query"),
        ("SELECT lo_create(0)", "sql-error", "may only be read"),
        ("SELECT pg_read_file('/etc/passwd')", "sql-error", "permission denied"),
        ("COPY weather TO PROGRAM 'true'", "sql-no-rows", "returns rows"),
    ],
)
async def test_what_is_no_single_read_is_refused_in_words(readers: Readers, sql: str, code: str, words: str) -> None:
    with pytest.raises(CallFailed) as failed:
        await readers.query(await readers.role(), sql)
    assert (failed.value.code, failed.value.retryable) == (code, False)
    assert words in failed.value.message


async def test_a_statement_that_takes_too_long_is_stopped(readers: Readers) -> None:
    with pytest.raises(CallFailed, match=r"longer than the 0\.2 s") as failed:
        await readers.query(await readers.role(), "SELECT pg_sleep(5)", statement_timeout_seconds=0.2)
    assert failed.value.code == "sql-timeout"


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        ("ALTER ROLE {} SUPERUSER", "is a superuser"),
        ("ALTER ROLE {} CREATEDB", "may create databases"),
        ("ALTER ROLE {} CREATEROLE", "may create roles"),
        ("ALTER ROLE {} REPLICATION", "may replicate"),
        ("GRANT INSERT ON ledger TO {}", "may write public.ledger"),
        ("GRANT UPDATE (note) ON weather TO {}", "may write public.weather"),
        ("GRANT TRUNCATE ON weather TO {}", "may write public.weather"),
        ("ALTER TABLE ledger OWNER TO {}", "may write public.ledger"),
        ("GRANT CREATE ON SCHEMA public TO {}", "may create in schema public"),
        ("GRANT CREATE ON DATABASE {db} TO {}", "may create schemas"),
        ("GRANT CONNECT ON DATABASE postgres TO {}", "may connect to the database postgres"),
        ("GRANT pg_write_all_data TO {}", "may write public.ledger"),
        ("GRANT pg_execute_server_program TO {}", "member of pg_execute_server_program"),
    ],
)
async def test_a_role_that_may_do_more_than_read_is_refused_before_anything_runs(
    readers: Readers, grant: str, words: str
) -> None:
    with pytest.raises(CallFailed, match="nothing was run") as failed:
        await readers.query(await readers.role(grant), "SELECT 1")
    assert failed.value.code == "connection-too-powerful"
    assert words in failed.value.message


async def test_a_role_that_could_only_become_powerful_is_refused_too(readers: Readers) -> None:
    writer = await readers.role("GRANT INSERT ON ledger TO {}")
    role = await readers.role("GRANT " + writer + " TO {} WITH INHERIT FALSE, SET TRUE")
    with pytest.raises(CallFailed, match=f"{writer} may write public.ledger"):
        await readers.query(role, "SELECT 1")


async def test_many_questions_at_once_share_few_connections(readers: Readers) -> None:
    role = await readers.role()
    await readers.admin(f"ALTER ROLE {role} CONNECTION LIMIT 8")
    found = await asyncio.gather(*(readers.query(role, "SELECT pg_sleep(0.02), 1 AS one") for _ in range(30)))
    assert [answer["row_count"] for answer in found] == [1] * 30


async def test_a_statement_whose_connection_is_cut_is_asked_again(readers: Readers) -> None:
    role = await readers.role()
    admin = await asyncpg.connect(readers.servers.url("postgres", readers.database))
    waiting = "SELECT pid FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'"
    try:
        await admin.execute("SELECT pg_advisory_lock(1)")
        asked = asyncio.create_task(readers.query(role, "SELECT pg_advisory_xact_lock_shared(1), 1 AS one"))
        async with asyncio.timeout(20):
            while (pid := await admin.fetchval(waiting, role)) is None:
                await asyncio.sleep(0.02)
        await admin.execute("SELECT pg_terminate_backend($1)", pid)
        await admin.execute("SELECT pg_advisory_unlock(1)")
        assert (await asked)["row_count"] == 1
    finally:
        await admin.close()


async def test_a_column_name_that_repeats_does_not_hide_the_first(readers: Readers) -> None:
    found = await readers.query(await readers.role(), "SELECT 1 AS n, 2 AS n, 3 AS n")
    assert found["rows"] == [{"n": 1, "n_2": 2, "n_3": 3}]


async def test_unknown_and_unreachable_connections_are_said_without_secrets() -> None:
    secret = {"nowhere": {"url": "postgresql://reader:hunter2@127.0.0.1:9/db", "projects": ["*"]}}
    settings = Settings.model_validate({"connections": secret})
    tool = sql_query(restart_seconds=0)
    with pytest.raises(
        CallFailed, match=r"no connection called weather for this project \(there are: nowhere\)"
    ) as unknown:
        await tool.run({"connection": "weather", "sql": "SELECT 1"}, context(settings))
    assert unknown.value.code == "connection-unknown"
    with pytest.raises(CallFailed, match="cannot be reached") as failed:
        await tool.run({"connection": "nowhere", "sql": "SELECT 1"}, context(settings))
    assert (failed.value.code, failed.value.retryable) == ("connection-failed", True)
    assert "hunter2" not in failed.value.message


async def test_a_connection_of_other_projects_is_one_that_does_not_exist(readers: Readers) -> None:
    """Also where it is listed: the sentence names what the project of the run can reach, and no more."""
    url = make_url(readers.servers.url(await readers.role(), readers.database)).set(password=PASSWORD)
    reached = {"url": url.render_as_string(hide_password=False)}
    known = {"hr": reached | {"projects": ["people"]}, "sales": reached | {"projects": ["shop"]}, "new": reached}
    settings = Settings.model_validate({"connections": known})
    for tool in (sql_query(restart_seconds=0), sql_execute()):
        for name in ("hr", "new", "nowhere"):
            with pytest.raises(CallFailed) as refused:
                await tool.run({"connection": name, "sql": "SELECT 1 AS n"}, context(settings, "shop"))
            assert refused.value.code == "connection-unknown"
            assert refused.value.message.startswith(
                f"There is no connection called {name} for this project (there are: sales)."
            )
    result = await sql_query().run({"connection": "sales", "sql": "SELECT 1 AS n"}, context(settings, "shop"))
    assert cast(dict[str, Any], result.output)["rows"] == [{"n": 1}]


def test_arguments_are_described_by_a_closed_schema() -> None:
    tool = sql_query()
    assert schema_errors(tool.validator, {"connection": "weather", "sql": "SELECT 1"}) == []
    assert schema_errors(tool.validator, {"connection": "weather", "query": "SELECT 1"})
    assert tool.parameters is PARAMETERS
    assert tool.hash == sql_query().hash


@pytest.mark.parametrize(
    "field",
    ["repeat('x', 200000000)", "convert_to(repeat('x', 200000000), 'UTF8')", "to_jsonb(repeat('x', 100000000))"],
)
async def test_one_enormous_field_is_never_read(readers: Readers, field: str) -> None:
    role = await readers.role()
    sql = "SELECT 1 AS n, 'small' AS t UNION ALL SELECT 2, 'also' ORDER BY n"
    sql = f"SELECT n, t, CASE n WHEN 2 THEN {field} END AS big FROM ({sql}) AS s"
    with little_memory():
        found = await readers.query(role, sql, statement_timeout_seconds=60)
    assert found["rows"] == [{"n": 1, "t": "small", "big": None}]
    assert found["truncated"]


async def test_many_large_rows_are_not_read_at_once(readers: Readers) -> None:
    role = await readers.role()
    with little_memory():
        sql = "SELECT n, repeat('x', 900000) AS t FROM generate_series(1, 300) AS n"
        found = await readers.query(role, sql)
    assert (found["row_count"], found["truncated"]) == (1, True)


@contextmanager
def little_memory() -> Iterator[None]:
    """See to it that what is done here never holds more than ten megabytes at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT 1 AS n;", [{"n": 1}]),
        (" SELECT 1 AS n ; ", [{"n": 1}]),
        ("SELECT 1 AS n -- the first", [{"n": 1}]),
        ("WITH a AS (SELECT 1 AS n) SELECT * FROM a", [{"n": 1}]),
        ("VALUES (1, 'a'), (2, NULL)", [{"column1": 1, "column2": "a"}, {"column1": 2, "column2": None}]),
        ("SELECT n FROM generate_series(1, 3) AS n ORDER BY n DESC LIMIT 2", [{"n": 3}, {"n": 2}]),
        ("SHOW server_encoding", [{"server_encoding": "UTF8"}]),
        (
            "SELECT NULL AS nothing, ROW(1, 'a') AS pair, '{}'::json AS j",
            [{"nothing": None, "pair": [1, "a"], "j": {}}],
        ),
        ("TABLE weather LIMIT 0", []),
        ("(SELECT 1 AS n) UNION ALL (SELECT 1)", [{"n": 1}, {"n": 1}]),
    ],
)
async def test_all_kinds_of_reading_still_work_within_the_bound(
    readers: Readers, sql: str, rows: list[dict[str, Json]]
) -> None:
    assert (await readers.query(await readers.role(), sql))["rows"] == rows


@pytest.mark.parametrize("sql", ["SELECT 1; -- done", "SELECT 1 AS n; /* done */"])
async def test_what_follows_the_statement_is_refused_in_words(readers: Readers, sql: str) -> None:
    with pytest.raises(CallFailed, match="one SELECT alone"):
        await readers.query(await readers.role(), sql)
