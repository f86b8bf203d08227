"""A door's statement on rows that belong to a project says which projects the caller may see."""

import re
from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source
from tools.lint.sql import Reader, is_statement, project_models, strings

DOORS: Final = ("api/",)
_TABLES: Final = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(?:ONLY\s+)?(\w+)")
_SCOPE: Final = re.compile(r"\b(memberships|project_id)\b")


def _find(source: Source) -> Iterator[tuple[int, str]]:
    if not source.within(*DOORS):
        return
    reader = Reader(source)
    owned = set(project_models(str(source.root)).values())
    for node in strings(source):
        text, _ = reader.text(node)
        tables = sorted(owned.intersection(_TABLES.findall(text)))
        if is_statement(text) and tables and _SCOPE.search(text) is None:
            yield node.lineno, f"It reads {', '.join(tables)} and names neither `memberships` nor `project_id`."


RULE: Final = Rule("sql-scope", _find)
