"""While a transaction is open, nothing else is waited for: what is awaited there is given the connection or session.

A row lock that waits for a network is a platform that waits for a network (rule 4 of AGENTS.md).
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from tools.lint.source import Rule, Source

_OPENERS: Final = frozenset({"begin", "transaction"})
_OPEN: Final = ("AsyncSession", "asyncpg.Connection", "Connection", "AsyncConnection", "QueriedProject", "NamedProject")
"""Who is given one of these is called while a transaction is open, or may be."""
_READY: Final = ("SessionDep", "AuditDep")
"""A transaction that begins with the first statement."""
_PLAIN: Final = ("local/", "cli/")
"""Their connections are used statement by statement."""
_SLEEPS: Final = frozenset({"sleep", "to_thread", "run_in_executor", "wait_for", "gather", "wait"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _find(source: Source) -> Iterator[tuple[int, str]]:
    for node in source.nodes:
        if isinstance(node, ast.AsyncWith) and any(_opens(item) for item in node.items):
            names = {name.id for item in node.items for name in _bound(item)}
            names |= {name.id for item in node.items for name in _named(item.context_expr) if _opens(item)}
            yield from _foreign(node.body, names)
        elif isinstance(node, ast.AsyncFunctionDef) and not (_only_reads(node) or source.within(*_PLAIN)):
            opened = _given(node, _OPEN)
            if given := opened | _given(node, _READY):
                yield from _foreign(node.body, given, opened=bool(opened))


def _opens(item: ast.withitem) -> bool:
    call = item.context_expr
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _OPENERS


def _bound(item: ast.withitem) -> Iterator[ast.Name]:
    if item.optional_vars is not None:
        yield from _named(item.optional_vars)


def _named(node: ast.AST) -> Iterator[ast.Name]:
    yield from (below for below in ast.walk(node) if isinstance(below, ast.Name))


def _only_reads(function: ast.AsyncFunctionDef) -> bool:
    """A GET has a session without a transaction."""
    return any(
        isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "get"
        for one in function.decorator_list
    )


def _given(function: ast.AsyncFunctionDef, types: Sequence[str]) -> set[str]:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return {one.arg for one in arguments if one.annotation is not None and _is_one_of(one.annotation, types)}


def _is_one_of(annotation: ast.expr, types: Sequence[str]) -> bool:
    text = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
    return isinstance(text, str) and text.partition("[")[0] in types


def _foreign(body: Sequence[ast.stmt], names: set[str], *, opened: bool = True) -> Iterator[tuple[int, str]]:
    """Yield what is awaited and has nothing to do with the connection, nor with what was made with it."""
    known = set(names)
    for statement in body:
        for node in _in_order(statement):
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.For | ast.AsyncFor | ast.withitem | ast.NamedExpr):
                _learn(node, known)
            if not isinstance(node, ast.Await):
                continue
            if not _mentions(node.value, known):
                if opened:
                    yield node.lineno, f"`{_short(node.value)}` is waited for within a transaction."
            elif _last_name(node.value) in _SLEEPS:
                yield node.lineno, f"`{_short(node.value)}` waits within a transaction."
            else:
                opened = True


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """Walk in the order of the text; functions that are only defined here are left out."""
    if not isinstance(node, Function | ast.Lambda):
        yield node
        for below in ast.iter_child_nodes(node):
            yield from _in_order(below)


def _learn(node: ast.AST, known: set[str]) -> None:
    match node:
        case ast.Assign(targets=targets, value=value):
            pairs = [(target, value) for target in targets]
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
            pairs = [(target, value)]
        case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
            pairs = [(target, value)]
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            pairs = [(target, value)]
        case _:
            pairs = []
    for target, value in pairs:
        if _mentions(value, known):
            known.update(name.id for name in _named(target))


def _mentions(node: ast.AST, known: set[str]) -> bool:
    return any(name.id in known for name in _named(node))


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None


def _short(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node)[:60]


RULE: Final = Rule("await-in-transaction", _find)
