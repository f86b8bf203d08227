"""The tests' own database: nothing of one test is there in the next."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from sparkops.local.stack import EmbeddedServers
from tests.lent import LentServers
from tests.reused import Reused

RENAMED = "UPDATE chores SET name = 'other' WHERE name = 'records'"
STAMPED = "INSERT INTO policy_stamps (scope_id, version) VALUES (gen_random_uuid(), 1)"
COUNTED = "SELECT nextval(pg_get_serial_sequence('audit', 'id'))"
STAMPS = "SELECT count(*) FROM policy_stamps"


@pytest.fixture
async def reused(postgres_server: EmbeddedServers | LentServers, template: str) -> AsyncIterator[Reused]:
    admin = await asyncpg.connect(postgres_server.admin_url)
    made = Reused(postgres_server, template, admin)
    yield made
    await made.close()
    await admin.close()


async def test_rows_and_counters_are_as_they_were(reused: Reused) -> None:
    lent = await reused.lend()
    connection = await asyncpg.connect(lent.owner_url)
    before = await connection.fetch("SELECT * FROM chores ORDER BY name")
    first = await connection.fetchval(COUNTED)
    await connection.execute(f"{RENAMED}; {STAMPED}")
    await connection.close()
    await reused.take_back()

    again = await reused.lend()
    assert again == lent, "made anew where emptying it would do"
    connection = await asyncpg.connect(again.owner_url)
    assert await connection.fetchval(STAMPS) == 0
    assert await connection.fetch("SELECT * FROM chores ORDER BY name") == before
    assert await connection.fetchval(COUNTED) == first
    await connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE more (id int)",
        "ALTER TABLE runs DISABLE TRIGGER USER",
        "ALTER TABLE runs ALTER COLUMN input SET DEFAULT '{}'",
        "DROP FUNCTION engine.emit",
        "GRANT TRUNCATE ON runs TO sparkops_app",
    ],
)
async def test_one_whose_schema_was_changed_is_made_anew(reused: Reused, change: str) -> None:
    lent = await reused.lend()
    connection = await asyncpg.connect(lent.owner_url)
    await connection.execute(change)
    await connection.close()
    await reused.take_back()
    assert await reused.lend() != lent


async def test_who_is_still_connected_is_cut_off(reused: Reused) -> None:
    lent = await reused.lend()
    left = await asyncpg.connect(lent.app_url)
    await reused.take_back()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await left.execute("SELECT 1")


async def test_connections_that_stay_are_those_that_nobody_holds(reused: Reused) -> None:
    await reused.lend()
    first = await reused.opened()
    assert await first.pool.fetchval("SELECT 1")
    await reused.take_back()
    await reused.lend()
    assert await reused.opened() is first
    held = await first.pool.acquire()
    await held.execute("SELECT pg_advisory_lock(1)")
    await reused.take_back()
    await reused.lend()
    second = await reused.opened()
    assert second is not first
    assert await second.pool.fetchval("SELECT pg_try_advisory_lock(1)")


async def test_a_lock_that_is_kept_ends_with_the_database(reused: Reused) -> None:
    lent = await reused.lend()
    database = await reused.opened()
    await database.pool.execute("SELECT pg_advisory_lock(1)")
    await reused.take_back()
    assert await reused.lend() != lent
