"""Expressions: CEL behind our own interface, typed at compile, failing closed at evaluation.

Variables are dotted names with a type (`input.year: int`), so that a misspelt one is an error with line and column
when a definition is saved. Whatever goes wrong later is an `ExpressionError`: a value of CEL's type ERROR never
leaves this file. Evaluation holds no state and may be called from any thread.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional

from sparkops.core.errors import Invalid, SparkOpsError
from sparkops.core.expression_text import (
    Chain,
    Problem,
    chains,
    check_bounds,
    macro_calls,
    problem_at,
    resolve,
    tokens,
    translate,
)
from sparkops.core.json import Json

# Bounds on what one evaluation may read. Copying a million characters in and out of CEL takes about 20 ms; an
# expression that iterates may look at them 10,000 times, so it gets less.
MAX_VALUES = 100_000
MAX_VALUES_ITERATING = 20_000
MAX_TEXT = 1_048_576
MAX_LIST_ITERATING = 1_000
MAX_JOINED_TEXT_ITERATING = 1_024
MAX_DEPTH = 64
_INT64 = 2**63
_NOT_JSON = "the result is not a JSON value"


class ValueType(StrEnum):
    """The type of a variable or of a result; `dyn` is known at evaluation only."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    LIST = "list"
    MAP = "map"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    DYN = "dyn"


_CEL_TYPES: Final = {
    ValueType.BOOL: cel.Type.BOOL,
    ValueType.INT: cel.Type.INT,
    ValueType.DOUBLE: cel.Type.DOUBLE,
    ValueType.STRING: cel.Type.STRING,
    ValueType.LIST: cel.Type.List(cel.Type.DYN),
    ValueType.MAP: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    ValueType.TIMESTAMP: cel.Type.TIMESTAMP,
    ValueType.DURATION: cel.Type.DURATION,
    ValueType.DYN: cel.Type.DYN,
}


class ExpressionInvalid(Invalid):
    """An expression cannot be compiled; `problems` says where and why."""

    code, title = "expression-invalid", "The expression is not valid"

    def __init__(self, problems: list[Problem]) -> None:
        first = problems[0]
        errors = [
            {"line": found.line, "column": found.column, "message": found.message, "hint": found.hint}
            for found in problems
        ]
        super().__init__(f"line {first.line}, column {first.column}: {first.message}", errors=errors)
        self.problems = problems


class ExpressionError(SparkOpsError):
    """An expression that compiled could not be evaluated on these values."""

    code, title = "expression-failed", "The expression could not be evaluated"


@dataclass(frozen=True)
class Expression:
    """A compiled expression. `variables` are the declared names it mentions: what an evaluation must bind."""

    source: str
    type: ValueType
    variables: frozenset[str]
    iterates: bool
    joins: bool
    """It uses `+`, so that a round may build something larger than it was given."""
    types: Mapping[str, ValueType] = field(repr=False)
    _path: tuple[str, tuple[str, ...]] | None = field(repr=False)
    """The variable and the fields below it, if the expression is nothing else: read without CEL and its bounds."""
    _program: Any = field(repr=False, compare=False)

    def evaluate(self, bindings: Mapping[str, object]) -> Json:
        """Return the result as plain JSON; times become RFC 3339 texts, durations texts such as `90s`.

        Raises:
            ExpressionError: a variable is not bound or not of its type, a value is too large to be read here, the
                evaluation failed, or the result is not JSON.
        """
        if self._path is not None:
            return self._follow(self._path, bindings)
        data = {name: self._bind(name, bindings) for name in self.variables}
        limits = _Input(self)
        for name, value in data.items():
            limits.check(name, value)
        return self._run(data=data)

    def evaluate_bool(self, bindings: Mapping[str, object]) -> bool:
        """Return the result, which must be true or false; see `evaluate`."""
        return self._as_bool(self.evaluate(bindings))

    def evaluate_bound(self, activation: Any) -> bool:
        """Return the result on values that `core/conditions.py` has bound and measured; see `evaluate_bool`.

        A variable that is not among them fails the evaluation only where the result depends on it.
        """
        return self._as_bool(self._run(activation=activation))

    def _run(self, **given: Any) -> Json:
        try:
            result = self._program.eval(**given)
            if result.type() == cel.Type.ERROR:
                raise self._error(_readable(str(result.value())))
            return _Output(self).convert(result)
        except TypeError as error:  # a CEL value that has no Python form, such as an optional
            raise self._error(_NOT_JSON) from error
        except (RuntimeError, ValueError, MemoryError) as error:
            raise self._error(_readable(str(error))) from error

    def _as_bool(self, value: Json) -> bool:
        if not isinstance(value, bool):
            raise self._error(f"it gave {_kind(value)}, and must give true or false")
        return value

    def _follow(self, path: tuple[str, tuple[str, ...]], bindings: Mapping[str, object]) -> Json:
        name, fields = path
        value: Any = self._bind(name, bindings)
        for part in fields:
            if not isinstance(value, dict):
                raise self._error(f"{_kind(value)} has no field {part}")
            if part not in value:
                raise self._error(f"there is no {part}")
            value = value[part]
        found: Json = value
        return found

    def _bind(self, name: str, bindings: Mapping[str, object]) -> object:
        if name not in bindings:
            raise self._error(f"{name} has no value")
        value = bindings[name]
        if self.types[name] is ValueType.INT and isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON Schema counts 5.0 as an integer, CEL does not
        elif self.types[name] is ValueType.DOUBLE and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        return value

    def _error(self, reason: str) -> ExpressionError:
        return ExpressionError(f"{self.source.strip()}: {reason}", expression=self.source, reason=reason)


