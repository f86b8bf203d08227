"""`sql.execute` on a real PostgreSQL: what it changes, what it refuses, and what it tells before."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sparkops.core.json import Json
from sparkops.local.stack import EmbeddedServers
from sparkops.runtime.effects import CallFailed, OutcomeUnknown
from sparkops.runtime.outlook import Rows
from sparkops.runtime.tools.sql import sql_query
from tests.runtime.bank import PASSWORD, Bank, arguments, opened_bank


@pytest.fixture
async def bank(postgres_server: EmbeddedServers) -> AsyncIterator[Bank]:
    async with opened_bank(postgres_server) as made:
        yield made


@pytest.mark.parametrize(
    ("sql", "parameters", "operation", "affected", "rows"),
    [
        ("UPDATE accounts SET balance = $1 WHERE id <= $2", (7, 3), "update", 3, []),
        ("DELETE FROM transfers WHERE account = $1", (4,), "delete", 3, []),
        ("INSERT INTO transfers (account, amount) VALUES ($1, $2), ($1, 2)", (1, 1), "insert", 2, []),
        (
            "UPDATE accounts SET closed = true WHERE id = 3 RETURNING id, owner",
            (),
            "update",
            1,
            [{"id": 3, "owner": "owner 3"}],
        ),
        (
            "DELETE FROM transfers WHERE id = 1 RETURNING amount AS n, account AS n;",
            (),
            "delete",
            1,
            [{"n": 5, "n_2": 1}],
        ),
        (
            "MERGE INTO accounts a USING (VALUES (1), (99)) AS v (id) ON a.id = v.id "
            "WHEN MATCHED THEN UPDATE SET balance = 0 WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id)",
            (),
            "merge",
            2,
            [],
        ),
        ("WITH b AS (SELECT 3 AS id) UPDATE accounts a SET balance = 1 FROM b WHERE a.id = b.id", (), "update", 1, []),
        ("UPDATE accounts SET balance = 1 WHERE id = -5", (), "update", 0, []),
    ],
)
async def test_one_write_is_committed_and_says_what_it_changed(
    bank: Bank, sql: str, parameters: tuple[Json, ...], operation: str, affected: int, rows: list[Any]
) -> None:
    before = await bank.state()
    found = await bank.execute(sql, *parameters)
    assert (found["operation"], found["affected"], found["rows"], found["truncated"]) == (
        operation,
        affected,
        rows,
        False,
    )
    assert (await bank.state() != before) == (affected > 0)


REFUSED = [
    ("SELECT 1", "sql-not-one-write", "begins as something else"),
    ("DROP TABLE transfers", "sql-not-one-write", "begins as something else"),
    ("TRUNCATE transfers", "sql-not-one-write", "begins as something else"),
    ("COPY transfers FROM PROGRAM 'true'", "sql-not-one-write", "begins as something else"),
    ("ANALYZE UPDATE accounts SET id = 1", "sql-not-one-write", "begins as something else"),
    ("/* UPDATE */ CREATE TABLE t AS SELECT 1", "sql-not-one-write", "begins as something else"),
    ("WITH a AS (SELECT 1 AS n) SELECT * FROM a", "sql-not-one-write", "does not write by itself"),
    (
        "WITH a AS (DELETE FROM transfers RETURNING 1) SELECT count(*) FROM a",
        "sql-not-one-write",
        "not write by itself",
    ),
    ("WITH a AS (DELETE FROM transfers) UPDATE accounts SET balance = 0", "sql-not-one-write", "more than once"),
    ("DELETE FROM transfers; DELETE FROM accounts", "sql-error", "Only one statement"),
    ("DELETE FROM transfers; DROP TABLE accounts", "sql-error", "Only one statement"),
    ("DELETE FROM seen", "sql-error", "permission denied"),
    ("DELETE FROM transfers WHERE id = $1", "sql-parameters", "has 1 places"),
    ("DELETE FROM transfers RETURNING id; -- done", "sql-error", "no comment after its semicolon"),
]


@pytest.mark.parametrize(("sql", "code", "words"), REFUSED)
async def test_what_is_not_one_write_is_refused_in_words_and_changes_nothing(
    bank: Bank, sql: str, code: str, words: str
) -> None:
    before = await bank.state()
    with pytest.raises(CallFailed) as failed:
        await bank.execute(sql)
    assert (failed.value.code, failed.value.retryable) == (code, False)
    assert words in failed.value.message
    assert await bank.state() == before


@pytest.mark.parametrize("returning", ["", " RETURNING id"])
async def test_more_rows_than_allowed_are_rolled_back(bank: Bank, returning: str) -> None:
    before = await bank.state()
    for limits in ({"max_rows": 5}, {}):
        sql = f"UPDATE accounts SET balance = 0 WHERE id <= 6{returning}"
        with pytest.raises(CallFailed, match=r"more than 5 rows.*rolled back") as failed:
            await bank.tool.run(arguments(sql, max_rows=None if limits else 5), bank.context(**limits))
        assert (failed.value.code, failed.value.retryable) == ("sql-too-many-rows", False)
        assert await bank.state() == before
    found = await bank.execute(f"UPDATE accounts SET balance = 0 WHERE id <= 5{returning}", max_rows=5)
    assert found["affected"] == 5


async def test_a_call_cannot_raise_the_limit_of_its_connection(bank: Bank) -> None:
    with pytest.raises(CallFailed, match="more than 2 rows"):
        await bank.tool.run(
            arguments("UPDATE accounts SET balance = 0 WHERE id <= 3", max_rows=100), bank.context(max_rows=2)
        )


async def test_what_returning_gives_is_bounded_and_all_of_it_is_counted(bank: Bank) -> None:
    sql = "UPDATE accounts SET balance = 0 WHERE id <= 4 RETURNING repeat('x', 400) AS big"
    found = await bank.execute(sql, max_bytes=1_000)
    assert (found["affected"], len(found["rows"]), found["truncated"]) == (4, 2, True)


async def test_a_connection_that_may_only_be_read_is_refused(bank: Bank) -> None:
    before = await bank.state()
    with pytest.raises(CallFailed, match="bank may only be read") as failed:
        await bank.execute("DELETE FROM transfers", write=False)
    assert failed.value.code == "connection-read-only"
    assert "may only be read" in str((await bank.preview("DELETE FROM transfers", write=False)).rows.why)
    assert await bank.state() == before


async def test_reading_refuses_the_role_that_writes(bank: Bank) -> None:
    with pytest.raises(CallFailed, match="may do more than read"):
        await sql_query().run(arguments("SELECT 1"), bank.context())


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        ("ALTER ROLE {role} SUPERUSER", "is a superuser"),
        ("GRANT CREATE ON SCHEMA public TO {role}", "may create in schema public"),
        ("GRANT TRUNCATE ON accounts TO {role}", "may truncate public.accounts"),
        ("GRANT pg_execute_server_program TO {role}", "member of pg_execute_server_program"),
    ],
)
async def test_a_role_that_may_do_more_than_write_tables_is_refused(bank: Bank, grant: str, words: str) -> None:
    await bank.admin(grant)
    before = await bank.state()
    with pytest.raises(CallFailed, match="more than write tables") as failed:
        await bank.execute("DELETE FROM transfers")
    assert words in failed.value.message
    assert words in str((await bank.preview("DELETE FROM transfers")).rows.why)
    assert await bank.state() == before


async def test_a_constraint_that_fails_at_the_end_is_a_definite_failure(bank: Bank) -> None:
    await bank.admin("ALTER TABLE transfers ALTER CONSTRAINT transfers_account_fkey DEFERRABLE INITIALLY DEFERRED")
    before = await bank.state()
    with pytest.raises(CallFailed, match="violates foreign key"):
        await bank.execute("UPDATE transfers SET account = 99 WHERE id = 1")
    assert await bank.state() == before


@pytest.mark.parametrize("committing", [False, True])
async def test_a_connection_that_is_cut_is_in_doubt_only_once_commit_has_left(bank: Bank, committing: bool) -> None:
    waits = (
        "CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$"
    )
    when = "CONSTRAINT TRIGGER slow AFTER UPDATE ON accounts DEFERRABLE INITIALLY DEFERRED"
    when = when if committing else "TRIGGER slow BEFORE UPDATE ON accounts"
    await bank.admin(waits, f"CREATE {when} FOR EACH ROW EXECUTE FUNCTION waits()")
    before = await bank.state()
    asked = asyncio.create_task(
        bank.execute("UPDATE accounts SET balance = 0 WHERE id = 1", statement_timeout_seconds=60)
    )
    sleeping = f"SELECT pid FROM pg_stat_activity WHERE usename = '{bank.role}' AND wait_event = 'PgSleep'"
    async with asyncio.timeout(20):
        while (pid := await bank.value(sleeping)) is None:
            await asyncio.sleep(0.02)
    await bank.value(f"SELECT pg_terminate_backend({pid})")
    if committing:
        with pytest.raises(OutcomeUnknown, match="did not answer to COMMIT"):
            await asked
    else:
        with pytest.raises(CallFailed, match="went away") as failed:
            await asked
        assert failed.value.code == "sql-connection-lost"
    assert await bank.state() == before


COUNTED = [
    ("UPDATE accounts SET balance = balance + $1 WHERE id > $2", (1, 15), 5, "Update public.accounts"),
    ("update only public.accounts as a set closed = id is distinct from 3 where a.owner like '% 1%'", (), 11, "Update"),
    ("UPDATE accounts SET owner = 'x WHERE y' WHERE NOT closed -- WHERE true", (), 10, "Update"),
    ("UPDATE accounts a SET balance = 0 FROM transfers t WHERE t.account = a.id AND a.id <= 4", (), 4, "Update"),
    ("DELETE FROM transfers", (), 60, "Delete public.transfers"),
    ("DELETE FROM transfers t USING accounts a WHERE a.id = t.account AND a.closed RETURNING t.id", (), 30, "Delete"),
    ("DELETE FROM transfers WHERE account IN (SELECT id FROM accounts WHERE id >= 19);", (), 6, "Delete"),
    ("DELETE FROM transfers WHERE amount/*a*/>=5 AND id::bigint<=$1", (10,), 10, "Delete"),
    ('DELETE FROM "transfers" AS "where" WHERE "where".id < 3', (), 2, "Delete"),
    ("DELETE FROM transfers WHERE id = -1", (), 0, "Delete"),
    ("INSERT INTO transfers (account, amount) VALUES (1, $1), (2, $1), (3, 1)", (4,), 3, "Insert public.transfers"),
    ("INSERT INTO transfers (account) VALUES (1)", (), 1, "Insert"),
]


@pytest.mark.parametrize(("sql", "parameters", "count", "what"), COUNTED)
async def test_the_rows_that_a_write_would_touch_are_counted_and_nothing_changes(
    bank: Bank, sql: str, parameters: tuple[Json, ...], count: int, what: str
) -> None:
    before = await bank.state()
    outlook = await bank.preview(sql, *parameters)
    assert outlook.rows == Rows(count, "exact")
    assert outlook.what.startswith(what)
    assert outlook.plan[0].startswith(what.split()[0])
    assert len(outlook.plan) >= 2
    assert await bank.state() == before
    assert (await bank.execute(sql, *parameters))["affected"] == count


ESTIMATED = [
    ("DELETE FROM transfers WHERE marks(id)", "volatile function"),
    ("DELETE FROM transfers WHERE id IN (SELECT id FROM marked_accounts)", "volatile function"),
    ("DELETE FROM transfers WHERE id IN (SELECT marked())", "volatile function"),
    ("DELETE FROM transfers WHERE amount > random()", "volatile function"),
    ("DELETE FROM transfers WHERE id = nextval('tickets')", "volatile function"),
    ("UPDATE open_accounts SET balance = 0", "counted without running"),
    ("MERGE INTO accounts a USING transfers t ON a.id = t.account WHEN MATCHED THEN DELETE", "counted without running"),
    ("INSERT INTO transfers (account) SELECT id FROM accounts", "counted without running"),
    ("INSERT INTO accounts (id) VALUES (1) ON CONFLICT DO NOTHING", "counted without running"),
    ("INSERT INTO transfers (id, account) SELECT nextval('tickets'), 1", "counted without running"),
    ("WITH few AS (SELECT 1 AS id) DELETE FROM transfers WHERE id IN (TABLE few)", "counted without running"),
]


@pytest.mark.parametrize(("sql", "why"), ESTIMATED)
async def test_what_cannot_be_counted_without_running_it_is_estimated_and_says_why(
    bank: Bank, sql: str, why: str
) -> None:
    before = await bank.state()
    outlook = await bank.preview(sql)
    assert outlook.rows.basis == "estimated"
    assert outlook.rows.count is not None
    assert why in str(outlook.rows.why)
    assert await bank.state() == before


async def test_a_function_that_writes_while_it_is_planned_is_stopped(bank: Bank) -> None:
    await bank.admin("CREATE FUNCTION lies() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT nextval('tickets') $$")
    before = await bank.state()
    outlook = await bank.preview("DELETE FROM transfers WHERE id = lies()")
    assert outlook.rows.basis == "unknown"
    assert "declared not to" in str(outlook.rows.why)
    assert await bank.state() == before


async def test_row_level_security_makes_a_count_an_estimate(bank: Bank) -> None:
    await bank.admin(
        "ALTER TABLE transfers ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON transfers USING (account = 1)",
    )
    assert (await bank.preview("DELETE FROM transfers")).rows.basis == "estimated"


@pytest.mark.parametrize(("sql", "words"), [(sql, words) for sql, _, words in REFUSED if "; --" not in sql])
async def test_what_would_be_refused_says_so_before(bank: Bank, sql: str, words: str) -> None:
    before = await bank.state()
    outlook = await bank.preview(sql)
    assert (outlook.rows.count, outlook.rows.basis) == (None, "unknown")
    assert words in str(outlook.rows.why)
    assert await bank.state() == before


async def test_what_else_may_happen_is_said(bank: Bank) -> None:
    outlook = await bank.preview("DELETE FROM accounts WHERE id = 1")
    assert outlook.besides == ["Rows of these tables that refer to it may change as well: transfers."]
    await bank.admin(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        "CREATE TRIGGER told AFTER UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION nothing()",
    )
    assert (await bank.preview("UPDATE accounts SET balance = 1")).besides == [
        "Triggers of the table run as well and may change more: told."
    ]
    assert (await bank.preview("INSERT INTO accounts (id) VALUES (50)")).besides == []


async def test_a_count_that_takes_long_is_given_up(bank: Bank) -> None:
    pairs = "generate_series(1, 5000) AS a, generate_series(1, 20000) AS b"
    slow = f"DELETE FROM transfers WHERE (SELECT sum(a * b) FROM {pairs}) > id"
    outlook = await bank.preview(slow, statement_timeout_seconds=0.3)
    assert outlook.rows.basis == "estimated"
    assert outlook.rows.why == "Counting took too long."


async def test_no_secret_of_the_connection_is_told(bank: Bank) -> None:
    await bank.admin("ALTER ROLE {role} NOLOGIN")
    for outlook in (
        await bank.preview("DELETE FROM transfers"),
        await bank.preview("DELETE FROM transfers", url="postgresql://teller:hunter2hunter2@127.0.0.1:9/bank"),
    ):
        assert outlook.rows.basis == "unknown"
        assert PASSWORD not in str(outlook.to_json())
        assert "hunter2" not in str(outlook.to_json())


async def test_what_comes_back_has_the_labels_of_the_connection(bank: Bank) -> None:
    sql = "UPDATE accounts SET balance = 0 WHERE id = 1 RETURNING owner"
    found = await bank.tool.run(arguments(sql), bank.context(labels=["private:bank"]))
    assert found.labels == {"private:bank"}
    with pytest.raises(CallFailed) as failed:
        await bank.tool.run(arguments("DELETE FROM seen"), bank.context(labels=["private:bank"]))
    assert failed.value.labels == {"private:bank"}
