"""Workflow definitions: what is read, what is refused, and that each mistake is told where it stands."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.core.money import Micros
from sparkops.domains.workflows.definition import (
    Definition,
    DefinitionInvalid,
    InputInvalid,
    ToolSpec,
    parse_definition,
    validate_input,
    workflow_schema,
)

QUERY = ToolSpec(
    {
        "type": "object",
        "properties": {"sql": {"type": "string"}, "limit": {"type": "integer"}, "params": {"type": "array"}},
        "required": ["sql"],
        "additionalProperties": False,
    }
)

GOOD = """\
version: 1
name: weather-report
description: Finds what stands out.
input:
  type: object
  properties:
    year: {type: integer, default: 2014}
    note: {type: string}
budget_usd: "0.50"
timeout: 30m
steps:
  - id: monthly
    type: tool
    tool: sql.query
    with:
      sql: select 1
      params: ["${{ input.year }}"]
    retry: {attempts: 5, backoff: 500ms, max_backoff: 2m}
    timeout: 30s
  - id: analyst
    type: agent
    agent: analyst
    needs: [monthly]
    if: ${{ size(steps.monthly.output.rows) > 0 }}
    with: {prompt: "Look at ${{ steps.monthly.output }}", max_turns: 5}
  - id: summary
    type: llm
    needs: [analyst]
    with:
      model: scripted
      script: {turns: [{text: "${{ prompt }} and ${{ results.size() }}"}]}
      prompt: ${{ steps.analyst.output.text }}
      max_output_tokens: 100
  - id: report
    type: transform
    needs: [summary]
    with:
      template: "{% for row in rows %}{{ row.month }}{% endfor %}"
      data: {rows: "${{ steps.monthly.output.rows }}"}
  - id: publish
    type: approval
    needs: [report]
    if: input.note == null
    with: {title: "Publish ${{ input.year }}?", show: "${{ steps.report.output }}"}
output:
  report: ${{ steps.report.output }}
  status: ${{ steps.publish.status }}
