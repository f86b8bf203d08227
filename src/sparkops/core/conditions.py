"""Many conditions on the same values, asked at once.

The answers are those that each condition would give alone (`Expression.evaluate_bool`), but what they share is done
once: the values are measured and handed to CEL once, and conditions that ask alike are one list for CEL. Whatever is
out of the ordinary, an error, a value that is large or of another type, is left to each condition alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from sparkops.core.expressions import (
    MAX_DEPTH,
    MAX_JOINED_TEXT_ITERATING,
    MAX_LIST_ITERATING,
    MAX_TEXT,
    MAX_VALUES,
    MAX_VALUES_ITERATING,
    Expression,
    ExpressionError,
    ValueType,
    environment,
)

Answer = bool | ExpressionError

_MAX_SOURCE: Final = 50_000
"""Of one list of conditions; CEL reads twice as much."""
_INT64: Final = 2**63
_CLASSES: Final[Mapping[ValueType, type]] = {
    ValueType.BOOL: bool,
    ValueType.INT: int,
    ValueType.DOUBLE: float,
    ValueType.STRING: str,
    ValueType.LIST: list,
    ValueType.MAP: dict,
}


class _Size(NamedTuple):
    """What values may come to."""

    values: int
    text: int
    longest_list: int
    longest_text: int


# By what the conditions do: nothing of the kind, iterate, or iterate and join; see `core/expressions.py`.
_BOUNDS: Final = (
    _Size(MAX_VALUES, MAX_TEXT, MAX_VALUES, MAX_TEXT),
    _Size(MAX_VALUES_ITERATING, MAX_TEXT, MAX_LIST_ITERATING, MAX_TEXT),
    _Size(MAX_VALUES_ITERATING, MAX_TEXT, MAX_LIST_ITERATING, MAX_JOINED_TEXT_ITERATING),
)


class Conditions:
    """Compiled conditions, in order. Free of state that an answer depends on; may be asked from any thread."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        self._count = len(expressions)
        self._groups = tuple(_groups(expressions))
        self._all = _Values(expressions, max((group.level for group in self._groups), default=0))

    def ask(self, bindings: Mapping[str, object]) -> list[Answer]:
        """Return what each condition says: true, false, or why it cannot be told.

        A variable without a value makes a condition fail; beside values that are as small as most are, only where the
        answer depends on it.
        """
        answers: list[Answer] = [False] * self._count
        activation = self._all.bind(bindings)
        for group in self._groups:
            for place, answer in zip(group.places, group.ask(bindings, activation), strict=True):
                answers[place] = answer
        return answers


class _Values:
    """The variables of conditions, and what their values may come to at this level."""

    def __init__(self, expressions: Sequence[Expression], level: int) -> None:
        types = {name: kind for expression in expressions for name, kind in expression.types.items()}
        self._classes = {name: _CLASSES.get(kind) for name, kind in types.items()}
        self._bounds = _BOUNDS[level]
        self.environment = environment(tuple(sorted(types.items())))

    def bind(self, bindings: Mapping[str, object]) -> Any:
        """Return the values as CEL takes them; None: one is of another type, or they are too large together."""
        data = {name: bindings[name] for name in self._classes if name in bindings}
        most = self._bounds
        values = text = 0
        for name, value in data.items():
            if self._classes[name] not in (None, type(value)):
                return None
            size = _measured(value)
            if size is None or size[2] > most.longest_list or size[3] > most.longest_text:
                return None
            values += size[0]
            text += size[1]
        return self.environment.Activation(data) if values <= most.values and text <= most.text else None


