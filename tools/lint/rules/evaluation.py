"""Text never becomes code: expressions are CEL (ADR 6), templates have no host objects, code runs elsewhere."""

import ast
from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source

_BUILTINS: Final = frozenset({"eval", "exec", "compile", "__import__"})
_CALLS: Final = frozenset(
    {"code.interact", "runpy.run_path", "runpy.run_module", "types.FunctionType", "types.CodeType", "ast.literal_eval"}
) | {f"builtins.{name}" for name in _BUILTINS}
_IMPORTERS: Final = frozenset({"importlib.import_module", "importlib.util.spec_from_file_location"})


def _find(source: Source) -> Iterator[tuple[int, str]]:
    for call, name in source.calls():
        if name in _CALLS or (name in _BUILTINS and name not in source.imports):
            yield call.lineno, f"`{name}` makes code or objects of text."
        elif name in _IMPORTERS and not (call.args and isinstance(call.args[0], ast.Constant)):
            yield call.lineno, "What is imported stands in the code; this name is computed."


RULE: Final = Rule("evaluation", _find)
