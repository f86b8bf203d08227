"""Conditions asked at once answer as each would alone."""

from collections.abc import Sequence

import pytest

from sparkops.core.conditions import Conditions
from sparkops.core.expressions import Expression, ExpressionError, ExpressionInvalid, ValueType, compile_expression

TYPES = {
    "n": ValueType.INT,
    "text": ValueType.STRING,
    "yes": ValueType.BOOL,
    "items": ValueType.LIST,
    "fields": ValueType.MAP,
    "any": ValueType.DYN,
}
SOURCES = (
    "n > 3",
    "yes",
    "fields.a.b == n",
    "text == 'x' // and more",
    "items.exists(item, item == n)",
    "items.all(item, item + n > 3)",
    "any",
    "size(any) > 2",
    "text.startsWith('{')",
    "items.exists(item, text + 'y' == 'xy')",
)
VALUES: dict[str, Sequence[object]] = {
    "n": (1, 5, 5.0, 2**63, "5", None, True),
    "text": ("x", "x" * 2_000, "a\0", 5),
    "yes": (True, False, None, 1),
    "items": ([], [5], ["5"], [5] * 1_001, [2**63], [["\0"]], {}),
    "fields": ({}, {"a": {"b": 5}}, {"a": 5}, {"a": {"b": 5}, "deep": [[[]]]}, []),
    "any": (True, False, [1, 2, 3], "yes", None, 2.5),
}
PLAIN: dict[str, object] = {"n": 5, "text": "x", "yes": True, "items": [5], "fields": {"a": {"b": 5}}, "any": True}


def compiled() -> list[Expression]:
    return [compile_expression(source, TYPES) for source in SOURCES]


def alone(expression: Expression, bindings: dict[str, object]) -> bool | None:
    try:
        return expression.evaluate_bool(bindings)
    except ExpressionError:
        return None


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in VALUES.items() for value in values])
def test_the_answers_are_those_of_each_alone(name: str, value: object) -> None:
    bindings = {**PLAIN, name: value}
    answers = Conditions(compiled()).ask(bindings)
    told = [None if isinstance(answer, ExpressionError) else answer for answer in answers]
    assert told == [alone(expression, bindings) for expression in compiled()]


def test_a_value_that_is_not_given_matters_only_to_answers_that_depend_on_it() -> None:
    sources = ("text == 'x' || n > 3", "text == 'x' && n > 3", "yes")
    answers = Conditions([compile_expression(source, TYPES) for source in sources]).ask({"text": "x", "yes": True})
    assert answers[0] is True
    assert isinstance(answers[1], ExpressionError)
    assert answers[2] is True


def test_no_conditions_give_no_answers() -> None:
    assert Conditions([]).ask(PLAIN) == []


def test_more_conditions_than_fit_into_one_list_are_asked_in_several() -> None:
    long = [compile_expression(f"text == '{'y' * 1_900}{n}' || n > {n}", TYPES) for n in range(60)]
    conditions = Conditions(long)
    assert conditions.ask(PLAIN) == [n < 5 for n in range(60)]
    assert all(group._program is not None for group in conditions._groups)


def test_a_condition_nested_as_deep_as_it_may_be_is_asked_alone() -> None:
    deepest = next(
        compile_expression(source, TYPES)
        for depth in range(300, 0, -1)
        if (source := "!(" * depth + "yes" + ")" * depth) and _compiles(source)
    )
    assert Conditions([deepest, *compiled()]).ask(PLAIN)[0] is alone(deepest, PLAIN)


def _compiles(source: str) -> bool:
    try:
        compile_expression(source, TYPES)
    except ExpressionInvalid:
        return False
    return True


def test_together_values_may_be_larger_than_each_condition_could_read() -> None:
    types = {"a": ValueType.LIST, "b": ValueType.LIST}
    sources = ("size(a) > 1", "size(b) > 1", "size(a) + size(b) > 1")
    bindings: dict[str, object] = {"a": [1] * 60_000, "b": [1] * 60_000}
    answers = Conditions([compile_expression(source, types) for source in sources]).ask(bindings)
    assert answers[:2] == [True, True]
    assert isinstance(answers[2], ExpressionError)
