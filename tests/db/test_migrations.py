"""The schema: one step down and up, no difference to the models, and guards that say the same as the code."""

from typing import Any

import asyncpg
import pytest

from sparkops.core.db import Database
from sparkops.core.transitions import Machine, pairs
from sparkops.domains.approvals.state import APPROVAL_MACHINE
from sparkops.domains.budgets.state import RESERVATION_MACHINE
from sparkops.domains.bus.state import OUTBOX_MACHINE
from sparkops.domains.effects.state import CALL_MACHINE
from sparkops.domains.policies.state import BACKTEST_MACHINE, VIOLATION_MACHINE
from sparkops.domains.projects.state import DELETION_MACHINE
from sparkops.domains.runs.state import RUN_MACHINE, STEP_MACHINE
from sparkops.migrations import runner

MACHINES: dict[str, Machine[Any]] = {
    "runs": RUN_MACHINE,
    "steps": STEP_MACHINE,
    "calls": CALL_MACHINE,
    "approvals": APPROVAL_MACHINE,
    "reservations": RESERVATION_MACHINE,
    "outbox": OUTBOX_MACHINE,
    "violations": VIOLATION_MACHINE,
    "backtests": BACKTEST_MACHINE,
    "project_deletions": DELETION_MACHINE,
}


async def test_every_step_down_can_be_gone_up_again(owner_url: str) -> None:
    while await runner.current(owner_url) is not None:
        await runner.downgrade(owner_url, 1)
    await runner.upgrade(owner_url)
    await runner.check(owner_url)


async def test_the_models_and_the_migrated_schema_are_the_same(owner_url: str) -> None:
    await runner.check(owner_url)


async def test_a_function_that_another_program_left_gives_way_whatever_it_returned(
    owner_url: str, database: Database
) -> None:
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("DROP FUNCTION engine.freed(uuid[])")
        await owner.execute("CREATE FUNCTION engine.freed(p_other uuid[]) RETURNS int LANGUAGE sql AS 'SELECT 1'")
        await owner.execute("CREATE FUNCTION engine.gone() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        await owner.execute("COMMENT ON SCHEMA engine IS 'functions of another program'")
        await runner.upgrade(owner_url)
        assert await owner.fetchval("SELECT engine.freed('{}')::text") != "1"
        assert await owner.fetchval("SELECT to_regproc('engine.gone')") is None
    finally:
        await owner.close()


@pytest.mark.parametrize("table", MACHINES)
async def test_the_trigger_of_a_table_holds_the_transitions_of_its_machine(database: Database, table: str) -> None:
    listed = await database.pool.fetchval(
        "SELECT encode(tgargs, 'escape') FROM pg_trigger WHERE tgname = 'guard_transition' AND tgrelid = $1::regclass",
        table,
    )
    words = listed.replace("\\000", "").split()
    assert sorted(words) == [f"{source}>{target}" for source, target in pairs(MACHINES[table])]
