"""What is SQL in a file, and which of its text stands in the code."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from tools.lint.source import Source

_STATEMENT: Final = re.compile(
    r"^\s*\(?\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+(\s+(AS\s+)?\w+)?\s+SET\s|DELETE\s+FROM\s|WITH\s+(RECURSIVE\s+)?\w+\s+AS\s"
    r"|CREATE\s+(TABLE|ROLE|DATABASE|INDEX|FUNCTION|OR\s|SCHEMA|TRIGGER|POLICY|UNIQUE|EXTENSION|SUBSCRIPTION|VIEW)"
    r"|ALTER\s+(TABLE|ROLE|DATABASE|FUNCTION|SYSTEM|INDEX)|DROP\s+(TABLE|ROLE|DATABASE|INDEX|FUNCTION|TRIGGER|POLICY|VIEW)"
    r"|TRUNCATE\s|GRANT\s|REVOKE\s|COPY\s+\w+|LOCK\s+TABLE\s|SET\s+LOCAL\s|LISTEN\s|NOTIFY\s|EXPLAIN\s)"
)
_CONSTANT: Final = re.compile(r"^_{0,2}[A-Z][A-Z0-9_]*$")
_BUILDERS: Final = frozenset({"format", "join", "strip", "replace", "format_map"})
_PEOPLE: Final = "User"
"""Somebody is of no project; only a service account names its own."""
_MARKERS: Final = frozenset({"mark"})
"""Functions that take an argument of a statement and give its mark there."""
_DYNAMIC: Final = "\0"

Names = Mapping[str, list[ast.expr] | None]
"""What a scope gives names; None: anything, for it is a parameter."""


def is_statement(text: str) -> bool:
    """Say whether a text is a statement, as this code base writes them: in capitals."""
    return _STATEMENT.match(text) is not None


def strings(source: Source) -> Iterator[ast.expr]:
    """Yield the outermost expressions of text in a file, docstrings left out."""
    inner: set[int] = set()
    for node in source.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inner.add(id(node.value))
        elif isinstance(node, ast.expr) and is_text(node):
            inner.update(id(below) for below in ast.walk(node) if below is not node)
    for node in source.nodes:
        if isinstance(node, ast.expr) and is_text(node) and id(node) not in inner:
            yield node


def is_text(node: ast.expr) -> bool:
    """Say whether an expression is a literal text or puts texts together."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
            return is_text(left) or (isinstance(node.op, ast.Add) and is_text(right))
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _BUILDERS:
            return is_text(value)
    return False


class Reader:
    """Reads what text an expression stands for, as far as it stands in the code."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._module = _assigned(source.tree.body)
        self._scopes = _functions(source)

    def text(self, node: ast.expr) -> tuple[str, list[str]]:
        """Return the text, and the parts of it that are computed, as they are written."""
        dynamic: list[str] = []
        scope = self._scopes.get(id(node), {})
        return self._read(node, scope, dynamic, frozenset()), dynamic

    def _read(self, node: ast.expr, scope: Names, dynamic: list[str], seen: frozenset[str]) -> str:
        match node:
            case ast.Constant(value=value):
                return str(value)
            case ast.JoinedStr(values=values):
                return self._joined(values, scope, dynamic, seen)
            case ast.Name(id=name):
                return self._named(node, name, scope, dynamic, seen)
            case ast.Call():
                return self._called(node, scope, dynamic, seen)
            case ast.GeneratorExp(elt=element, generators=loops) | ast.ListComp(elt=element, generators=loops):
                given = {loop.target.id: [loop.iter] for loop in loops if isinstance(loop.target, ast.Name)}
                return self._read(element, {**scope, **given}, dynamic, seen - set(given))
            case ast.Attribute(attr=name) if _CONSTANT.match(name):
                return ""
        parts = _parts(node)
        if parts is None:
            return self._computed(node, dynamic)
        return " ".join(self._read(part, scope, dynamic, seen) for part in parts)

    def _joined(self, values: list[ast.expr], scope: Names, dynamic: list[str], seen: frozenset[str]) -> str:
        text = ""
        for value in values:
            if isinstance(value, ast.FormattedValue):
                if not text.endswith("$"):  # `${number}` is the mark of an argument
                    text += self._read(value.value, scope, dynamic, seen)
            else:
                text += self._read(value, scope, dynamic, seen)
        return text

    def _named(self, node: ast.expr, name: str, scope: Names, dynamic: list[str], seen: frozenset[str]) -> str:
        values = scope[name] if name in scope else self._module.get(name)
        if name not in scope and name in self._source.imports and _CONSTANT.match(name):
            return ""
        if values is None or name in seen:
            return self._computed(node, dynamic)
        return " ".join(self._read(value, scope, dynamic, seen | {name}) for value in values)

    def _called(self, node: ast.Call, scope: Names, dynamic: list[str], seen: frozenset[str]) -> str:
        if _last(node.func) in _MARKERS:
            return ""
        if isinstance(node.func, ast.Name) and node.func.id in ("int", "len"):
            return "0"
        if isinstance(node.func, ast.Attribute) and node.func.attr in _BUILDERS:
            parts = [node.func.value, *node.args, *(word.value for word in node.keywords)]
            return " ".join(self._read(part, scope, dynamic, seen) for part in parts)
        return self._computed(node, dynamic)

    def _computed(self, node: ast.expr, dynamic: list[str]) -> str:
        dynamic.append(ast.unparse(node))
        return _DYNAMIC


def _parts(node: ast.expr) -> list[ast.expr] | None:
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
            return [left, right]
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return parts
        case ast.Dict(keys=keys):
            return [key for key in keys if key is not None]
        case ast.Starred(value=value):
            return [value]
    return None


def _last(node: ast.expr) -> str | None:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None


def _assigned(body: list[ast.stmt]) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found.setdefault(name, []).append(value)
            case ast.AugAssign(target=ast.Name(id=name), value=value) | ast.For(target=ast.Name(id=name), iter=value):
                found.setdefault(name, []).append(value)
    return found


def _functions(source: Source) -> dict[int, Names]:
    """Return, for each node within a function, what that function gives names."""
    scopes: dict[int, Names] = {}
    for function in source.nodes:
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            given = _given(function)
            for node in ast.walk(function):
                scopes[id(node)] = given  # the walk is from the outside: the innermost function comes last
    return scopes


def _given(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Names:
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.stmt):
            for name, values in _assigned([node]).items():
                found.setdefault(name, []).extend(values)
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return {**found, **{argument.arg: None for argument in arguments}}


@lru_cache(maxsize=4)
def project_models(root: str) -> Mapping[str, str]:
    """Return the table of each ORM class whose rows belong to a project: {"Run": "runs"}."""
    found: dict[str, str] = {}
    for path in sorted((Path(root) / "src/sparkops/domains").glob("*/models.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name != _PEOPLE:
                names = _assigned(node.body)
                annotated = {
                    part.target.id
                    for part in node.body
                    if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
                }
                table = names.get("__tablename__")
                if table and "project_id" in annotated and isinstance(table[0], ast.Constant):
                    found[node.name] = str(table[0].value)
    return found
