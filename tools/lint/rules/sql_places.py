"""SQL stands where statements stand: in domains, the engine, migrations, and in `*_rows.py` of the API."""

from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source
from tools.lint.sql import Reader, is_statement, strings

PLACES: Final = (
    "core/db.py",
    "core/tenancy.py",
    "domains/",
    "engine/",
    "migrations/",
    "local/",
    "runtime/policies.py",
    "runtime/steps/model.py",
    "runtime/tools/sql_outlook.py",
    "runtime/tools/sql_privileges.py",
    "runtime/tools/sql_shape.py",
    "runtime/tools/sql_values.py",
    "worker/",
    "cli/",
)


def _find(source: Source) -> Iterator[tuple[int, str]]:
    if source.within(*PLACES) or (source.within("api/") and source.path.endswith("_rows.py")):
        return
    reader = Reader(source)
    for node in strings(source):
        if is_statement(reader.text(node)[0]):
            yield node.lineno, "SQL stands in a module of statements."


RULE: Final = Rule("sql-place", _find)
