"""What has ended long ago goes as its project wants; what it cost, and what was done with it, stays."""

from datetime import timedelta

import asyncpg
import pytest

from sparkops.domains.runs.state import SourceKind
from sparkops.engine.draft import Rerun, ValuesRemoved
from sparkops.engine.rerun import start_rerun
from tests.engine.bulk import LARGE
from tests.engine.conftest import World
from tests.engine.tenants import CANARY, RUN_TABLES, age, ask, counts, keep, owned, rich_run, tables_with, tidied
from tests.engine.test_budgets import budget, windows

AGAIN = Rerun(SourceKind.RERUN)


async def test_runs_go_when_they_ended_longer_ago_than_they_are_kept(world: World, owner_url: str) -> None:
    await owned(world)
    old, young = await rich_run(world), await rich_run(world)
    await age(owner_url, old, days=31)
    await age(owner_url, young, days=29)
    assert await tidied(world.engine) == {"runs": 0, "logs": 0, "values": 0}, "they are kept for ever"

    await keep(world, runs=30)
    assert await tidied(world.engine) == {"runs": 2, "logs": 0, "values": 0}  # with the run below it
    assert await tables_with(owner_url, str(old)) <= {"audit", "budgets", "ledger_entries", "reservations"}
    assert await world.status(young) == "succeeded"
    assert all((await counts(world)).values())
    line = await world.database.pool.fetchrow("SELECT actor, detail FROM audit WHERE action = 'retention.runs'")
    assert line is not None
    assert (line["actor"], line["detail"]["removed"]) == ("worker", 2)


async def test_what_removed_runs_have_cost_stays_in_the_ledger_and_on_budgets(world: World, owner_url: str) -> None:
    await owned(world)
    budget_id = await budget(world, limit_micros=1_000_000)
    run_id = await rich_run(world)
    before = await windows(world, budget_id)
    lines = await world.database.pool.fetchval("SELECT count(*) FROM ledger_entries")
    await age(owner_url, run_id, days=2)
    await keep(world, runs=1)
    await tidied(world.engine)
    assert await windows(world, budget_id) == before
    assert await world.database.pool.fetchval("SELECT count(*) FROM ledger_entries") == lines > 0


async def test_a_run_stays_while_one_below_it_goes_on(world: World, owner_url: str) -> None:
    await owned(world)
    run_id = await rich_run(world)
    await age(owner_url, run_id, days=2)
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("ALTER TABLE runs DISABLE TRIGGER guard_final")
        await owner.execute("ALTER TABLE runs DISABLE TRIGGER guard_transition")
        below = await owner.fetchval(
            "UPDATE runs SET status = 'running', finished_at = NULL WHERE parent_run_id = $1 RETURNING id", run_id
        )
        await keep(world, runs=1)
        assert (await tidied(world.engine))["runs"] == 0
        await owner.execute(
            "UPDATE runs SET status = 'succeeded', finished_at = clock_timestamp() WHERE id = $1", below
        )
    finally:
        await owner.close()
    assert (await tidied(world.engine))["runs"] == 2


async def test_a_run_made_from_one_that_is_gone_stays_whole(world: World, owner_url: str) -> None:
    await owned(world)
    source = await rich_run(world)
    fork = await start_rerun(world.engine, world.ada, source, Rerun(SourceKind.FORK, "last"))
    await world.work_until(fork.run_id)
    before = await world.row(fork.run_id)
    await age(owner_url, source, days=2)
    await keep(world, runs=1)
    assert (await tidied(world.engine))["runs"] == 2
    assert await world.row(fork.run_id) == before
    output = (await world.steps(fork.run_id))["last"]["output"]
    assert await world.engine.payloads.load(world.project_id, output) == LARGE


async def test_the_log_goes_before_the_run(world: World, owner_url: str) -> None:
    await owned(world)
    old, young = await rich_run(world), await rich_run(world)
    await age(owner_url, old, days=8)
    await keep(world, runs=30, log=7)
    assert await tidied(world.engine) == {"runs": 0, "logs": 2, "values": 0}
    assert await world.kinds(old) == []
    assert await world.kinds(young)
    assert (await world.steps(old))["large"]["output"] is not None
    assert await tidied(world.engine) == {"runs": 0, "logs": 0, "values": 0}, "once is enough"
    await age(owner_url, old, days=30)
    assert (await tidied(world.engine))["runs"] == 2


async def test_events_from_outside_stay_while_a_run_may_still_wait_for_them(world: World, owner_url: str) -> None:
    await owned(world)
    open_run = await world.run("one")
    await world.sql(
        "INSERT INTO received_events (id, project_id, event_id, name, data, data_hash, received_at, matched_at) "
        "SELECT gen_random_uuid(), $1, n::text, 'paid', '{}', 'h', t, t FROM (VALUES "
        "(1, clock_timestamp() - interval '9 days'), (2, clock_timestamp() - interval '8 days')) v (n, t)",
        world.project_id,
    )
    await world.sql("UPDATE runs SET created_at = clock_timestamp() - interval '8.5 days' WHERE id = $1", open_run)
    await keep(world, log=7)
    await tidied(world.engine)
    assert await world.database.pool.fetchval("SELECT array_agg(event_id) FROM received_events") == ["2"]


