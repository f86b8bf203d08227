"""SQL stands where statements stand: in `queries.py` and its kin, the engine, migrations, and few doors."""

from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source
from tools.lint.sql import Reader, is_statement, strings

PLACES: Final = (
    "core/db.py",
    "domains/",
    "engine/",
    "migrations/",
    "local/",
    "api/run_rows.py",
    "api/budget_rows.py",
    "runtime/policies.py",
    "runtime/steps/model.py",
    "runtime/tools/sql_privileges.py",
    "runtime/tools/sql_values.py",
    "worker/",
    "cli/",
)


def _find(source: Source) -> Iterator[tuple[int, str]]:
    if source.within(*PLACES):
        return
    reader = Reader(source)
    for node in strings(source):
        if is_statement(reader.text(node)[0]):
            yield node.lineno, "SQL stands in a module of statements."


RULE: Final = Rule("sql-place", _find)
