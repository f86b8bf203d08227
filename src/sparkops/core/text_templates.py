"""Text templates: the part of minijinja whose cost is bounded by the data it is given.

Fuel bounds its steps but not what one step builds, so that nothing is left that can multiply: no assignments, no
repetition, no lists written out, no filters that pad or replace without end; what is printed is counted as it comes.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

import minijinja

from sparkops.core.errors import SparkOpsError
from sparkops.core.expression_text import Problem, problem_at
from sparkops.core.json import Json, dumps

MAX_TEMPLATE = 65_536
MAX_OUTPUT = 1_048_576
MAX_JOINS = 16
MAX_LOOP_DEPTH = 4
_FUEL = 1_000_000

_BLOCK = re.compile(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_TOKEN = re.compile(r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<name>[^\W\d]\w*)|(?P<mark>\*\*|[^\s\w])""")
_STATEMENTS = frozenset({"for", "endfor", "if", "elif", "else", "endif"})
_FILTERS = frozenset(
    {"abs", "bool", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "join"}
    | {"last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select"}
    | {"selectattr", "sort", "split", "string", "sum", "title", "tojson", "trim", "unique", "upper"}
)


class TemplateError(SparkOpsError):
    """A text template could not be filled with this data."""

    code, title = "template-failed", "The template could not be filled"


def template_problem(source: str, names: Collection[str] | None) -> Problem | None:
    """Return the first thing wrong with a template; `names` are the keys of its data, if they are known."""
    if len(source) > MAX_TEMPLATE:
        return Problem(f"the template is longer than {MAX_TEMPLATE:,} characters")
    problem = _refused(source)
    if problem is not None:
        return problem
    environment = _environment(lambda value: value)
    try:
        environment.add_template("template", source)
    except minijinja.TemplateError as error:
        start = error.range[0] if error.range else 0
        offset = len(source.encode()[:start].decode(errors="ignore"))
        return problem_at(source, offset, f"not a valid template: {error.detail or error.kind}")
    return _undeclared(environment, source, names)


def render_template(source: str, data: Json) -> str:
    """Return the template filled: it sees the keys of `data`, if that is a map, and `data` itself.

    Raises:
        TemplateError: the template is not valid, a value is missing, or it prints too much.
    """
    problem = template_problem(source, None)
    if problem is not None:
        raise TemplateError(f"line {problem.line}: {problem.message}")
    printed = _Printed()
    try:
        text = _environment(printed).render_str(source, **_context(data))
    except minijinja.TemplateError as error:
        reason = "it takes too many steps" if error.kind == "OutOfFuel" else error.detail or error.kind
        raise TemplateError(f"line {error.line}: {reason}") from error
    if len(text) > MAX_OUTPUT:
        raise TemplateError(_TOO_MUCH)
    return text


_TOO_MUCH = f"the text is longer than {MAX_OUTPUT:,} characters"


class _Printed:
    """Writes each printed value as text, and refuses to go on where it has become too much."""

    def __init__(self) -> None:
        self.left = MAX_OUTPUT

    def __call__(self, value: Any) -> str:
        text = value if isinstance(value, str) else _written(value)
        self.left -= len(text)
        if self.left < 0:
            raise TemplateError(_TOO_MUCH)
        return text


def _written(value: Any) -> str:
    return "" if value is None else dumps(value).decode()


def _context(data: Json) -> Mapping[str, Json]:
    return {**(data if isinstance(data, dict) else {}), "data": data}


def _environment(finalizer: Any) -> minijinja.Environment:
    environment = minijinja.Environment(
        debug=True, fuel=_FUEL, undefined_behavior="strict", finalizer=finalizer, pycompat=False
    )
    environment.auto_escape_callback = lambda name: False
    for name in ("range", "dict", "namespace", "debug"):
        environment.remove_global(name)
    environment.add_filter("join", _join)
    return environment


def _join(values: Any, separator: str = "") -> str:
    texts = [value if isinstance(value, str) else _written(value) for value in values]
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_OUTPUT:
        raise TemplateError(_TOO_MUCH)
    return separator.join(texts)


def _undeclared(environment: minijinja.Environment, source: str, names: Collection[str] | None) -> Problem | None:
    if names is None:
        return None
    unknown = sorted(environment.undeclared_variables_in_str(source) - {*names, "data"})
    if not unknown:
        return None
    match = re.search(rf"\b{re.escape(unknown[0])}\b", source)
    offset = match.start() if match else 0
    return problem_at(source, offset, f"the template mentions {unknown[0]}, which data does not hold")


def _refused(source: str) -> Problem | None:
    """Return the first thing in the template that this subset leaves out."""
    depth = joins = 0
    for block in _BLOCK.finditer(source):
        if block[0].startswith("{#"):
            continue
        inner = [token for token in _TOKEN.finditer(block[0], 2, len(block[0]) - 2) if token[0] != "-"]
        if block[0].startswith("{%") and inner:
            if inner[0][0] not in _STATEMENTS:
                hint = "a template knows for and if; compute values in data"
                return problem_at(source, block.start() + inner[0].start(), f"{inner[0][0]} is not available", hint)
            depth += {"for": 1, "endfor": -1}.get(inner[0][0], 0)
        joins += sum(token[0] in ("~", "+") for token in inner)
        reason = _refused_token(inner, block[0].startswith("{%"))
        if reason is not None:
            return problem_at(source, block.start() + reason[0], reason[1], "compute it in data with an expression")
        if depth > MAX_LOOP_DEPTH or joins > MAX_JOINS:
            most = f"{MAX_LOOP_DEPTH} loops in each other and {MAX_JOINS} uses of + and ~"
            return problem_at(source, block.start(), f"a template may have {most} at most")
    return None


def _refused_token(inner: list[re.Match[str]], statement: bool) -> tuple[int, str] | None:
    for index, token in enumerate(inner):
        before = inner[index - 1] if index else None
        if token[0] in ("*", "**"):
            return token.start(), f"{token[0]} is not available in a template"
        if token[0] == "{" or (token[0] == "[" and not _indexes(before, statement and index == 1)):
            return token.start(), "a template cannot write out lists and maps"
        if before is not None and before[0] == "|" and token[0] not in _FILTERS:
            return token.start(), f"the filter {token[0]} is not available"
    return None


def _indexes(before: re.Match[str] | None, first: bool) -> bool:
    if before is None or first:
        return False
    if before.lastgroup == "name":
        return before[0] not in ("in", "if", "elif", "else", "and", "or", "not", "is")
    return before[0] in ("]", ")")
