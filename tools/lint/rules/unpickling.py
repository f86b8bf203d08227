"""Bytes never become objects of arbitrary types: data is JSON, read into closed models."""

import ast
from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source

_MODULES: Final = frozenset(
    {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle", "xmlrpc"}
)
_MEANT: Final = frozenset({"pickle", "application/x-python-serialize"})


def _find(source: Source) -> Iterator[tuple[int, str]]:
    for statement, module in source.modules():
        if module.partition(".")[0] in _MODULES:
            yield statement.lineno, f"`{module}` makes objects of any type from bytes."
    for node in source.nodes:
        if isinstance(node, ast.Constant) and node.value in _MEANT:
            yield node.lineno, "No message or file is pickled; serialisers are JSON."


RULE: Final = Rule("unpickling", _find)
