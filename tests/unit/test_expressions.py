"""Expressions: typed when compiled, bounded and failing closed when evaluated."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.core.expression_text import Problem, chains, tokens
from sparkops.core.expressions import (
    MAX_LIST_ITERATING,
    MAX_TEXT,
    MAX_VALUES,
    Expression,
    ExpressionError,
    ExpressionInvalid,
    ValueType,
    compile_expression,
    referenced,
)
from sparkops.core.json import Json

VARIABLES = {
    "input.year": ValueType.INT,
    "input.name": ValueType.STRING,
    "input.tags": ValueType.LIST,
    "input.place": ValueType.MAP,
    "input.flag": ValueType.BOOL,
    "input.price": ValueType.DOUBLE,
    "input.any": ValueType.DYN,
    "steps.a.output": ValueType.DYN,
    "steps.a.status": ValueType.STRING,
    "now": ValueType.TIMESTAMP,
    "age": ValueType.DURATION,
}
VALUES: dict[str, object] = {
    "input.year": 2014,
    "input.name": "Seattle",
    "input.tags": ["wet", "mild"],
    "input.place": {"city": "Seattle", "at": [47.6, -122.3]},
    "input.flag": True,
    "input.price": 2,
    "input.any": None,
    "steps.a.output": {"rows": [{"v": 1.5}, {"v": 2}]},
    "steps.a.status": "succeeded",
    "now": datetime(2026, 11, 22, 12, tzinfo=UTC),
    "age": timedelta(seconds=90),
}


def compiled(source: str, result: ValueType | None = None) -> Expression:
    return compile_expression(source, VARIABLES, result=result)


def evaluated(source: str, **changed: object) -> Json:
    bindings: Mapping[str, object] = {**VALUES, **{key.replace("_", "."): value for key, value in changed.items()}}
    return compiled(source).evaluate(bindings)


def problems(source: str, *, result: ValueType | None = None, allow_map: bool = True) -> list[Problem]:
    with pytest.raises(ExpressionInvalid) as caught:
        compile_expression(source, VARIABLES, result=result, allow_map=allow_map)
    return caught.value.problems


def failure(source: str, **changed: object) -> str:
    with pytest.raises(ExpressionError) as caught:
        evaluated(source, **changed)
    return str(caught.value.members["reason"])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("input.year > 2000 && steps.a.status == 'succeeded'", True),
        ("input.tags.exists(t, t == 'wet')", True),
        ("input.any == null ? 1 : input.any", 1),
        ("steps.a.output.rows.map(r, r.v)", [1.5, 2]),
        ("steps.a.output.rows[0].v", 1.5),
        ("steps.a.output", {"rows": [{"v": 1.5}, {"v": 2}]}),
        ("input.place.city + '!'", "Seattle!"),
        ("input.place[?'zip'].orValue('none')", "none"),
        ("input.place.?zip.orValue('none')", "none"),
        ("has(input.place.zip)", False),
        ("{'a': [null, true, 1.5]}", {"a": [None, True, 1.5]}),
        ("input.price > 1.5", True),
        ("now - age", "2026-11-22T11:58:30Z"),
        ("now", "2026-11-22T12:00:00Z"),
        ("age", "90s"),
        ("duration('1500ms')", "1.5s"),
        ("18446744073709551615u", 18446744073709551615),
        (" input . year // a comment with steps.a.output\n", 2014),
    ],
)
def test_values_come_out_as_plain_json(source: str, expected: Json) -> None:
    assert evaluated(source) == expected


def test_an_integral_float_is_an_integer_as_json_schema_has_it() -> None:
    assert evaluated("input.year + 1", input_year=2014.0) == 2015


@pytest.mark.parametrize(
    ("source", "place", "message", "hint"),
    [
        ("input.yaer > 2000", (1, 1), "unknown name input.yaer", "did you mean input.year?"),
        (
            "true &&\n  steps.a.outptu.rows == 1",
            (2, 3),
            "unknown name steps.a.outptu.rows",
            "did you mean steps.a.output?",
        ),
        ("nope", (1, 1), "unknown name nope", None),
        ("'äö' == oops", (1, 9), "unknown name oops", None),
        ("input.year + ", (1, 14), "the expression ends too early", None),
        ("", (1, 1), "the expression ends too early", None),
        ("input.year > 'a'", (1, 12), "> cannot be applied to (int, string)", None),
        ("size(input.year)", (1, 5), "size() cannot be applied to (int)", None),
        ("foo(1)", (1, 1), "unknown function foo", None),
        ("input.tags.fliter(t, t == 'a')", (1, 12), "unknown function fliter", "did you mean filter?"),
        ("input.year.foo", (1, 11), "a value of type int has no fields", None),
        ("a b", (1, 3), "unexpected b", None),
        ("input.year +* 2", (1, 13), "unexpected *", None),
        ("'abc", (1, 1), "a text is not closed, or a character is not allowed: 'abc", None),
        ("[" * 40 + "]" * 40, (1, 1), "the expression is nested too deeply", None),
        ("1\0", (1, 2), "the expression holds a NUL character", None),
    ],
)
def test_a_wrong_expression_says_where_and_why(
    source: str, place: tuple[int, int], message: str, hint: str | None
) -> None:
    [problem] = problems(source)
    assert ((problem.line, problem.column), problem.message, problem.hint) == (place, message, hint)


def test_all_unknown_names_are_told() -> None:
    assert [problem.column for problem in problems("input.yaer > input.nmae.size()")] == [1, 14]


def test_an_expression_must_have_the_asked_type() -> None:
    [problem] = problems("  input.year", result=ValueType.BOOL)
    assert (problem.column, problem.message) == (3, "the expression gives int, and must give bool")
    [problem] = problems("has(input.year)", result=ValueType.BOOL)
    assert "compare a whole one with null" in str(problem.hint)
    assert compiled("input.any", ValueType.BOOL).type is ValueType.DYN


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1" * 2001, "the expression is longer than 2,000 characters"),
        ("[1].map(a, a).map(b, b).map(c, c)", "an expression may use map 2 times at most"),
        ("[1].all(a, true) && " * 4 + "[1].all(a, true)", "an expression may iterate 4 times at most"),
        ("[1].all(a, [1].all(b, [1].all(c, c == a)))", "iterations may stand 2 deep in each other at most"),
        ("+".join(["1"] * 22), "an expression may use + 20 times at most"),
        ("[1].all(a, 1+1+1+1+1+1 == a)", "an expression that iterates may use + 4 times at most"),
    ],
)
def test_bounds_on_the_text_keep_an_evaluation_small(source: str, message: str) -> None:
    assert problems(source)[0].message == message


def test_policies_have_no_map() -> None:
    [problem] = problems("input.tags.map(t, t) == []", allow_map=False)
    assert (problem.column, problem.message) == (12, "map is not available here")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("steps.a.output.rows[9].v", "Index error: index=9 size=2"),
        ("steps.a.output.nope == 1", 'Key not found in map : "nope"'),
        ("input.place.zip", "there is no zip"),
        ("input.any.zip", "null has no field zip"),
        ("1 / 0", "divide by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("input.any + 1", "No matching overloads found : _+_(null_type, int64)"),
        ("'a'.matches('[')", "invalid regular expression: missing ]: ["),
        ("b'abc'", "the result is not a JSON value"),
        ("type(1)", "the result is not a JSON value"),
        ("1.0 / 0.0", "the result is not a JSON value"),
        ("optional.none()", "the result is not a JSON value"),
        ("{1: 2}", "the keys of a result must be texts"),
        ("{input.name: 1, input.name: 2}", "duplicate key in map"),
    ],
)
def test_a_failed_evaluation_is_an_error_and_never_a_value(source: str, reason: str) -> None:
    assert failure(source) == reason


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        ("input.any == 'a'", "a\0b", "input.any holds a NUL character"),
        ("input.any == 1", 2**63, "input.any holds a number with more than 64 bits"),
        ("size(input.any) > 0", [0] * (MAX_VALUES + 1), "input.any holds too many values"),
        ("size(input.any) > 0", "x" * (MAX_TEXT + 1), "input.any holds too much text"),
        ("input.any.all(x, x == 0)", [0] * (MAX_LIST_ITERATING + 1), "input.any holds a list of more than 1,000 items"),
        ("input.any.all(x, x + 'y' != '')", ["x" * 1025], "input.any holds a text of more than 1,024 characters"),
        ("input.any == 1", "\ud800", "basic_string"),
    ],
)
def test_values_that_cel_would_misread_or_choke_on_are_refused(source: str, value: object, reason: str) -> None:
    assert failure(source, input_any=value).startswith(reason)


def test_deep_values_are_refused_without_recursion_trouble() -> None:
    value: Json = 1
    for _ in range(100):
        value = [value]
    assert failure("input.any == 1", input_any=value) == "input.any is nested deeper than 64 levels"


def test_a_plain_name_reads_a_value_of_any_size() -> None:
    rows: Json = {"rows": [{"n": 2**70}] * (MAX_VALUES + 1)}
    assert evaluated("input.any.rows", input_any=rows) == rows["rows"]  # type: ignore[call-overload, index]


def test_a_result_that_grew_too_large_is_refused() -> None:
    list_of_many = "[" + ",".join(["input.any"] * 150) + "]"
    assert failure(list_of_many, input_any=[0] * 1_000) == "the result holds too many values"
    assert failure(list_of_many, input_any="x" * 10_000) == "the result holds too much text"


def test_a_variable_without_a_value_fails() -> None:
    with pytest.raises(ExpressionError, match=r"input\.year has no value"):
        compiled("input.year > 1").evaluate({})
    with pytest.raises(ExpressionError, match=r"input\.year has no value"):
        compiled("input.year").evaluate({})


def test_a_value_of_another_type_than_declared_fails() -> None:
    assert "Expected INT" in failure("input.year > 1", input_year="2014")


def test_a_condition_must_give_true_or_false() -> None:
    condition = compiled("input.any", ValueType.BOOL)
    assert condition.evaluate_bool({"input.any": True}) is True
    with pytest.raises(ExpressionError, match="it gave null, and must give true or false"):
        condition.evaluate_bool({"input.any": None})


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("steps.a.output.rows.map(r, r.v)", {"steps.a.output"}),
        ("'steps.a.output' + \"input.name\" + r'\\' + input.year", {"input.year"}),
        ("input.flag ? input.name : steps.a.status", {"input.flag", "input.name", "steps.a.status"}),
        ("input.place.?input.orValue(input.any)", {"input.place", "input.any"}),
        ("{input.name: input.tags[0].now}", {"input.name", "input.tags"}),
        ("now.getFullYear() > age.getHours()", {"now", "age"}),
        ("steps . a // input.year\n . status", {"steps.a.status"}),
        ("f(input.year).now + .now", {"input.year", "now"}),
    ],
)
def test_the_names_that_a_text_mentions_are_found(source: str, names: set[str]) -> None:
    assert referenced(source, VARIABLES) == names


@given(st.text(max_size=80))
def test_any_text_compiles_or_is_refused_in_our_words(source: str) -> None:
    try:
        expression = compiled(source)
    except ExpressionInvalid as error:
        found = error.problems
    else:
        found = []
        assert expression.variables == referenced(source, VARIABLES)
    assert all(problem.line >= 1 and 0 <= problem.offset <= len(source) for problem in found)


PIECES = [
    "input.year",
    "input.any",
    "steps.a.output",
    ".rows",
    "[0]",
    "(",
    ")",
    " + ",
    " == ",
    "1",
    "'x'",
    "?",
    ":",
    "{",
    "}",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_every_evaluation_gives_json_or_an_expression_error(pieces: list[str]) -> None:
    try:
        value = compiled("".join(pieces)).evaluate(VALUES)
    except (ExpressionInvalid, ExpressionError):
        return
    assert value is None or isinstance(value, bool | int | float | str | list | dict)


@given(st.text(max_size=60))
def test_tokens_cover_the_text_in_order(source: str) -> None:
    found = tokens(source)
    assert all(source.startswith(token.text, token.start) for token in found)
    assert all(chain.names for chain in chains(found))


def test_one_program_serves_many_threads() -> None:
    expression = compiled("input.tags.exists(t, t == 'wet') && input.year == 2014")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: expression.evaluate_bool(VALUES), range(2_000)))


def test_the_same_text_is_compiled_once() -> None:
    assert compiled("input.year > 7") is compiled("input.year > 7")