"""


def parse(source: str) -> Definition:
    return parse_definition(source, agents=["analyst"], tools={"sql.query": QUERY}, models=["default"])


def errors(source: str) -> list[dict[str, Any]]:
    with pytest.raises(DefinitionInvalid) as caught:
        parse(source)
    found: list[dict[str, Any]] = caught.value.members["errors"]
    return found


def test_a_whole_workflow_is_read() -> None:
    definition = parse(GOOD)
    assert definition.name == "weather-report"
    assert definition.budget_micros == Micros(500_000)
    assert definition.timeout is not None
    assert [step.key for step in definition.steps] == ["monthly", "analyst", "summary", "report", "publish"]
    assert [step.name for step in definition.steps] == ["sql.query", "analyst", "scripted", None, None]
    monthly, analyst = definition.steps[:2]
    assert (monthly.retry.attempts, monthly.retry.backoff.total_seconds()) == (5, 0.5)
    assert monthly.timeout is not None
    assert (analyst.retry.attempts, analyst.timeout) == (3, None)
    assert analyst.needs == ("monthly",)
    assert definition.steps[4].parameters["expires"] == "24h"


def test_a_definition_is_rebuilt_from_its_document() -> None:
    definition = parse(GOOD)
    stored = json.loads(json.dumps(definition.document))
    assert Definition.from_document(stored) == definition


def test_json_is_read_with_the_same_meaning() -> None:
    definition = parse(GOOD)
    assert parse(json.dumps(definition.document, indent=1)) == definition


def test_names_are_left_unchecked_where_the_project_is_not_known() -> None:
    source = GOOD.replace("agent: analyst", "agent: nobody").replace("sql.query", "other.tool")
    assert parse_definition(source, agents=None, tools=None).steps[1].name == "nobody"


# A broken workflow is the good one with one text replaced: old text, new text, and what is told. Each mistake starts
# exactly where a text stands that occurs once in the broken workflow: that text, path, message, hint.
Told = tuple[str, str, str, str | None]
BROKEN: dict[str, tuple[str, str, list[Told]]] = {
    "unknown key": (
        "budget_usd:",
        "budget_us:",
        [("budget", "budget_us", "unknown key budget_us", "did you mean budget_usd?")],
    ),
    "unknown key of a step": (
        "    timeout: 30s",
        "    tmeout: 30s",
        [("tmeout", "steps[0].tmeout", "unknown key tmeout", "did you mean timeout?")],
    ),
    "unknown key deep inside": (
        "attempts: 5",
        "atempts: 5",
        [("atempts", "steps[0].retry.atempts", "unknown key atempts", "did you mean attempts?")],
    ),
    "unknown type": (
        "type: agent",
        "type: agnet",
        [("agnet", "steps[1].type", "unknown type agnet", "did you mean agent?")],
    ),
    "missing type": (
        "    type: agent\n",
        "",
        [
            (
                "id: analyst",
                "steps[1].type",
                "type is missing",
                "one of agent, llm, tool, transform, approval, branch, map, loop, workflow, wait",
            )
        ],
    ),
    "missing parameter": (
        '{prompt: "Look at ${{ steps.monthly.output }}", max_turns: 5}',
        "{max_turns: 5}",
        [("with: {max", "steps[1].with.prompt", "prompt is missing", None)],
    ),
    "missing name": (
        "name: weather-report\n",
        "",
        [
            (
                "version",
                "name",
                "name is missing",
                "use small letters, digits and -, starting with a letter: weather-report",
            )
        ],
    ),
    "bad name": (
        "name: weather-report",
        "name: Weather Report",
        [
            (
                "Weather",
                "name",
                "name is not valid",
                "use small letters, digits and -, starting with a letter: weather-report",
            )
        ],
    ),
    "another version": (
        "version: 1",
        "version: 2",
        [("2\n", "version", "version is not valid", "the only version of the format is 1")],
    ),
    "text for a number": (
        "attempts: 5",
        'attempts: "5"',
        [('"5', "steps[0].retry.attempts", "this should be a valid integer", None)],
    ),
    "number out of range": (
        "max_turns: 5",
        "max_turns: 500",
        [("500}", "steps[1].with.max_turns", "this should be less than or equal to 100", None)],
    ),
    "bad duration": (
        "timeout: 30m",
        "timeout: 30 minutes",
        [("30 ", "timeout", "timeout is not valid", "write a number and a unit: 500ms, 30s, 5m, 2h or 1d")],
    ),
    "duration without unit": (
        "    timeout: 30s",
        "    timeout: 30",
        [("30\n", "steps[0].timeout", "this must be a text", "put it in quotes")],
    ),
    "retry where nothing is tried again": (
        "    with:\n      template:",
        "    retry: {attempts: 2}\n    with:\n      template:",
        [
            (
                "retry: {attempts: 2",
                "steps[3].retry",
                "unknown key retry",
                "known here: id, needs, join, if, on_error, type, with",
            )
        ],
    ),
    "bad id": (
        "id: monthly",
        "id: Monthly",
        [
            (
                "Monthly",
                "steps[0].id",
                "id is not valid",
                "use small letters, digits and _, starting with a letter: fetch_all",
            ),
            ("monthly]", "steps[1].needs[0]", "there is no step monthly", "did you mean Monthly?"),
            ("steps.monthly.output.rows)", "steps[1].if", "there is no step monthly", "did you mean Monthly?"),
            ("steps.monthly.output ", "steps[1].with.prompt", "there is no step monthly", "did you mean Monthly?"),
            (
                "steps.monthly.output.rows ",
                "steps[3].with.data.rows",
                "there is no step monthly",
                "did you mean Monthly?",
            ),
        ],
    ),
    "an id that is a word of the language": (
        "id: publish",
        "id: in",
        [
            ("in\n", "steps[4].id", "in is a word of the expression language", "choose another id"),
            ("steps.publish", "output.status", "there is no step publish", None),
        ],
    ),
    "duplicate id": (
        "id: publish",
        "id: monthly",
        [
            ("monthly\n    type: approval", "steps[4].id", "the id monthly is used twice", "first on line 12"),
            (
                'steps.report.output }}"',
                "steps[4].with.show",
                "the step report runs after monthly, so its output is not known here",
                None,
            ),
            ("steps.publish", "output.status", "there is no step publish", None),
        ],
    ),
    "missing need": (
        "needs: [summary]",
        "needs: [sumary]",
        [("sumary", "steps[3].needs[0]", "there is no step sumary", "did you mean summary?")],
    ),
    "a step that needs itself": (
        "needs: [report]",
        "needs: [publish]",
        [
            ("publish]", "steps[4].needs[0]", "the step publish needs itself: publish → publish", None),
            (
                'steps.report.output }}"',
                "steps[4].with.show",
                "the step report need not have ended before publish",
                "add report to the needs of publish",
            ),
        ],
    ),
    "a need named twice": (
        "needs: [summary]",
        "needs: [summary, summary]",
        [("summary]", "steps[3].needs[1]", "summary is named twice", None)],
    ),
    "a cycle": (
        "    tool: sql.query",
        "    tool: sql.query\n    needs: [summary]",
        [
            (
                "[summary]\n    with:\n      sql",
                "steps[0].needs",
                "the steps need each other in a circle: monthly → analyst → summary → monthly",
                "remove one need",
            )
        ],
    ),
    "unknown agent": (
        "agent: analyst",
        "agent: analist",
        [("analist", "steps[1].agent", "there is no agent analist here", "did you mean analyst?")],
    ),
    "unknown tool": (
        "tool: sql.query",
        "tool: http.get",
        [("http", "steps[0].tool", "there is no tool http.get here", "known: sql.query")],
    ),
    "unknown model": (
        'model: scripted\n      script: {turns: [{text: "${{ prompt }} and ${{ results.size() }}"}]}',
        "model: gpt",
        [("gpt", "steps[2].with.model", "there is no model gpt here", "known: default, scripted")],
    ),
    "scripted without a script": (
        '      script: {turns: [{text: "${{ prompt }} and ${{ results.size() }}"}]}\n',
        "",
        [("model", "steps[2].with", "model: scripted needs a script", None)],
    ),
    "unknown argument of a tool": (
        "      sql: select 1",
        "      sql: select 1\n      limt: 5",
        [("limt", "steps[0].with.limt", "unknown argument limt", "did you mean limit?")],
    ),
    "missing argument of a tool": (
        "      sql: select 1\n",
        "",
        [("params", "steps[0].with", "the argument sql is missing", None)],
    ),
    "wrong argument of a tool": (
        "      sql: select 1",
        "      sql: select 1\n      limit: many",
        [("many", "steps[0].with.limit", '"many" is not of type "integer"', None)],
    ),
    "reference to a step that is no ancestor": (
        '${{ steps.report.output }}"}',
        '${{ steps.report.output }} ${{ steps.late.output }}"}\n  - {id: late, type: transform, with: {value: 1}}',
        [
            (
                "steps.late",
                "steps[4].with.show",
                "the step late need not have ended before publish",
                "add late to the needs of publish",
            )
        ],
    ),
    "reference to a step that runs later": (
        "sql: select 1",
        "sql: ${{ steps.analyst.output }}",
        [
            (
                "steps.analyst.output ",
                "steps[0].with.sql",
                "the step analyst runs after monthly, so its output is not known here",
                None,
            )
        ],
    ),
    "reference to itself": (
        "sql: select 1",
        "sql: ${{ steps.monthly.output }}",
        [("steps.monthly.output }}\n", "steps[0].with.sql", "monthly cannot read itself", None)],
    ),
    "reference to no step": (
        'show: "${{ steps.report.output }}',
        'show: "${{ steps.raport.output }}',
        [("steps.raport", "steps[4].with.show", "there is no step raport", "did you mean report?")],
    ),
    "reference to no field of a step": (
        'show: "${{ steps.report.output }}',
        'show: "${{ steps.report.result }}',
        [
            (
                "steps.report.result",
                "steps[4].with.show",
                "a step has no result",
                "write steps.report.output or steps.report.status",
            )
        ],
    ),
    "reference to a step as a whole": (
        'show: "${{ steps.report.output }}',
        'show: "${{ steps.report }}',
        [
            (
                "steps.report ",
                "steps[4].with.show",
                "steps.report is no value of its own",
                "write steps.report.output or steps.report.status",
            )
        ],
    ),
    "reference to all steps": (
        'show: "${{ steps.report.output }}',
        'show: "${{ steps }}',
        [
            (
                "steps ",
                "steps[4].with.show",
                "steps is no value of its own",
                "name a step and what you want of it: steps.fetch.output",
            )
        ],
    ),
    "reference to no input": (
        "Publish ${{ input.year }}",
        "Publish ${{ input.yaer }}",
        [("input.yaer", "steps[4].with.title", "the input has no yaer", "did you mean input.year?")],
    ),
    "reference to the input as a whole": (
        "Publish ${{ input.year }}",
        "Publish ${{ input }}",
        [
            (
                "input ",
                "steps[4].with.title",
                "input is no value of its own",
                "name a property of it, declared under input.properties",
            )
        ],
    ),
    "reference to nothing known": (
        "Publish ${{ input.year }}",
        "Publish ${{ secrets.key }}",
        [("secrets", "steps[4].with.title", "unknown name secrets.key", "expressions see input, steps and run.id")],
    ),
    "a condition that is none": (
        "if: input.note == null",
        "if: input.year",
        [("input.year\n", "steps[4].if", "the expression gives int, and must give bool", None)],
    ),
    "a condition with text around it": (
        "if: input.note == null",
        "if: not ${{ input.note }}",
        [("not ", "steps[4].if", "one expression is expected here, without text around it", None)],
    ),
    "types that do not fit": (
        "if: input.note == null",
        "if: input.year == 'now'",
        [("==", "steps[4].if", "== cannot be applied to (int, string)", None)],
    ),
    "an expression that is not closed": (
        "report: ${{ steps.report.output }}",
        "report: ${{ steps.report.output }",
        [("${{ steps.report.output }\n", "output.report", "${{ is not closed", "close it with }}")],
    ),
    "an expression in a block of text": (
        "      sql: select 1",
        "      sql: |\n        select 1\n        from ${{ input.year }}\n          where x = ${{ input.oops }}",
        [("input.oops", "steps[0].with.sql", "the input has no oops", "declare it under input.properties")],
    ),
    "an expression in a folded block": (
        "      sql: select 1",
        "      sql: >-\n        select 1\n        where y = 1\n\n        and x = ${{ input.oops }}",
        [("input.oops", "steps[0].with.sql", "the input has no oops", "declare it under input.properties")],
    ),
    "an expression after escapes": (
        "      sql: select 1",
        '      sql: "a \\"b\\"\\n \\u00e9 ${{ input.oops }}"',
        [("input.oops", "steps[0].with.sql", "the input has no oops", "declare it under input.properties")],
    ),
    "an expression after doubled quotes": (
        "      sql: select 1",
        "      sql: 'it''s ${{ input.oops }}'",
        [("input.oops", "steps[0].with.sql", "the input has no oops", "declare it under input.properties")],
    ),
    "an expression that goes over lines": (
        "      sql: select 1",
        "      sql: text ${{ input.year >\n        input.oops }}",
        [("input.oops", "steps[0].with.sql", "the input has no oops", "declare it under input.properties")],
    ),
    "an expression in a script": (
        "${{ results.size() }}",
        "${{ result.size() }}",
        [("result", "steps[2].with.script.turns[0].text", "unknown name result", "did you mean results?")],
    ),
    "an expression where none is evaluated": (
        'model: scripted\n      script: {turns: [{text: "${{ prompt }} and ${{ results.size() }}"}]}',
        'model: default\n      output_schema: {type: object, title: "a ${{ input.year }}"}',
        [
            (
                '${{ input.year }}"}',
                "steps[2].with.output_schema.title",
                "expressions are not evaluated in output_schema",
                "write the value itself",
            )
        ],
    ),
    "a bad output schema": (
        'model: scripted\n      script: {turns: [{text: "${{ prompt }} and ${{ results.size() }}"}]}',
        'model: default\n      output_schema: {$ref: "http://example.com/x.json"}',
        [
            (
                "{$",
                "steps[2].with.output_schema",
                "not a valid JSON Schema: a reference to http://example.com/x.json is not followed; "
                "define it in this schema under $defs",
                None,
            )
        ],
    ),
    "a template with a mistake": (
        "{{ row.month }}",
        "{{ row.month }",
        [
            (
                "}{%",
                "steps[3].with.template",
                "not a valid template: unexpected `}`, expected end of variable block",
                None,
            )
        ],
    ),
    "a template with an unknown value": (
        "{{ row.month }}",
        "{{ month }}",
        [("month ", "steps[3].with.template", "the template mentions month, which data does not hold", None)],
    ),
    "a transform that does two things": (
        "      data: {rows:",
        "      value: 1\n      data: {rows:",
        [("template", "steps[3].with", "a transform needs either value or template", None)],
    ),
    "a bad input schema": (
        "year: {type: integer, default: 2014}",
        "year: {type: integr, default: 2014}",
        [
            (
                "type: object",
                "input",
                'not a valid JSON Schema: "integr" is not valid under any of the schemas '
                "listed in the 'anyOf' keyword",
                None,
            )
        ],
    ),
    "an input schema that points elsewhere": (
        "year: {type: integer, default: 2014}",
        'year: {$ref: "file:///etc/passwd"}',
        [
            (
                "type: object",
                "input",
                "not a valid JSON Schema: a reference to file:///etc/passwd is not followed; "
                "define it in this schema under $defs",
                None,
            )
        ],
    ),
    "an input that is no object": (
        "  type: object",
        "  type: array",
        [("array", "input.type", "the input must be an object", "write type: object, with properties")],
    ),
    "an input that expressions cannot name": (
        "    note: {type: string}",
        "    note: {type: string}\n    my-note: {type: string}",
        [("my", "input.properties.my-note", "my-note cannot be a name in expressions", "use letters, digits and _")],
    ),
    "a default that does not fit": (
        "default: 2014",
        "default: soon",
        [("soon", "input.properties.year.default", 'the default does not fit: "soon" is not of type "integer"', None)],
    ),
    "a negative budget": (
        'budget_usd: "0.50"',
        "budget_usd: -1",
        [("-1", "budget_usd", "this should be greater than or equal to 0", None)],
    ),
    "a step that is no map": (
        "  - id: publish\n    type: approval\n    needs: [report]\n    if: input.note == null\n"
        '    with: {title: "Publish ${{ input.year }}?", show: "${{ steps.report.output }}"}',
        "  - publish",
        [
            ("publish\n", "steps[4]", "a step is a map", "a step has id, type and with"),
            ("steps.publish", "output.status", "there is no step publish", None),
        ],
    ),
    "several at once": (
        "version: 1\nname: weather-report",
        "version: 1\nnaem: x",
        [
            (
                "version",
                "name",
                "name is missing",
                "use small letters, digits and -, starting with a letter: weather-report",
            ),
            ("naem", "naem", "unknown key naem", "did you mean name?"),
        ],
    ),
}


def place_of(text: str, source: str) -> tuple[int, int]:
    assert source.count(text) == 1, "the text marks one place"
    offset = source.index(text)
    return source.count("\n", 0, offset) + 1, offset - source.rfind("\n", 0, offset)


@pytest.mark.parametrize("case", BROKEN)
def test_a_mistake_is_told_where_it_stands(case: str) -> None:
    old, new, expected = BROKEN[case]
    assert GOOD.count(old) == 1, "the case replaces one place"
    source = GOOD.replace(old, new)
    told = [(item["line"], item["column"], item["path"], item["message"], item["hint"]) for item in errors(source)]
    assert told == [(*place_of(text, source), path, message, hint) for text, path, message, hint in expected]


def test_mistakes_of_all_kinds_are_told_in_one_go() -> None:
    source = GOOD
    for old, new in [
        ("tool: sql.query", "tool: http.get"),
        ("type: agent", "type: agnet"),
        ("input.note ==", "input.nope =="),
        ("timeout: 30m", "timeout: x"),
    ]:
        source = source.replace(old, new)
    assert [item["path"] for item in errors(source)] == ["timeout", "steps[0].tool", "steps[1].type", "steps[4].if"]


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        ("", (1, 1), "the definition is empty"),
        ("# only this\n", (1, 1), "the definition is empty"),
        ("- a\n", (1, 1), "a workflow is a map with name and steps"),
        ("a: &x 1\nb: *x", (1, 4), "anchors and aliases are not allowed"),
        ("a: 1\nb: *x", (2, 4), "anchors and aliases are not allowed"),
        ("a: !!str 1", (1, 4), "tags are not allowed"),
        ("a: {b: !env X}", (1, 8), "tags are not allowed"),
        ("a: 1\nb: 2\na: 3", (3, 1), "the key a stands here twice"),
        ("a: 1\n---\nb: 1", (2, 1), "a second document starts here"),
        ("%YAML 1.1\n---\na: 1", (2, 1), "the format is YAML 1.2"),
        ("? [a]\n: b", (1, 3), "a key must be a text"),
        ("a: [1", (1, 6), "not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a:\n\t- b", (2, 1), "not valid YAML: found character '\\t' that cannot start any token"),
        ("a: \x01", (1, 4), "a character is not allowed in YAML"),
        ('a: "\\0"', (1, 4), "a NUL character is not allowed"),
        ('{"a": "\\ud83d"}', (1, 7), "half of a surrogate pair is no character"),
        ("a: .inf", (1, 4), "the number is not finite"),
        ("a: 1e999", (1, 4), "the number is not finite"),
        ("a: 99999999999999999999", (1, 4), "the number has more than 64 bits"),
        ("[" * 60, (1, 49), "nested deeper than 48 levels"),
        ("x" * 1_048_577, (1, 1), "the definition is larger than 1 MiB"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_where_it_stands(source: str, place: tuple[int, int], message: str) -> None:
    [error] = errors(source)
    assert ((error["line"], error["column"]), error["message"]) == (place, message)


def minimal(steps: str) -> str:
    return f"version: 1\nname: x\nsteps:\n{steps}"


def test_yaml_is_read_as_version_1_2() -> None:
    given = "{on: yes, d: 2020-01-01, t: 12:30, o: 0o17, h: 0x1f, n: ~, e: 1e3}"
    value = parse(minimal(f"  - {{id: a, type: transform, with: {{value: {given}}}}}")).steps[0].parameters["value"]
    assert value == {"on": "yes", "d": "2020-01-01", "t": "12:30", "o": 15, "h": 31, "n": None, "e": 1000.0}


def test_folded_text_line_ends_and_pairs_of_surrogates_are_read_right() -> None:
    first = '  - {id: a, type: transform, with: {value: "\\ud83d\\ude00"}}'
    step = f"{first}\r\n  - id: b\r\n    type: transform\r\n    with:\r\n      value: >\r\n        x\r\n        y\r\n"
    values = [step.parameters["value"] for step in parse("\ufeff" + minimal(step)).steps]
    assert values == ["😀", "x y\n"]


def test_a_transform_may_give_null() -> None:
    assert parse(minimal("  - {id: a, type: transform, with: {value: null}}")).steps[0].parameters == {"value": None}


def test_steps_are_many_but_counted() -> None:
    step = "  - {{id: s{}, type: tool, tool: sql.query, with: {{sql: x}}}}"
    lines = [step.format(number) for number in range(2_001)]
    [error] = errors(minimal("\n".join(lines)))
    assert (error["line"], error["message"]) == (2_004, "a workflow has 2,000 steps at most")
    assert errors(minimal("  []"))[0]["message"] == "steps must be a list of at least one step"
    assert errors("version: 1\nname: x")[0]["message"] == "steps is missing"


def test_long_chains_in_any_order_know_their_ancestors() -> None:
    step = "  - {{id: s{0}, type: transform, needs: [s{1}], with: {{value: '${{{{ steps.s0.output }}}}'}}}}"
    chain = [step.format(number, number - 1) for number in range(1, 200)]
    first = "  - {id: s0, type: transform, with: {value: 1}}"
    assert len(parse(minimal("\n".join([first, *chain]))).steps) == 200
    assert len(parse(minimal("\n".join([*reversed(chain), first]))).steps) == 200


def test_inputs_get_defaults_and_are_checked_by_path() -> None:
    definition = parse(GOOD)
    assert validate_input(definition, None) == {"year": 2014}
    assert validate_input(definition, {"note": "x", "year": 2015}) == {"note": "x", "year": 2015}
    with pytest.raises(InputInvalid) as caught:
        validate_input(definition, {"year": "x", "more": 1})
    assert {error["path"] for error in caught.value.members["errors"]} == {"input.year", "input"}
    with pytest.raises(InputInvalid):
        validate_input(definition, [1])


def test_defaults_reach_into_objects_and_leave_the_given_value_alone() -> None:
    schema = "{properties: {place: {type: object, properties: {city: {default: Oslo}}}}}"
    definition = parse(
        minimal("  - {id: a, type: transform, with: {value: 1}}").replace("steps:", f"input: {schema}\nsteps:")
    )
    given: dict[str, Any] = {"place": {}}
    assert validate_input(definition, given) == {"place": {"city": "Oslo"}}
    assert given == {"place": {}}


def test_a_workflow_without_input_takes_none() -> None:
    definition = parse(minimal("  - {id: a, type: transform, with: {value: 1}}"))
    assert validate_input(definition, {}) == {}
    with pytest.raises(InputInvalid):
        validate_input(definition, {"x": 1})


def test_an_open_input_can_be_read_as_a_whole() -> None:
    step = "  - {id: a, type: transform, with: {value: '${{ input }} ${{ input.anything }}'}}"
    source = minimal(step).replace("steps:", "input: {additionalProperties: true}\nsteps:")
    assert parse(source).input_schema["additionalProperties"] is True


def test_the_published_schema_accepts_what_the_parser_accepts() -> None:
    validator = jsonschema_rs.validator_for(workflow_schema())
    assert validator.is_valid(parse(GOOD).document)
    for broken in ("unknown key", "unknown type", "bad name", "bad duration", "missing parameter", "another version"):
        old, new, _ = BROKEN[broken]
        with pytest.raises(DefinitionInvalid):
            parse(GOOD.replace(old, new))
    document = dict(parse(GOOD).document)
    assert not validator.is_valid({**document, "budget_us": 1})
    assert not validator.is_valid({**document, "name": "Weather"})


@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.text(alphabet="ax{}[]\"':&*!|>-#$ \n\t0", max_size=6))
def test_any_damage_is_accepted_or_refused_in_our_words(start: int, length: int, text: str) -> None:
    source = GOOD[:start] + text + GOOD[start + length :]
    try:
        parse(source)
    except DefinitionInvalid as error:
        found = error.members["errors"]
        lines = source.split("\n")
        assert found
        assert all(1 <= item["line"] <= len(lines) + 1 and item["column"] >= 1 for item in found)


def test_what_an_expression_gives_an_argument_is_left_to_the_run() -> None:
    step = "  - {id: a, type: tool, tool: sql.query, with: {sql: x, limit: '${{ 1 + 1 }}'}}"
    assert parse(minimal(step)).steps[0].parameters["limit"] == "${{ 1 + 1 }}"


def test_the_examples_are_valid_in_shape() -> None:
    examples = sorted(Path(__file__).parents[2].glob("examples/*/workflow.yaml"))
    assert examples
    for path in examples:
        parse_definition(path.read_text(), agents=None, tools=None)
