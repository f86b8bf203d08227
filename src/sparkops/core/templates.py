"""Values that hold `${{ expressions }}`: any JSON value whose strings are scanned, compiled once and rendered often.

A string that is one expression and nothing else (but space around it) takes the expression's value and type. Mixed
with text it becomes text: texts and numbers as they are, `true` and `false`, nothing for null, JSON for lists and maps.
Keys of maps are never scanned. To write `${{` itself, write `${{ '${{' }}`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sparkops.core.expression_text import Problem, problem_at
from sparkops.core.expressions import (
    Expression,
    ExpressionError,
    ExpressionInvalid,
    ValueType,
    compile_expression,
    referenced,
)
from sparkops.core.json import Json, dumps

OPEN, CLOSE = "${{", "}}"
MAX_RENDERED = 1_048_576
"""Characters of one rendered text."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Piece:
    """A part of a string: literal text, or the source of an expression, with the offset where it starts."""

    text: str
    offset: int
    is_expression: bool


@dataclass(frozen=True)
class Template:
    """A compiled string."""

    parts: tuple[str | Expression, ...]

    def render(self, bindings: Mapping[str, object]) -> Json:
        """Return the expression's value if there is nothing else, the text otherwise.

        Raises:
            ExpressionError: an expression failed, or the text has grown too large.
        """
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return self.parts[0].evaluate(bindings)
        text = "".join(part if isinstance(part, str) else as_text(part.evaluate(bindings)) for part in self.parts)
        if len(text) > MAX_RENDERED:
            raise ExpressionError(f"the text is longer than {MAX_RENDERED:,} characters", reason="text too long")
        return text


Node = Template | dict[str, "Node"] | list["Node"] | str | int | float | bool | None


@dataclass(frozen=True)
class CompiledValue:
    """A JSON value with its expressions compiled; `variables` are all the declared names they mention."""

    root: Node
    variables: frozenset[str]

    def render(self, bindings: Mapping[str, object]) -> Json:
        """Return the value with every expression evaluated. Raises ExpressionError as `Template.render` does."""
        return _render(self.root, bindings)


def scan(text: str) -> list[Piece]:
    """Split a string into literal text and expressions, in order; empty text is left out.

    Raises:
        ExpressionInvalid: an expression is not closed.
    """
    pieces: list[Piece] = []
    position = 0
    while (start := text.find(OPEN, position)) >= 0:
        if start > position:
            pieces.append(Piece(text[position:start], position, False))
        inside = start + len(OPEN)
        end = _closing(text, inside)
        if end is None:
            raise ExpressionInvalid([problem_at(text, start, "${{ is not closed", "close it with }}")])
        pieces.append(Piece(text[inside:end], inside, True))
        position = end + len(CLOSE)
    if position < len(text):
        pieces.append(Piece(text[position:], position, False))
    return pieces


def unwrap(text: str) -> tuple[str, int]:
    """Return the expression of a string that is bare or wrapped in `${{ }}`, and the offset where it starts.

    Raises:
        ExpressionInvalid: there is text around the expression, or it is not closed.
    """
    if OPEN not in text:
        return text, 0
    pieces = _without_space(scan(text))
    if len(pieces) != 1 or not pieces[0].is_expression:
        raise ExpressionInvalid([problem_at(text, 0, "one expression is expected here, without text around it")])
    return pieces[0].text, pieces[0].offset


def compile_template(text: str, variables: Mapping[str, ValueType], *, allow_map: bool = True) -> Template | str:
    """Return the compiled string, or the string itself if it holds no expression.

    Raises:
        ExpressionInvalid: with every problem of every expression in it, offsets counted in the whole string.
    """
    pieces = _without_space(scan(text))
    if not any(piece.is_expression for piece in pieces):
        return text
    parts: list[str | Expression] = []
    problems: list[Problem] = []
    for piece in pieces:
        try:
            compiled = (
                compile_expression(piece.text, variables, allow_map=allow_map) if piece.is_expression else piece.text
            )
            parts.append(compiled)
        except ExpressionInvalid as error:
            problems += [shifted(problem, text, piece.offset) for problem in error.problems]
    if problems:
        raise ExpressionInvalid(problems)
    return Template(tuple(parts))


