"""Every ordered pair of transactions, B within or after A, A ending in each of four ways: what was promised holds.

`make test` plays one case in 32, `make proof` all of them: 64 x 64 pairs x 2 orders x 4 endings are 32,768.

A fault in one case is told with its name, such as `REAP then COMPLETE within, cut after commit, unsafe`.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from uuid import UUID
from zlib import crc32

import pytest

from sparkops.core.db import PLANNED_FOR_MANY
from sparkops.engine.events import match_unmatched
from sparkops.engine.invariants import audit
from sparkops.engine.sweep import advance_forgotten
from sparkops.engine.wake import wake_due, wake_forgotten
from tests.crash.interleavings.cases import Case, prepare_case, store_workflows
from tests.crash.interleavings.drive import Kept, finish, wrong
from tests.crash.interleavings.play import Ending, Order, play
from tests.crash.interleavings.registry import TRANSACTIONS
from tests.crash.interleavings.transaction import Transaction
from tests.engine.conftest import World
from tests.tiers import WHOLE, in_tier


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("a", TRANSACTIONS, ids=lambda a: a.name)
async def test_nothing_that_was_promised_is_lost_when(
    world: World, a: Transaction, record_property: Callable[[str, object], None]
) -> None:
    await store_workflows(world)
    epoch = (await world.worker()).epoch
    cases = dict[UUID, Case]()
    kept = dict[UUID, Kept]()
    for number, (b, order, ending, effect_class) in enumerate(chosen(a)):
        name = f"{a.name} then {b.name} {order}, {ending}, {effect_class}"
        case = await prepare_case(world, name, effect_class, epoch, undo=number % 4 > 1)
        cases[case.run_id], kept[case.run_id] = case, {"A": a.kept, "B": b.kept}
        try:
            await play(case, a, b, order, ending)
        except Exception as error:
            raise AssertionError(name) from error
        await world.sql("UPDATE halts SET released_at = clock_timestamp() WHERE released_at IS NULL")
        for each in (a, b):
            await each.after(case)
    record_property("played", len(cases))
    await wake_due(world.engine)
    await wake_forgotten(world.engine)
    await match_unmatched(world.engine)
    for _ in cases:  # as often as sweeps would, until there is none
        if not await advance_forgotten(world.engine):
            break
    found = await broken_rules(world, cases)
    await finish(world, cases)
    found += await broken_rules(world, cases)
    for run_id, case in cases.items():
        found += await wrong(case, kept[run_id])
    assert found == []
    assert any("A" in case.said for case in cases.values()) or not WHOLE, "it was refused in every case"


def chosen(a: Transaction) -> Iterator[tuple[Transaction, Order, Ending, str]]:
    """The cases of this test. Half of the pairs have an effect that must not be repeated."""
    first = TRANSACTIONS.index(a)
    for second, b in enumerate(TRANSACTIONS):
        for place, (order, ending) in enumerate(product(Order, Ending)):
            if in_tier(crc32(f"{a.name} {b.name} {place}".encode()), one_in=32):
                yield b, order, ending, ("unsafe", "idempotent")[(first + second + place) % 2]


_RUN_OF = """
SELECT run_id FROM steps WHERE id = $1 UNION SELECT run_id FROM calls WHERE id = $1
UNION SELECT scope_id FROM budgets WHERE id = $1 UNION SELECT run_id FROM approvals WHERE id = $1
"""


async def broken_rules(world: World, cases: Mapping[UUID, Case]) -> list[str]:
    """Return what the audit finds, each row with the case it belongs to."""
    found = []
    async with world.database.pool.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL statement_timeout = '60s'; {PLANNED_FOR_MANY}")
        violations = await audit(connection)
    for violation in violations:
        for row in violation.rows:
            run_id = await world.database.pool.fetchval(_RUN_OF, row["subject"]) or row["subject"]
            name = cases[run_id].name if run_id in cases else "another run"
            found.append(f"{name}: {violation.invariant.name}: {row}")
    return found