async def test_values_go_and_what_happened_stays(world: World, owner_url: str) -> None:
    await owned(world)
    run_id = await rich_run(world)
    kinds, before = await world.kinds(run_id), await counts(world)
    await age(owner_url, run_id, days=2)
    await keep(world, values=1)
    assert await tidied(world.engine) == {"runs": 0, "logs": 0, "values": 2}
    assert await tables_with(owner_url, CANARY) == set()
    after = await counts(world)
    assert after == before | {"artifacts": 0}
    assert await world.kinds(run_id) == kinds
    calls = await world.calls(run_id)
    assert all(call["request"] == {"$removed": True} and call["response"] is None for call in calls)
    assert all(call["request_hash"] and call["status"] == "done" for call in calls)
    assert await tidied(world.engine) == {"runs": 0, "logs": 0, "values": 0}, "once is enough"


async def test_a_run_without_its_values_is_not_done_again(world: World, owner_url: str) -> None:
    await owned(world)
    run_id = await rich_run(world)
    await age(owner_url, run_id, days=2)
    await keep(world, values=1)
    await tidied(world.engine)
    with pytest.raises(ValuesRemoved):
        await start_rerun(world.engine, world.ada, run_id, AGAIN)


async def test_a_final_row_still_does_not_change_whoever_asks(world: World, owner_url: str) -> None:
    """Not even with the setting that lets retention work: the application is not the owner of the tables, and the owner
    may take values out and nothing else."""
    await owned(world)
    run_id = await rich_run(world)
    forbidden = (
        """UPDATE runs SET input = '{"$removed": true}', output = NULL""",
        "UPDATE steps SET output = NULL WHERE finished_at IS NOT NULL",
    )
    for statement in forbidden:
        async with world.database.pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL sparkops.thinning = 'on'")
            with pytest.raises(asyncpg.PostgresError, match="may not change"):
                async with connection.transaction():
                    await connection.execute(statement)
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("SET sparkops.thinning = 'on'")
        for statement, refusal in (
            ("UPDATE runs SET status = 'failed'", "may not"),
            ("UPDATE runs SET output = '1'", "may only be removed"),
            ("UPDATE calls SET cost_micros = 0, response = NULL", "may not change"),
        ):
            with pytest.raises(asyncpg.PostgresError, match=refusal):
                await owner.execute(f"{statement} WHERE {'id' if 'runs' in statement else 'run_id'} = $1", run_id)
    finally:
        await owner.close()


async def test_what_takes_values_out_shuts_the_door_behind_it(world: World, owner_url: str) -> None:
    await owned(world)
    old, young = await rich_run(world), await rich_run(world)
    await age(owner_url, old, days=2)
    await keep(world, values=1)
    owner = await asyncpg.connect(owner_url)
    try:
        async with owner.transaction():
            await owner.execute("SELECT engine.thin_values($1, NULL, 1000)", world.project_id)
            with pytest.raises(asyncpg.PostgresError, match="may not change"):
                async with owner.transaction():
                    await owner.execute("UPDATE runs SET output = NULL WHERE id = $1", young)
    finally:
        await owner.close()


async def test_batches_are_bounded_and_all_is_done(
    world: World, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owned(world)
    runs = [await rich_run(world) for _ in range(3)]
    await age(owner_url, *runs, days=40)
    monkeypatch.setattr("sparkops.engine.retention.BATCH", 1)
    await keep(world, values=10)
    assert (await tidied(world.engine))["values"] == 6
    await keep(world, log=20)
    assert (await tidied(world.engine))["logs"] == 6
    await keep(world, runs=30)
    assert (await tidied(world.engine))["runs"] == 6
    assert not any((await counts(world, RUN_TABLES)).values())
    batches = await world.database.pool.fetch(
        "SELECT action, count(*) AS many FROM audit WHERE action LIKE 'retention.%' GROUP BY action"
    )
    assert {row["action"]: row["many"] for row in batches} == {
        "retention.values": 6,
        "retention.logs": 6,
        "retention.runs": 3,
    }


async def test_a_project_that_is_to_be_deleted_is_left_as_it_is(world: World, owner_url: str) -> None:
    await owned(world)
    run_id = await rich_run(world)
    await age(owner_url, run_id, days=2)
    await keep(world, runs=1)
    await ask(world, delay=timedelta(days=7))
    assert (await tidied(world.engine))["runs"] == 0, "it may be restored, and looked over before"
