"""The schema: one step down and up, no difference to the models, and guards that say the same as the code."""

from typing import Any

import pytest

from sparkops.core.db import Database
from sparkops.core.transitions import Machine, pairs
from sparkops.domains.approvals.state import APPROVAL_MACHINE
from sparkops.domains.budgets.state import RESERVATION_MACHINE
from sparkops.domains.bus.state import OUTBOX_MACHINE
from sparkops.domains.effects.state import CALL_MACHINE
from sparkops.domains.runs.state import RUN_MACHINE, STEP_MACHINE
from sparkops.migrations import runner

MACHINES: dict[str, Machine[Any]] = {
    "runs": RUN_MACHINE,
    "steps": STEP_MACHINE,
    "calls": CALL_MACHINE,
    "approvals": APPROVAL_MACHINE,
    "reservations": RESERVATION_MACHINE,
    "outbox": OUTBOX_MACHINE,
}


async def test_every_step_down_can_be_gone_up_again(owner_url: str) -> None:
    while await runner.current(owner_url) is not None:
        await runner.downgrade(owner_url, 1)
    await runner.upgrade(owner_url)
    await runner.check(owner_url)


async def test_the_models_and_the_migrated_schema_are_the_same(owner_url: str) -> None:
    await runner.check(owner_url)


@pytest.mark.parametrize("table", MACHINES)
async def test_the_trigger_of_a_table_holds_the_transitions_of_its_machine(database: Database, table: str) -> None:
    listed = await database.pool.fetchval(
        "SELECT encode(tgargs, 'escape') FROM pg_trigger WHERE tgname = 'guard_transition' AND tgrelid = $1::regclass",
        table,
    )
    words = listed.replace("\\000", "").split()
    assert sorted(words) == [f"{source}>{target}" for source, target in pairs(MACHINES[table])]
