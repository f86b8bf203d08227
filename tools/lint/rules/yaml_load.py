"""YAML is read by `core/document.py` alone, event by event: no tags, no objects, every size bounded."""

import ast
from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source

_READERS: Final = frozenset({"load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"})
READER: Final = "core/document.py"


def _find(source: Source) -> Iterator[tuple[int, str]]:
    for call, name in source.calls():
        module, _, function = name.rpartition(".")
        if module in ("yaml", "ruamel.yaml") and function in _READERS:
            yield call.lineno, f"`{name}` makes objects that a document's tags name."
        elif function == "YAML" and module.startswith("ruamel") and _kind(call) not in (None, "safe", "rt", "pure"):
            yield call.lineno, f"A YAML reader of kind {_kind(call)!r} makes objects that a document's tags name."
    if source.within(READER):
        return
    for statement, name in source.modules():
        if name == "yaml" or name.startswith("yaml."):
            yield statement.lineno, f"YAML is read by {READER}."


def _kind(call: ast.Call) -> object:
    given = next((word.value for word in call.keywords if word.arg == "typ"), call.args[0] if call.args else None)
    if given is None:
        return None
    return given.value if isinstance(given, ast.Constant) else "computed"


RULE: Final = Rule("yaml-load", _find)
