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
_MAX_KEPT: Final = 64
"""How many ways of lacking values one object keeps prepared."""
_INT64: Final = 2**63
_SIMPLE: Final = (ValueType.STRING, ValueType.INT)
_CLASSES: Final[Mapping[ValueType, type]] = {
    ValueType.BOOL: bool,
    ValueType.DOUBLE: float,
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
    """Compiled conditions, in order. Free of state that an answer depends on; may be asked from any thread.

    `types` are variables of which those of the conditions are some: what shares them shares memory.
    """

    def __init__(self, expressions: Sequence[Expression], types: Mapping[str, ValueType] | None = None) -> None:
        self.expressions = tuple(expressions)
        self.names = frozenset[str]().union(*(expression.variables for expression in expressions))
        self.types = types_of(expressions) if types is None else types
        self._groups = tuple(_groups(list(enumerate(expressions)), self.types))
        self._without: dict[frozenset[str], tuple[_Group, ...]] = {}

    def ask(self, bindings: Mapping[str, object]) -> list[Answer]:
        """Return what each condition says; see `Together`."""
        return Together([self]).ask(bindings)

    def answer(self, bindings: Mapping[str, object], activation: Any, lacking: frozenset[str]) -> list[Answer]:
        """Return what each condition says; `activation` holds the bindings, None: they are not small."""
        answers: list[Answer] = [False] * len(self.expressions)
        mine = lacking & self.names
        for group in self._groups_without(mine) if mine else self._groups:
            for place, answer in zip(group.places, group.ask(bindings, activation), strict=True):
                answers[place] = answer
        return answers

    def _groups_without(self, lacking: frozenset[str]) -> "tuple[_Group, ...]":
        """Return groups in which those that mention what is lacking, and may fail, stand apart from the others."""
        groups = self._without.get(lacking)
        if groups is None:
            members = list(enumerate(self.expressions))
            touched = [member for member in members if member[1].variables & lacking]
            others = [member for member in members if not member[1].variables & lacking]
            apart = (group for member in touched for group in _groups([member], self.types))
            groups = (*_groups(others, self.types), *apart)
            if len(self._without) >= _MAX_KEPT:
                self._without.clear()
            self._without[lacking] = groups
        return groups


class Together:
    """Several lists of conditions over the same variables, asked at once."""

    def __init__(self, parts: Sequence[Conditions]) -> None:
        self._parts = tuple(parts)
        self._names = frozenset[str]().union(*(part.names for part in parts))
        expressions = [expression for part in parts for expression in part.expressions]
        types = parts[0].types if parts else {}
        self._values = _Values(expressions, max(map(_level, expressions), default=0), types)

    def ask(self, bindings: Mapping[str, object]) -> list[Answer]:
        """Return what each condition says, list after list: true, false, or why it cannot be told.

        A variable without a value makes a condition fail; beside values that are as small as most are, only where the
        answer depends on it.
        """
        activation = self._values.bind(bindings)
        lacking = self._names.difference(bindings)
        return [answer for part in self._parts for answer in part.answer(bindings, activation, lacking)]


def types_of(expressions: Sequence[Expression]) -> dict[str, ValueType]:
    """Return the variables of expressions, with their types."""
    return {name: kind for expression in expressions for name, kind in expression.types.items()}


class _Values:
    """The variables of conditions, and what their values may come to at this level."""

    def __init__(self, expressions: Sequence[Expression], level: int, among: Mapping[str, ValueType]) -> None:
        types = types_of(expressions)
        self._names = tuple(types)
        self.environment = environment(tuple(sorted(among.items())))
        self._texts = [name for name, kind in types.items() if kind is ValueType.STRING]
        self._numbers = [name for name, kind in types.items() if kind is ValueType.INT]
        self._others = {name: _CLASSES.get(kind) for name, kind in types.items() if kind not in _SIMPLE}
        self._bounds = _BOUNDS[level]

    def bind(self, bindings: Mapping[str, object]) -> Any:
        """Return the values as CEL takes them; None: one is of another type, or they are large."""
        data = {name: bindings[name] for name in self._names if name in bindings}
        text = _length([data[name] for name in self._texts if name in data])
        if text is None or text > self._bounds.longest_text:
            return None
        if not _whole([data[name] for name in self._numbers if name in data]):
            return None
        values = len(data)
        for name, kind in self._others.items():
            if name not in data:
                continue
            size = _measured(data[name]) if kind in (None, type(data[name])) else None
            if size is None or size[2] > self._bounds.longest_list or size[3] > self._bounds.longest_text:
                return None
            values += size[0]
            text += size[1]
        fits = values <= self._bounds.values and text <= self._bounds.text
        return self.environment.Activation(data) if fits else None


class _Group:
    """Conditions of the same level, as one list."""

    def __init__(self, members: Sequence[tuple[int, Expression]], level: int, types: Mapping[str, ValueType]) -> None:
        self.places = tuple(place for place, _ in members)
        self._expressions = tuple(expression for _, expression in members)
        self._values = _Values(self._expressions, level, types)
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
_SMALL: Final = frozenset({int, float, bool, type(None)})


def _length(texts: Sequence[Any]) -> int | None:
    """Return how long texts are together; None: one is no text, or holds what CEL would read wrongly."""
    if not set(map(type, texts)) <= {str}:
        return None
    joined = "".join(texts)
    return None if "\0" in joined else len(joined)


def _whole(numbers: Sequence[Any]) -> bool:
    """Say whether all are whole numbers of 64 bits."""
    return not numbers or ({int} == set(map(type, numbers)) and min(numbers) >= -_INT64 and max(numbers) < _INT64)


def _measured(value: object) -> _Measures | None:
    """Return the size of a value, or None where CEL would read it wrongly or it is far too large."""
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
    texts = [item for item in level if type(item) is str]
    length = _length(texts)
    if length is None:
        return None
    longest_list, longest_text = size[2], max(map(len, texts), default=0)
    below: list[Any] = []
    for item in level if len(texts) < len(level) else ():
        kind = type(item)
        if kind is dict or kind is list:
            longest_list = max(longest_list, len(item))
            below += item if kind is list else (*item, *item.values())
        elif (kind is int and not -_INT64 <= item < _INT64) or (kind is not str and kind not in _SMALL):
            return None
    return (size[0] + len(level), size[1] + length, longest_list, max(size[3], longest_text)), below


def _groups(members: Sequence[tuple[int, Expression]], types: Mapping[str, ValueType]) -> Iterator[_Group]:
    ordered = sorted(members, key=lambda each: (_level(each[1]), each[0]))
    for level, alike in groupby(ordered, key=lambda each: _level(each[1])):
        chunk: list[tuple[int, Expression]] = []
        length = 0
        for member in alike:
            if chunk and length + len(member[1].source) > _MAX_SOURCE:
                yield _Group(chunk, level, types)
                chunk, length = [], 0
            chunk.append(member)
            length += len(member[1].source)
        yield _Group(chunk, level, types)


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
