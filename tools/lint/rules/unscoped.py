"""A query of the ORM on rows that belong to a project carries the wall, or at least the project, in the same statement.

`visible_to` is the wall. A condition on `project_id` will do where the id came from what passed the wall before; so
will one on what a row has that passed it (`Agent.id == agent.id`), and one that the caller is who is meant.
"""

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from tools.lint.source import Rule, Source
from tools.lint.sql import project_models

_STATEMENTS: Final = frozenset({"select", "update", "delete", "exists"})
_WALLS: Final = frozenset({"visible_to", "visible"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _find(source: Source) -> Iterator[tuple[int, str]]:
    if not source.within("domains/", "api/"):
        return
    owned = project_models(str(source.root))
    helpers = _walled_helpers(source, owned)
    for function in _outermost(source):
        if _is_walled(function, helpers, owned):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and (names := _queried(source, node, owned)):
                yield node.lineno, f"This {_verb(source, node)} of {', '.join(names)} names no project."


def _outermost(source: Source) -> Iterator[Function]:
    for statement in source.tree.body:
        inside = statement.body if isinstance(statement, ast.ClassDef) else [statement]
        yield from (one for one in inside if isinstance(one, Function))


def _verb(source: Source, call: ast.Call) -> str:
    return (source.name_of(call.func) or "").rpartition(".")[2]


def _queried(source: Source, call: ast.Call, owned: Mapping[str, str]) -> list[str]:
    name = source.name_of(call.func) or ""
    module, _, function = name.rpartition(".")
    if function not in _STATEMENTS or not module.startswith("sqlalchemy"):
        return []
    models = {
        below.id
        for given in call.args
        for below in ast.walk(given)
        if isinstance(below, ast.Name) and below.id in owned
    }
    return sorted(models)


def _walled_helpers(source: Source, owned: Mapping[str, str]) -> frozenset[str]:
    """Functions of this file that give a condition or a statement which has the wall in it, directly or by another."""
    walled: frozenset[str] = frozenset()
    while True:
        more = frozenset(one.name for one in _outermost(source) if _is_walled(one, walled, owned))
        if more == walled:
            return walled
        walled = more


def _is_walled(function: Function, helpers: frozenset[str], owned: Mapping[str, str]) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    rows = {one.arg for one in arguments if isinstance(one.annotation, ast.Name) and one.annotation.id in owned}
    return any(_is_wall(node, helpers, rows) for node in ast.walk(function))


def _is_wall(node: ast.AST, helpers: frozenset[str], rows: set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in _WALLS or name in helpers
        case ast.Compare(left=ast.Attribute(attr="project_id"), ops=[ast.Eq()]):
            return True
        case ast.Compare(ops=[ast.Eq()], comparators=[ast.Attribute(value=ast.Name(id=name), attr=attr)]):
            return name in rows or (name == "principal" and attr == "user_id")
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="project_id"), attr="in_")):
            return True
    return False


RULE: Final = Rule("unscoped-query", _find)
