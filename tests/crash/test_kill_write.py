"""A worker is killed while it writes to a database outside: nothing is written twice, and people are asked."""

from collections.abc import AsyncIterator

import pytest

from sparkops.core.json import dumps
from sparkops.local.stack import EmbeddedServers
from tests.crash.children import CONNECTIONS
from tests.crash.test_kill import killed
from tests.engine.conftest import World
from tests.engine.sink import listening
from tests.reused import Clone
from tests.runtime.bank import Bank, opened_bank

PAY = """
version: 1
name: pay
steps:
  - id: pay
    type: tool
    tool: sql.execute
    with: {connection: bank, sql: "UPDATE accounts SET balance = balance + 1 WHERE id = 1"}
"""


@pytest.fixture
async def bank(postgres_server: EmbeddedServers) -> AsyncIterator[Bank]:
    async with opened_bank(postgres_server) as made:
        yield made


@pytest.mark.parametrize(("point", "written"), [("after_prepare", 0), ("before_send", 0), ("after_send", 1)])
async def test_a_write_whose_worker_was_killed_is_in_doubt_and_never_sent_again(
    world: World, clone: Clone, bank: Bank, point: str, written: int
) -> None:
    given = {"bank": {"url": bank.url, "write": True, "projects": ["*"]}}
    (world.settings.data_dir / CONNECTIONS).write_bytes(dumps(given))
    run_id = await world.run(await world.workflow(PAY))
    async with listening() as sink:
        await killed(world, clone, sink, point)
    await world.work_until(run_id, "attention")
    (call,) = await world.calls(run_id)
    assert (call["status"], call["sends"]) == ("unknown", 1)
    assert (await world.steps(run_id))["pay"]["status"] == "uncertain"
    assert await bank.value("SELECT balance FROM accounts WHERE id = 1") == 10 + written
