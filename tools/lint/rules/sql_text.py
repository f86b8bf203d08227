"""A statement's text stands in the code; what is asked for becomes an argument of it."""

import ast
from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source
from tools.lint.sql import Reader, is_statement, is_text, strings

_SENDERS: Final = frozenset(
    {"execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany", "prepare", "cursor", "exec_driver_sql"}
)
_TEXTS: Final = frozenset({"sqlalchemy.text", "sqlalchemy.literal_column", "sqlalchemy.DDL", "alembic.op.execute"})


def _find(source: Source) -> Iterator[tuple[int, str]]:
    if source.within("migrations/"):  # they read their own catalogue; nothing that anybody sends reaches them
        return
    reader = Reader(source)
    told: set[int] = set()
    for node in strings(source):
        text, dynamic = reader.text(node)
        if dynamic and is_statement(text):
            told.add(node.lineno)
            yield node.lineno, f"This statement is put together from what is computed: {_list(dynamic)}."
    for call, given in _sent(source):
        _, dynamic = reader.text(given)
        if dynamic and is_text(given) and given.lineno not in told:
            yield call.lineno, f"What is sent is put together from what is computed: {_list(dynamic)}."


def _sent(source: Source) -> Iterator[tuple[ast.Call, ast.expr]]:
    for node in source.nodes:
        if isinstance(node, ast.Call) and node.args:
            sends = isinstance(node.func, ast.Attribute) and node.func.attr in _SENDERS
            if sends or source.name_of(node.func) in _TEXTS:
                yield node, node.args[0]


def _list(parts: list[str]) -> str:
    return ", ".join(f"`{part}`" for part in sorted(set(parts))[:4])


RULE: Final = Rule("sql-text", _find)