class _Input:
    """Refuses values that CEL would read wrongly, or that are too large for one evaluation."""

    def __init__(self, expression: Expression) -> None:
        self.expression, self.name = expression, ""
        self.values = MAX_VALUES_ITERATING if expression.iterates else MAX_VALUES
        self.text = MAX_TEXT

    def refuse(self, reason: str) -> ExpressionError:
        return self.expression._error(f"{self.name} {reason}")

    def check(self, name: str, value: object) -> None:
        """Count a variable's value against the bounds of the whole evaluation."""
        self.name = name
        self._check(value, 0)

    def _check(self, value: object, depth: int) -> None:
        self.values -= 1
        if self.values < 0:
            raise self.refuse("holds too many values for an expression; use SQL or a transform's template")
        if isinstance(value, str):
            self._check_text(value)
        elif isinstance(value, dict | list):
            self._check_items(value, depth)
        elif isinstance(value, int) and not -_INT64 <= value < _INT64:
            raise self.refuse("holds a number with more than 64 bits")

    def _check_text(self, value: str) -> None:
        self.text -= len(value)
        if self.text < 0:
            raise self.refuse("holds too much text for an expression; use a transform's template")
        if self.expression.iterates and self.expression.joins and len(value) > MAX_JOINED_TEXT_ITERATING:
            most = f"{MAX_JOINED_TEXT_ITERATING:,} characters"
            raise self.refuse(f"holds a text of more than {most}, too long for an expression that iterates and joins")
        if "\0" in value:
            raise self.refuse("holds a NUL character")  # CEL would silently cut the text there

    def _check_items(self, value: dict[str, Any] | list[Any], depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise self.refuse(f"is nested deeper than {MAX_DEPTH} levels")
        if self.expression.iterates and len(value) > MAX_LIST_ITERATING:
            most = f"{MAX_LIST_ITERATING:,} items"
            raise self.refuse(f"holds a list of more than {most}, too long for an expression that iterates; use SQL")
        if isinstance(value, dict):
            for key in value:
                self._check_text(key)
        for item in value.values() if isinstance(value, dict) else value:
            self._check(item, depth + 1)


class _Output:
    """Turns CEL values into plain JSON, level by level, and stops where a result has grown too large."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.values, self.text = MAX_VALUES, MAX_TEXT

    def convert(self, value: Any) -> Json:
        self.values -= 1
        if self.values < 0:
            raise self.expression._error("the result holds too many values")
        raw = value.value()
        if isinstance(raw, dict):
            return {self._key(key): self.convert(item) for key, item in raw.items()}
        if isinstance(raw, list):
            return [self.convert(item) for item in raw]
        return self._scalar(raw)

    def _scalar(self, raw: object) -> Json:
        if raw is None or isinstance(raw, bool | int):
            return raw
        if isinstance(raw, str):
            return self._measured(raw)
        if isinstance(raw, float) and math.isfinite(raw):
            return raw
        if isinstance(raw, datetime):
            return raw.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(raw, timedelta):
            return f"{raw.total_seconds():f}".rstrip("0").rstrip(".") + "s"
        raise self.expression._error(_NOT_JSON)

    def _key(self, key: object) -> str:
        if not isinstance(key, str):
            raise self.expression._error("the keys of a result must be texts")
        return self._measured(key)

    def _measured(self, text: str) -> str:
        self.text -= len(text)
        if self.text < 0:
            raise self.expression._error("the result holds too much text")
        return text


def compile_expression(
    source: str,
    variables: Mapping[str, ValueType],
    *,
    result: ValueType | None = None,
    allow_map: bool = True,
) -> Expression:
    """Return the compiled expression over these variables. Cheap when the same was compiled before.

    `result` is the type the expression must have; one that is only known at evaluation (`dyn`) passes.

    Raises:
        ExpressionInvalid: it cannot be parsed, names something unknown, does not fit its types, or exceeds a bound.
    """
    found = tokens(source)
    if problem := check_bounds(source, found, allow_map=allow_map):
        raise ExpressionInvalid([problem])
    names = list(chains(found))
    mentioned = resolve(names, variables)
    declared = tuple(sorted((name, variables[name]) for name in set(mentioned.values())))
    try:
        expression = _compile(source, declared)
    except RuntimeError as error:
        raise ExpressionInvalid(translate(source, str(error), names, variables)) from error
    if result is not None and expression.type not in (result, ValueType.DYN):
        raise ExpressionInvalid([_wrong_result(expression, result, source)])
    return expression


def referenced(source: str, variables: Mapping[str, object]) -> frozenset[str]:
    """Return the declared variables that the text mentions, without compiling it."""
    return frozenset(resolve(chains(tokens(source)), variables).values())


# The keys hold only what an expression mentions, so that steps which say the same share one program.
@lru_cache(maxsize=8192)
def _compile(source: str, declared: tuple[tuple[str, ValueType], ...]) -> Expression:
    found = tokens(source)
    types = dict(declared)
    program = environment(declared).compile(source)
    return Expression(
        source=source,
        type=_result_type(program.return_type().name()),
        variables=frozenset(types),
        iterates=bool(macro_calls(found)),
        joins=any(token.text == "+" for token in found),
        types=types,
        _path=_plain_path(source, types),
        _program=program,
    )


@lru_cache(maxsize=1024)
def environment(declared: tuple[tuple[str, ValueType], ...]) -> Any:
    """Return CEL's environment for these variables: for this file and `core/conditions.py` alone."""
    variables = {name: _CEL_TYPES[kind] for name, kind in declared}
    return cel.NewEnv(variables=variables, extensions=[ext_optional.ExtOptional()])


def _plain_path(source: str, types: Mapping[str, ValueType]) -> tuple[str, tuple[str, ...]] | None:
    """Return variable and fields of an expression that is one dotted name over JSON and nothing else."""
    found = tokens(source)
    only: list[Chain] = list(chains(found))
    if len(only) != 1 or len(found) != 2 * len(only[0].names) - 1:
        return None
    name = resolve(only, types).get(only[0])
    if name is None or types[name] in (ValueType.TIMESTAMP, ValueType.DURATION):
        return None  # such as `int`, the name of a type; or a value that is not JSON as it stands
    return name, only[0].names[name.count(".") + 1 :]


def _result_type(name: str) -> ValueType:
    base = name.partition("<")[0].lower()
    return ValueType(base) if base in set(ValueType) else ValueType.DYN


def _wrong_result(expression: Expression, result: ValueType, source: str) -> Problem:
    start = len(source) - len(source.lstrip())
    hint = None
    if source.lstrip().startswith("has(") and result is ValueType.BOOL:
        hint = "has() looks for a part of a value; compare a whole one with null: input.x != null"
    return problem_at(source, start, f"the expression gives {expression.type}, and must give {result}", hint)


def _kind(value: object) -> str:
    names = {bool: "a bool", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a map"}
    return names.get(type(value), "null")


def _readable(error: str) -> str:
    """Drop the status codes that CEL puts around its sentence."""
    return re.sub(r"^[A-Z_]+: | \[[A-Z_]+\]$", "", error)
