"""Which tables are partitions, by name."""

import pytest

from sparkops.migrations.partitions import is_partition


@pytest.mark.parametrize("name", ["calls_2026_11", "events_default", "step_attempts_2027_01"])
def test_partitions_are_known_by_their_names(name: str) -> None:
    assert is_partition(name)


@pytest.mark.parametrize("name", ["calls", "calls_2026", "runs_2026_11", "old_calls_2026_11", "calls_2026_11_old"])
def test_other_tables_are_not_taken_for_partitions(name: str) -> None:
    assert not is_partition(name)
