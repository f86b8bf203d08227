"""What the audit says of rows that cross from one project to another, and of writes by those who had no say any more.

No transaction leaves such rows, and the guards of the tables refuse them: here the owner of the tables plants them.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sparkops.core.ids import new_id
from sparkops.engine.give_back import release_session
from sparkops.engine.holders import HOLDERS, REFERENCES
from sparkops.migrations.tables import metadata
from tests.engine.acts import ONE_STEP, prepared, proposal
from tests.engine.conftest import World
from tests.engine.test_fairness import another_project
from tests.engine.test_recovery import crash

OWNED = {name: table for name, table in metadata.tables.items() if "project_id" in table.c}
FOREIGN = {
    "actor_id",
    "author_id",
    "event_id",
    "key_id",
    "kek_id",
    "project_id",
    "request_id",
    "scope_id",
    "subject_id",
}
"""Columns that name what is outside, of no project, or a row of several kinds."""
OTHERWISE = {
    "backtests.after_id",  # where it goes on
    "approval_votes.user_id",  # people are of no project
    "security_events.user_id",  # also of people
    "audit.project_id",
}
QUERIES = {each.name: each.query for each in HOLDERS}


@asynccontextmanager
async def planting(url: str) -> AsyncIterator[Any]:
    """The owner of the tables, without their guards, in a transaction that is rolled back."""
    connection = await asyncpg.connect(url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        for table in ("steps", "step_attempts", "calls", "events", "run_counters", "budgets", "audit"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield connection
        await transaction.rollback()
    finally:
        await connection.close()


async def found(connection: Any, name: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(QUERIES[name])]


def test_every_column_that_names_a_row_of_a_project_is_asked_about() -> None:
    asked = {place for places in REFERENCES.values() for place in places}
    there = {
        f"{name}.{column.name}"
        for name, table in OWNED.items()
        for column in table.c
        if column.name.endswith("_id") and column.name not in FOREIGN
    }
    assert there - OTHERWISE == asked


@pytest.mark.parametrize(("table", "column"), [("steps", "run_id"), ("run_counters", "run_id"), ("events", "run_id")])
async def test_a_row_that_names_one_of_another_project_is_found(
    world: World, owner_url: str, table: str, column: str
) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    other = await another_project(world)
    async with planting(owner_url) as owner:
        # lint: allow sql-text -- a table of the parameters above
        await owner.execute(f"UPDATE {table} SET project_id = $1 WHERE {column} = $2", other.project_id, run_id)
        rows = await found(owner, "project-own")
    place = {"subject": run_id, "named_in": f"{table}.{column}"}
    assert place | {"by_project": other.project_id, "of_project": world.project_id} in rows


async def test_a_step_that_reads_one_of_another_project_is_found(world: World, owner_url: str) -> None:
    other = await another_project(world)
    reader = (await world.steps(await world.run(await world.workflow(ONE_STEP))))["only"]["id"]
    read = (await other.steps(await other.run(await other.workflow(ONE_STEP))))["only"]["id"]
    async with planting(owner_url) as owner:
        await owner.execute("UPDATE steps SET reads = ARRAY[$1::uuid] WHERE id = $2", read, reader)
        assert [row["subject"] for row in await found(owner, "project-own")] == [read]


async def test_a_budget_of_a_run_that_is_another_projects_is_found(world: World, owner_url: str) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    other = await another_project(world)
    async with planting(owner_url) as owner:
        await owner.execute("UPDATE budgets SET project_id = $1 WHERE scope_id = $2", other.project_id, run_id)
        assert [row["named_in"] for row in await found(owner, "project-own")] == ["budgets.scope_id"]


async def test_a_step_that_was_given_up_after_a_death_in_company_is_found(world: World, owner_url: str) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    await crash(world, run_id, 4)
    step = (await world.steps(run_id))["only"]
    assert step["error"]["code"] == "poison"
    async with planting(owner_url) as owner:
        assert await found(owner, "poison-alone") == []
        await owner.execute(
            "INSERT INTO step_attempts (run_id, step_id, attempt, project_id, claim_token, worker_session, started_at)"
            " SELECT run_id, $2, 1, project_id, gen_random_uuid(), worker_session, started_at - interval '1 second'"
            " FROM step_attempts WHERE step_id = $1 AND attempt = 4",
            step["id"],
            new_id(),
        )
        assert [row["subject"] for row in await found(owner, "poison-alone")] == [step["id"]]


async def test_a_step_that_was_given_up_without_a_death_is_found(world: World, owner_url: str) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    error = json.dumps({"code": "poison"})
    async with planting(owner_url) as owner:
        await owner.execute("UPDATE steps SET status = 'failed', finished_at = now(), error = $1::jsonb", error)
        (row,) = await found(owner, "poison-alone")
    assert row["subject"] == (await world.steps(run_id))["only"]["id"]


_RECOVERED = """
INSERT INTO audit (at, actor, action, object, detail, content_hash)
VALUES (clock_timestamp() + $1::int * interval '1 second', 'system', 'system.recover', 'system:x', '{}', '')
"""


@pytest.mark.parametrize(
    "late",
    [
        "UPDATE step_attempts SET started_at = clock_timestamp() + interval '2 seconds'",
        "UPDATE step_attempts SET ended_at = clock_timestamp() + interval '2 seconds'",
        "UPDATE calls SET prepared_at = clock_timestamp() + interval '2 seconds'",
    ],
)
async def test_what_a_worker_wrote_after_its_epoch_had_ended_is_found(world: World, owner_url: str, late: str) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    (verdict,) = await prepared(world, held, proposal())
    await release_session(world.engine, worker.session_id, crashed=False)
    async with planting(owner_url) as owner:
        await owner.execute(_RECOVERED, 1)
        await owner.execute(_RECOVERED, 3)
        assert await found(owner, "epoch-over") == []
        await owner.execute(late)
        (row,) = await found(owner, "epoch-over")
    subject = UUID(verdict["call_id"]) if "calls" in late else held.lease.step_id
    assert (row["subject"], row["worker_session"]) == (subject, worker.session_id)
