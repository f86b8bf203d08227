"""The table of guards fits the product as it is now."""

import re
from pathlib import Path

import pytest

from sparkops.migrations.functions import sources
from tests.mutation.guards import GUARDS, Guard
from tests.mutation.guards.guard import SOURCES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_stands_where_the_table_says(guard: Guard) -> None:
    functions, files = guard.functions(), guard.files()
    assert {*functions, *files} == {where for where, _, _ in guard.edits}
    assert all(text != sources()[f"{name}.sql"] for name, text in functions.items())
    for path, text in files.items():
        assert text != (SOURCES / path).read_text(encoding="utf-8")
        compile(text, path, "exec")
    assert guard.edits or guard.schema


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_test_that_should_notice_is_there(guard: Guard) -> None:
    path, _, name = guard.where.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not name or re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)


def test_every_guard_has_a_name_of_its_own() -> None:
    names = [guard.name for guard in GUARDS]
    assert len(set(names)) == len(names) >= 400
