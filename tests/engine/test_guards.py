"""What the database refuses whoever asks: the triggers, met by plain SQL under the role of the application."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sparkops.core.ids import new_id
from sparkops.core.transitions import Machine, terminal
from sparkops.domains.approvals.state import APPROVAL_MACHINE
from sparkops.domains.budgets.state import RESERVATION_MACHINE
from sparkops.domains.effects.state import CALL_MACHINE
from sparkops.domains.runs.state import RUN_MACHINE, STEP_MACHINE
from sparkops.engine.answer import answer_approval
from tests.engine.acts import ONE_STEP, prepared, proposal, recorded, result, succeed
from tests.engine.conftest import World

MACHINES: Mapping[str, Machine[Any]] = {
    "runs": RUN_MACHINE,
    "steps": STEP_MACHINE,
    "calls": CALL_MACHINE,
    "approvals": APPROVAL_MACHINE,
    "reservations": RESERVATION_MACHINE,
}
KEYS = {"reservations": "call_id"}
FIRST = {"reservations": "call_id", "calls": "seq"}
"""What orders the rows of a table, of which the first is copied: ids of the same millisecond are in no order."""
NOW = "2026-01-01T00:00:00Z"


async def one_of_each(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held, proposal(bound_micros=5), proposal(2, outcome="require_approval"))


def row_in(table: str, status: str, row_id: UUID) -> dict[str, Any]:
    """The columns that make a copy of a row stand in this status."""
    final = status in terminal(MACHINES[table])
    columns: dict[str, dict[str, Any]] = {
        "runs": {"idem_key": None, "finished_at": NOW if final else None},
        "steps": {
            "path": str(row_id),
            "finished_at": NOW if final else None,
            "claim_token": str(row_id) if status == "running" else None,
            "lease_expires_at": NOW if status == "running" else None,
        },
        "calls": {"seq": row_id.int % 1_000_000_007 + 9},
        "approvals": {"subject_id": str(row_id), "consumed_at": NOW if status == "consumed" else None},
        "reservations": {"actual_micros": 1 if status == "settled" else None},
    }
    return {KEYS.get(table, "id"): str(row_id), "status": status, **columns[table]}


async def copy_in(connection: Any, table: str, status: str) -> UUID:
    row_id = new_id()
    changed = row_in(table, status, row_id)
    if table == "calls":
        changed["decision_id"] = str(row_id)
        await connection.execute(
            "INSERT INTO policy_decisions (id, project_id, run_id, subject, subject_kind, subject_id, request_hash, "
            "policy_version, outcome, facts) "
            "SELECT $1, project_id, run_id, 'tool.call', 'call', $1, request_hash, 1, 'allow', '{}' "
            "FROM calls WHERE seq = 1",
            row_id,
        )
    await connection.execute(
        f"INSERT INTO {table} SELECT (jsonb_populate_record(t, $1)).* FROM {table} t "
        f"ORDER BY {FIRST.get(table, 'id')} LIMIT 1",
        changed,
    )
    return row_id


async def refusal(connection: Any, statement: str, *values: object) -> str | None:
    """The SQLSTATE with which the database refuses this, None if it does not."""
    try:
        async with connection.transaction():
            await connection.execute(statement, *values)
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    return None


@pytest.mark.parametrize("table", MACHINES)
async def test_the_database_allows_exactly_the_listed_transitions(world: World, table: str) -> None:
    await one_of_each(world)
    machine, key = MACHINES[table], KEYS.get(table, "id")
    wrong = []
    async with world.transaction(commit=False) as engine:
        connection = engine.database.pool
        for source, exits in machine.items():
            row_id = await copy_in(connection, table, source)
            for target in machine:
                statement = f"UPDATE {table} SET status = $2 WHERE {key} = $1"
                refused = await refusal(connection, statement, row_id, str(target)) == "SF002"
                allowed = bool(exits) if source == target else target in exits
                # A listed change may still break a CHECK of the table: only the trigger's word counts here.
                if refused == allowed:
                    wrong.append((source, target))
                if allowed and source != target:
                    row_id = await copy_in(connection, table, source)
    assert wrong == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE steps SET output = '1'",
        "UPDATE steps SET attempt = 9",
        "UPDATE step_attempts SET outcome = 'lost'",
        "UPDATE calls SET response = '1'",
        "UPDATE calls SET cost_micros = 1",
        "UPDATE runs SET output = '1'",
        "UPDATE runs SET error = '{}'",
        "UPDATE reservations SET actual_micros = 1",
    ],
)
async def test_what_is_final_does_not_change(world: World, change: str) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    worker, held = await world.claimed(run_id)
    (call,) = await prepared(world, held, proposal(bound_micros=5))
    await recorded(world, held, result(call["call_id"], cost=2))
    await succeed(world, worker, held, {"n": 1})
    async with world.database.pool.acquire() as connection:
        assert await refusal(connection, change) == "SF002"


@pytest.mark.parametrize("table", ["events", "audit", "ledger_entries", "policy_decisions"])
async def test_history_is_not_rewritten(world: World, owner_url: str, table: str) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    (call,) = await prepared(world, held, proposal(bound_micros=5))
    await recorded(world, held, result(call["call_id"], cost=2))
    async with world.database.pool.acquire() as connection:
        for statement in (f"UPDATE {table} SET project_id = project_id", f"DELETE FROM {table}"):
            assert await refusal(connection, statement) == "42501"
    owner = await asyncpg.connect(owner_url)
    try:
        assert await refusal(owner, f"UPDATE {table} SET project_id = project_id") == "SF002", "nor by the owner"
    finally:
        await owner.close()


async def test_nothing_is_prepared_without_a_decision_that_allows_exactly_this(world: World) -> None:
    run_id = await world.run(await world.workflow(ONE_STEP))
    _, held = await world.claimed(run_id)
    await prepared(world, held, proposal(), proposal(2, outcome="require_approval"))
    insert = "INSERT INTO calls SELECT (jsonb_populate_record(c, $1)).* FROM calls c WHERE seq = 1"
    async with world.database.pool.acquire() as connection:
        for changed in ({}, {"decision_id": None}, {"request_hash": "other"}):
            copy = {"seq": 3, "id": str(new_id()), **changed}
            assert await refusal(connection, insert, copy) == "SF004"
        prepare = "UPDATE calls SET status = 'prepared' WHERE seq = 2"
        assert await refusal(connection, prepare) == "SF004"
        question = await connection.fetchval("SELECT id FROM approvals")
        await answer_approval(world.engine, world.ben, question, approve=True, comment=None)
        assert await refusal(connection, prepare) == "SF004", "an approval counts once it is used"
