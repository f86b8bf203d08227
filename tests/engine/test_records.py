"""Records that are over go after a while, some at a time; those that are not, and the last use of each secret, stay."""

from collections.abc import Mapping
from datetime import timedelta

import asyncpg
import pytest

from sparkops.core.ids import new_id
from sparkops.engine.records import KEPT, prune
from tests.engine.conftest import World
from tests.engine.test_upkeep import found, upkeeping

OVER: Mapping[str, str] = {
    "attempts": "INSERT INTO attempts (key, used, forget_at) SELECT $1::text || n, 1, {at} FROM {rows}",
    "idempotency_keys": "INSERT INTO idempotency_keys (actor, route, key_hash, request_hash, claim, expires_at)"
    " SELECT gen_random_uuid(), $1::text, '\\x00', '\\x00', gen_random_uuid(), {at} FROM {rows}",
    "account_links": "INSERT INTO account_links (id, purpose, token_hash, expires_at)"
    " SELECT gen_random_uuid(), 'setup', $1::text || n, {at} FROM {rows}",
    "sessions": "INSERT INTO sessions (id, user_id, token_hash, family_key, expires_at, ends_at) SELECT"
    " gen_random_uuid(), (SELECT id FROM users LIMIT 1), $1::text || n, '\\x00', {at}, {at} FROM {rows}",
    "secret_uses": "INSERT INTO secret_uses (id, project_id, scope, source, name, run_id, step_id, call_id, at) SELECT"
    " gen_random_uuid(), (SELECT id FROM projects LIMIT 1), 'project', 'database', $1::text, gen_random_uuid(),"
    " gen_random_uuid(), gen_random_uuid(), {at} FROM {rows}",
    "security_events": "INSERT INTO security_events (at, kind, severity, detail)"
    " SELECT {at}, 'sign-in.failed', 'info', jsonb_build_object('mark', $1::text) FROM {rows}",
}
"""What puts rows there whose time was, or is, at a moment."""


async def put(world: World, table: str, *, ago: timedelta, rows: int) -> None:
    """Put rows there that were over so long ago; negative: will be."""
    statement = OVER[table].format(at="clock_timestamp() - $2::interval", rows="generate_series(1, $3) n")
    await world.sql(statement, new_id().hex, ago, rows)


async def count(world: World, table: str) -> int:
    found: int = await world.database.pool.fetchval(f"SELECT count(*) FROM {table}")
    return found


def test_every_table_that_is_pruned_is_tried_here() -> None:
    assert OVER.keys() == KEPT.keys()


@pytest.mark.parametrize("table", sorted(KEPT))
async def test_what_has_been_over_for_long_goes_in_batches_and_the_rest_stays(world: World, table: str) -> None:
    keep = KEPT[table]
    await put(world, table, ago=keep + timedelta(minutes=1), rows=5)
    await put(world, table, ago=keep - timedelta(minutes=1), rows=3)
    batches = [removed async for _, removed in prune(world.engine, {table: keep}, batch=2)]
    last_uses = 1 if table == "secret_uses" else 0
    assert all(removed <= 2 for removed in batches)
    assert sum(batches) == 5 - last_uses
    assert await count(world, table) == 3 + last_uses
    assert [removed async for _, removed in prune(world.engine, {table: keep}, batch=2)] == [0]


async def test_what_somebody_holds_is_left_to_the_next_time(world: World) -> None:
    await put(world, "sessions", ago=timedelta(days=31), rows=2)
    async with world.database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM sessions ORDER BY id LIMIT 1 FOR UPDATE")
        assert [one async for one in prune(world.engine, {"sessions": KEPT["sessions"]})] == [("sessions", 1)]
    assert [one async for one in prune(world.engine, {"sessions": KEPT["sessions"]})] == [("sessions", 1)]


async def test_records_of_safety_stay_for_a_day_whatever_is_said_and_nothing_else_can_be_named(world: World) -> None:
    for table in ("security_events", "sessions", "account_links", "secret_uses"):
        await put(world, table, ago=timedelta(hours=23), rows=2)
        assert [one async for one in prune(world.engine, {table: timedelta(0)})] == [(table, 0)]
    for table in ("audit", "runs", "users; DROP TABLE users"):
        with pytest.raises(asyncpg.InvalidParameterValueError):
            await anext(prune(world.engine, {table: timedelta(0)}))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.sql("DELETE FROM security_events")


async def test_a_worker_prunes_them_when_it_is_time(world: World) -> None:
    for table, keep in KEPT.items():
        await put(world, table, ago=keep + timedelta(days=1), rows=2)
    async with upkeeping(world, times=2):
        await world.reaches(found(world, "records"))
    told = await world.database.pool.fetchval("SELECT found FROM chores WHERE name = 'records'")
    assert told == {table: 1 if table == "secret_uses" else 2 for table in KEPT}