class _Group:
    """Conditions of the same level, as one list."""

    def __init__(self, members: Sequence[tuple[int, Expression]], level: int) -> None:
        self.places, self.level = tuple(place for place, _ in members), level
        self._expressions = tuple(expression for _, expression in members)
        self._values = _Values(self._expressions, level)
        listed = ",".join(f"({expression.source}\n)" for expression in self._expressions)
        self._program: Any = _compiled(self._values.environment, f"[{listed}]")

    def ask(self, bindings: Mapping[str, object], activation: Any) -> Sequence[Answer]:
        """Return what each of these conditions says; `activation` None: the bindings are not small."""
        bound = self._values.bind(bindings) if activation is None else activation
        if bound is None:
            return [_alone(expression, bindings) for expression in self._expressions]
        answers = self._joint(bound)
        if isinstance(answers, list) and set(map(type, answers)) == {bool}:
            return answers
        return [_bound(expression, bound) for expression in self._expressions]  # one failed: each says for itself

    def _joint(self, activation: Any) -> object:
        """Return the answers as one value, or something else where a condition failed."""
        if self._program is None:
            return None
        try:
            answers: object = self._program.eval(activation).plain_value()
        except (TypeError, RuntimeError, ValueError, MemoryError):
            return None
        return answers


_Measures = tuple[int, int, int, int]
"""The numbers of a `_Size`, which are faster to make."""
_FIXED: Final = (1, 0, 0, 0)
_SMALL: Final = frozenset({int, float, bool, type(None)})


def _measured(value: object) -> _Measures | None:
    """Return the size of a value, or None where CEL would read it wrongly or it is far too large."""
    if type(value) is str:
        return None if "\0" in value else (1, len(value), 0, len(value))
    if type(value) is int:
        return _FIXED if -_INT64 <= value < _INT64 else None
    return _measured_items(value)


def _measured_items(value: object) -> _Measures | None:
    level: Sequence[Any] = [value]
    size: _Measures = (0, 0, 0, 0)
    for _ in range(MAX_DEPTH + 1):
        measured = _measured_level(level, size)
        if measured is None:
            return None
        size, level = measured
        if not level:
            return size
        if size[0] + len(level) > MAX_VALUES:
            return None
    return None


def _measured_level(level: Sequence[Any], size: _Measures) -> tuple[_Measures, list[Any]] | None:
    """Return the size with that of the values, and what is inside of them."""
    values, text, longest_list, longest_text = size
    below: list[Any] = []
    for item in level:
        kind = type(item)
        if kind is str:
            text += len(item)
            longest_text = max(longest_text, len(item))
        elif kind is dict or kind is list:
            longest_list = max(longest_list, len(item))
            below += item if kind is list else (*item, *item.values())
        elif kind not in _SMALL or (kind is int and not -_INT64 <= item < _INT64):
            return None
    if any(type(item) is str and "\0" in item for item in level):
        return None
    return (values + len(level), text, longest_list, longest_text), below


def _groups(expressions: Sequence[Expression]) -> Iterator[_Group]:
    ordered = sorted(enumerate(expressions), key=lambda each: (_level(each[1]), each[0]))
    for level, members in groupby(ordered, key=lambda each: _level(each[1])):
        chunk: list[tuple[int, Expression]] = []
        length = 0
        for member in members:
            if chunk and length + len(member[1].source) > _MAX_SOURCE:
                yield _Group(chunk, level)
                chunk, length = [], 0
            chunk.append(member)
            length += len(member[1].source)
        yield _Group(chunk, level)


def _compiled(environment: Any, source: str) -> Any:
    """Return the program of a list, or None where one of its items is nested as deep as CEL allows."""
    try:
        return environment.compile(source)
    except RuntimeError:
        return None


def _level(expression: Expression) -> int:
    return int(expression.iterates) + int(expression.iterates and expression.joins)


def _alone(expression: Expression, bindings: Mapping[str, object]) -> Answer:
    try:
        return expression.evaluate_bool(bindings)
    except ExpressionError as error:
        return error


def _bound(expression: Expression, activation: Any) -> Answer:
    try:
        return expression.evaluate_bound(activation)
    except ExpressionError as error:
        return error
