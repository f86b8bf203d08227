"""The table of guards fits the functions as they are now."""

import pytest

from sparkops.migrations.functions import sources
from tests.mutation.guards import GUARDS, Guard


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_stands_where_the_table_says(guard: Guard) -> None:
    changed = guard.mutate()
    assert all(text != sources()[f"{name}.sql"] for name, text in changed.items())


def test_every_guard_has_a_name_of_its_own() -> None:
    names = [guard.name for guard in GUARDS]
    assert len(set(names)) == len(names) >= 40
