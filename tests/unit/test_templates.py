"""`${{ … }}` in JSON values, durations, and the bounded text templates."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.core.durations import parse_duration
from sparkops.core.expressions import ExpressionError, ExpressionInvalid, ValueType
from sparkops.core.json import Json
from sparkops.core.templates import (
    Template,
    as_text,
    compile_template,
    compile_value,
    holds_expressions,
    mentioned,
    scan,
    unwrap,
)
from sparkops.core.text_templates import MAX_OUTPUT, TemplateError, render_template, template_problem

VARIABLES = {"input.year": ValueType.INT, "input.map": ValueType.MAP, "input.any": ValueType.DYN}
VALUES: dict[str, object] = {"input.year": 2014, "input.map": {"a": [1, None, "x"]}, "input.any": None}


def rendered(value: Json) -> Json:
    return compile_value(value, VARIABLES).render(VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${{ input.year }}", 2014),
        (" ${{ input.year }}\n", 2014),
        ("${{ input.map }}", {"a": [1, None, "x"]}),
        ("y=${{input.year}}!", "y=2014!"),
        ("${{ input.year }}${{ input.year }}", "20142014"),
        ("${{ {'a': {'b': input.year}} }}", {"a": {"b": 2014}}),
        ("${{ {'a':1}}}", {"a": 1}),
        ("${{ '}}' }}${{ '${{' }}", "}}${{"),
        ("${{ '\\'}}' }}", "'}}"),
        ("${{ r'\\d' }}x", "\\dx"),
        ("${{ '''it's }}''' }}", "it's }}"),
        ("${{ input.map }}|${{ null }}|${{ true }}|${{ 1.5 }}|${{ 'é' }}", '{"a":[1,null,"x"]}||true|1.5|é'),
        ("no expression $ {{ here }}", "no expression $ {{ here }}"),
        ("", ""),
    ],
)
def test_alone_an_expression_keeps_its_type_and_within_text_it_makes_text(text: str, expected: Json) -> None:
    assert rendered(text) == expected


def test_any_json_value_is_walked_and_keys_are_left_alone() -> None:
    value: Json = {"${{ key }}": ["${{ input.year }}", {"n": 1, "deep": "a ${{ input.any }}b"}], "none": None}
    compiled = compile_value(value, VARIABLES)
    assert compiled.render(VALUES) == {"${{ key }}": [2014, {"n": 1, "deep": "a b"}], "none": None}
    assert compiled.variables == mentioned(value, VARIABLES) == {"input.year", "input.any"}
    assert holds_expressions(value)
    assert not holds_expressions({"${{ key }}": 1})


def test_every_problem_is_told_with_its_path_and_offset() -> None:
    value: Json = {"a": ["ok", "x ${{ oops }} y\n${{ input.yaer }}"], "b": "${{ open"}
    with pytest.raises(ExpressionInvalid) as caught:
        compile_value(value, VARIABLES)
    told = [
        (problem.path, problem.offset, problem.line, problem.column, problem.message)
        for problem in caught.value.problems
    ]
    assert told == [
        (("a", 1), 6, 1, 7, "unknown name oops"),
        (("a", 1), 20, 2, 5, "unknown name input.yaer"),
        (("b",), 0, 1, 1, "${{ is not closed"),
    ]


@pytest.mark.parametrize("text", ["${{ 'abc }}", "${{ }}", "${{ {'a': 1 }}"])
def test_an_expression_that_swallows_its_end_is_still_refused(text: str) -> None:
    with pytest.raises(ExpressionInvalid):
        compile_value(text, VARIABLES)


@pytest.mark.parametrize(
    ("text", "expected"), [("input.year > 1", ("input.year > 1", 0)), (" ${{ a }} ", (" a ", 4)), ("${{a}}", ("a", 3))]
)
def test_a_condition_may_be_bare_or_wrapped(text: str, expected: tuple[str, int]) -> None:
    assert unwrap(text) == expected


@pytest.mark.parametrize("text", ["x ${{ a }}", "${{ a }}${{ b }}", "${{ a"])
def test_a_condition_is_one_expression_without_text(text: str) -> None:
    with pytest.raises(ExpressionInvalid):
        unwrap(text)


def test_a_text_that_grew_too_large_is_refused() -> None:
    template = compile_template("${{ input.any }}${{ input.any }}", VARIABLES)
    assert isinstance(template, Template)
    with pytest.raises(ExpressionError, match="the text is longer than"):
        template.render({"input.any": "x" * 600_000})


@given(st.text(alphabet="${} 'a\"\\r", max_size=30))
def test_the_scanner_loses_no_character(text: str) -> None:
    try:
        pieces = scan(text)
    except ExpressionInvalid:
        return
    rebuilt = "".join("${{" + piece.text + "}}" if piece.is_expression else piece.text for piece in pieces)
    assert rebuilt == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)
    )
)
def test_text_of_a_value_is_itself_nothing_or_json(value: Json) -> None:
    text = as_text(value)
    assert text == value if isinstance(value, str) else (text == "") == (value is None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
    ],
)
def test_durations_are_a_number_and_a_unit(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0s", "-1s", "1.5h", "10", "s", "1 m", "1w", "1m30s", "4000d", "٣s", "99999999999s"]
)
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration|longer than"):
        parse_duration(text)


REPORT = """# {{ title }}
{% for row in rows if row.v > 1 %}
- {{ row.name | upper }}: {{ row.v | round(1) }}{% if not loop.last %},{% endif %}
{%- endfor %}
{{ rows | length }} rows, {{ rows | map(attribute="name") | join(", ") }}; {{ none }} {{ flag }} {{ data.title }}"""


def test_a_report_template_is_filled() -> None:
    rows: Json = [{"name": "a", "v": 1}, {"name": "b", "v": 2.26}, {"name": "c", "v": 3}]
    text = render_template(REPORT, {"title": "<T>", "rows": rows, "none": None, "flag": True})
    assert text.startswith("# <T>")
    assert "- B: 2.3," in text
    assert text.endswith("3 rows, a, b, c;  true <T>")


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        ("a\n{{ b", (2, 4), "not a valid template: unexpected end of input, expected end of variable block"),
        ("é {{ 'a' * 9 }}", (1, 10), "* is not available in a template"),
        ("{% set x = 1 %}", (1, 4), "set is not available"),
        ("{% include 'x' %}", (1, 4), "include is not available"),
        ("{% macro m() %}{% endmacro %}", (1, 4), "macro is not available"),
        ("{{ a | replace('x', a) }}", (1, 8), "the filter replace is not available"),
        ("{% for x in [a, a] %}{% endfor %}", (1, 13), "a template cannot write out lists and maps"),
        ("{{ {'a': 1} }}", (1, 4), "a template cannot write out lists and maps"),
        (
            "{{ " + "~".join(["a"] * 20) + " }}",
            (1, 1),
            "a template may have 4 loops in each other and 16 uses of + and ~ at most",
        ),
        (
            "{% for a in a %}" * 5 + "{% endfor %}" * 5,
            (1, 65),
            "a template may have 4 loops in each other and 16 uses of + and ~ at most",
        ),
        ("x" * 65_537, (1, 1), "the template is longer than 65,536 characters"),
        ("{{ title }}\n{{ titel }}", (2, 4), "the template mentions titel, which data does not hold"),
    ],
)
def test_what_a_template_may_not_do_is_refused_when_it_is_saved(
    source: str, place: tuple[int, int], message: str
) -> None:
    problem = template_problem(source, ["a", "title"])
    assert problem is not None
    assert ((problem.line, problem.column), problem.message) == (place, message)


@pytest.mark.parametrize(
    "source",
    ["{{ a[0] }}{{ a['k'] }}{{ f(a)[1] if a else a[2] }}", "{# {{ 'a' * 9 }} #}x", "{%- if a -%}b{%- endif -%}"],
)
def test_indexing_and_comments_are_fine(source: str) -> None:
    assert template_problem(source, None) is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("\n{{ missing }}", "line 2: `missing` is undefined"),
        ("{{ text }}{{ text }}", "the text is longer than"),
        ("{% for x in many %}{% for y in many %}{{ text }}{% endfor %}{% endfor %}", "the text is longer than"),
        (
            "{% for x in many %}{% for y in many %}{% for z in many %}{% endfor %}{% endfor %}{% endfor %}",
            "it takes too many steps",
        ),
        ("{{ many | join(text) | length }}", "the text is longer than"),
        ("{% for x in many %}" + "y" * 2_000 + "{% endfor %}", "the text is longer than"),
        ("{% set x = 1 %}", "line 1: set is not available"),
    ],
)
def test_a_template_that_cannot_be_filled_fails_in_words(source: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        render_template(source, {"text": "x" * (MAX_OUTPUT // 2 + 1), "many": list(range(1_000))})


def test_data_need_not_be_a_map() -> None:
    assert render_template("{{ data[1] }}", ["a", "b"]) == "b"