def compile_value(value: Json, variables: Mapping[str, ValueType], *, allow_map: bool = True) -> CompiledValue:
    """Return the compiled value.

    Raises:
        ExpressionInvalid: with the problems of all strings, each with the path of its string.
    """
    compiler = _Compiler(variables, allow_map)
    root = compiler.compile(value, ())
    if compiler.problems:
        raise ExpressionInvalid(compiler.problems)
    return CompiledValue(root, frozenset(compiler.variables))


def mentioned(value: Json, variables: Mapping[str, object]) -> frozenset[str]:
    """Return the declared variables that the value's expressions mention, without compiling them."""
    names: set[str] = set()
    for _, text in strings(value):
        for piece in scan(text):
            if piece.is_expression:
                names |= referenced(piece.text, variables)
    return frozenset(names)


def holds_expressions(value: Json) -> bool:
    """True if any string in the value holds an expression."""
    return any(OPEN in text for _, text in strings(value))


def strings(value: Json, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every string in the value, but not the keys of maps, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from strings(item, (*path, index))


def shifted(problem: Problem, text: str, offset: int) -> Problem:
    """Return the problem of an expression as one of the whole string, in which it starts at the offset."""
    moved = problem_at(text, problem.offset + offset, problem.message, problem.hint, problem.name)
    return replace(moved, path=problem.path)


def as_text(value: Json) -> str:
    """Return a value as it stands in mixed text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return dumps(value).decode()


def _closing(text: str, position: int) -> int | None:
    """Return where the expression that starts here ends: the first `}}` outside its texts and braces."""
    depth = 0
    while position < len(text):
        character = text[position]
        if character in "\"'":
            after = _after_quoted(text, position)
            if after is None:
                break
            position = after
            continue
        if character == "{":
            depth += 1
        elif character == "}":
            if depth == 0 and text.startswith(CLOSE, position):
                return position
            depth -= 1
        position += 1
    # A text that is not closed swallows the end: take the next `}}`, and let CEL say what is wrong.
    end = text.find(CLOSE, position)
    return end if end >= 0 and position < len(text) else None


def _after_quoted(text: str, start: int) -> int | None:
    quote = text[start]
    mark = quote * 3 if text.startswith(quote * 3, start) else quote
    raw = start > 0 and text[start - 1] in "rR"
    position = start + len(mark)
    while position < len(text):
        if text.startswith(mark, position):
            return position + len(mark)
        position += 2 if text[position] == "\\" and not raw else 1
    return None


def _without_space(pieces: list[Piece]) -> list[Piece]:
    """Drop the space around a lone expression, such as the newline that ends a block in YAML."""
    meaningful = [piece for piece in pieces if piece.is_expression or piece.text.strip()]
    return meaningful if len(meaningful) == 1 and meaningful[0].is_expression else pieces


def _render(node: Node, bindings: Mapping[str, object]) -> Json:
    if isinstance(node, Template):
        return node.render(bindings)
    if isinstance(node, dict):
        return {key: _render(item, bindings) for key, item in node.items()}
    if isinstance(node, list):
        return [_render(item, bindings) for item in node]
    return node


class _Compiler:
    """Walks a value and gathers what it meets: problems with their paths, and the names mentioned."""

    def __init__(self, variables: Mapping[str, ValueType], allow_map: bool) -> None:
        self.declared, self.allow_map = variables, allow_map
        self.variables: set[str] = set()
        self.problems: list[Problem] = []

    def compile(self, value: Json, path: Path) -> Node:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return {key: self.compile(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.compile(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def _text(self, text: str, path: Path) -> Node:
        try:
            template = compile_template(text, self.declared, allow_map=self.allow_map)
        except ExpressionInvalid as error:
            self.problems += [replace(problem, path=path) for problem in error.problems]
            return text
        if isinstance(template, Template):
            for part in template.parts:
                self.variables |= part.variables if isinstance(part, Expression) else frozenset()
        return template
