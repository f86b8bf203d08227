"""The parts of the language that decide which steps run, and how often: what is read, and where mistakes are told."""

import json
from datetime import timedelta
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.domains.workflows.definition import (
    ConcurrencyLimit,
    Definition,
    DefinitionInvalid,
    ToolSpec,
    parse_definition,
    workflow_schema,
)
from sparkops.domains.workflows.options import (
    BranchCase,
    BranchOptions,
    ErrorKind,
    Join,
    JoinRule,
    LoopOptions,
    MapOptions,
    OnError,
    WaitOptions,
)

NOOP = ToolSpec({"type": "object", "properties": {"n": {"type": "integer"}, "x": {}}, "additionalProperties": False})

GOOD = """\
version: 1
name: order
priority: high
concurrency: {key: "c-${{ input.customer }}", limit: 3, when_full: reject}
input:
  properties:
    customer: {type: string}
    n: {type: integer, default: 3}
steps:
  - id: book
    type: tool
    tool: noop
    on_error: {goto: mend}
    deadline: 10m
    retry: {attempts: 2, jitter: false, on: [timeout, rate-limited]}
    undo: {type: tool, tool: noop, with: {x: "${{ steps.book.output.id }}"}, timeout: 5s, retry: {attempts: 9}}
  - {id: mend, type: tool, tool: noop, needs: [book]}
  - id: pick
    type: branch
    needs: [book, mend]
    join: any
    with:
      cases:
        - {when: "${{ input.n > 10 }}", then: [review]}
        - {when: steps.book.status == 'failed', then: []}
      else: [each, sub]
  - {id: review, type: approval, needs: [pick], with: {title: OK?}, timeout: 1h}
  - id: each
    type: map
    needs: [pick]
    on_error: continue
    with: {over: "${{ steps.book.output.rows }}", concurrency: 5, on_item_error: continue}
    steps:
      - {id: read, type: tool, tool: noop, with: {x: "${{ item.name }}", n: "${{ index }}"}}
      - id: again
        type: loop
        needs: [read]
        with: {max: 4, until: "${{ steps.ask.output.ok && iteration > 1 && item != null }}", at_max: succeed}
        steps:
          - id: ask
            type: tool
            tool: noop
            with: {x: "${{ previous }} ${{ steps.read.output }} ${{ steps.book.output }} ${{ item }}"}
    output: {read: "${{ steps.read.output }}", at: "${{ index }}"}
  - {id: sub, type: workflow, workflow: other, version: 3, needs: [pick], with: {a: "${{ input.n }}"}}
  - {id: nap, type: wait, with: {for: 10m}}
  - {id: until, type: wait, with: {until: "2031-01-31T12:00:00+02:00"}}
  - id: paid
    type: wait
    needs: [until]
    with:
      {event: payment.received, filter: "event.data.order == steps.until.output.id", timeout: 1d, on_timeout: continue}
  - id: total
    type: tool
    tool: noop
    needs: [each, sub, review, nap]
    join: {at_least: 2}
    with: {x: "${{ steps.each.output }}"}
output: ${{ steps.total.output }}
"""


def parse(source: str) -> Definition:
    return parse_definition(
        source, agents=["ann"], tools={"noop": NOOP}, models=["default"], workflows=["order", "other"]
    )


def told(source: str) -> list[dict[str, Any]]:
    with pytest.raises(DefinitionInvalid) as caught:
        parse(source)
    found: list[dict[str, Any]] = caught.value.members["errors"]
    return found


def test_everything_is_read() -> None:
    definition = parse(GOOD)
    assert definition.priority == -1
    assert definition.concurrency == ConcurrencyLimit("c-${{ input.customer }}", 3, "reject")
    step = {one.key: one for one in definition.steps}
    assert step["book"].on_error == OnError(ErrorKind.GOTO, "mend")
    assert step["book"].deadline == timedelta(minutes=10)
    assert (step["book"].retry.jitter, step["book"].retry.on) == (False, frozenset({"timeout", "rate-limited"}))
    assert step["pick"].join == Join(JoinRule.ANY)
    assert step["pick"].options == BranchOptions(
        (BranchCase("${{ input.n > 10 }}", ("review",)), BranchCase("steps.book.status == 'failed'", ())),
        ("each", "sub"),
    )
    assert step["each"].options == MapOptions(concurrency=5, stop_on_error=False)
    assert step["total"].join == Join(JoinRule.AT_LEAST, 2)
    assert (step["sub"].name, step["sub"].version, step["sub"].parameters) == ("other", 3, {"a": "${{ input.n }}"})
    assert step["nap"].parameters == {"for": "10m"}
    assert step["paid"].options == WaitOptions(
        "payment.received", "event.data.order == steps.until.output.id", timedelta(days=1), fails_at_timeout=False
    )
    read, again = step["each"].body or ()
    assert again.options == LoopOptions(
        4, "${{ steps.ask.output.ok && iteration > 1 && item != null }}", fails_at_max=False
    )
    assert [one.key for one in again.body or ()] == ["ask"]
    assert (read.output, step["each"].output) == (None, {"read": "${{ steps.read.output }}", "at": "${{ index }}"})


def test_steps_of_bodies_are_numbered_after_the_step_whose_body_it_is() -> None:
    step = {one.key: one for one in parse(GOOD).steps}
    read, again = step["each"].body or ()
    [ask] = again.body or ()
    assert [one.position for one in (step["each"], read, again, ask, step["sub"])] == [4, 5, 6, 7, 8]


def test_an_undo_is_a_step_of_its_own() -> None:
    undo = parse(GOOD).steps[0].undo
    assert undo is not None
    assert (undo.key, undo.type, undo.name, undo.retry.attempts) == ("book:undo", "tool", "noop", 9)
    assert undo.timeout == timedelta(seconds=5)


def test_defaults_are_the_careful_ones() -> None:
    steps = (
        "  - {id: a, type: map, with: {over: 3}, steps: [{id: b, type: tool, tool: noop}]}\n"
        "  - {id: c, type: loop, with: {max: 3}, steps: [{id: d, type: tool, tool: noop}]}\n"
        "  - {id: e, type: loop, with: {max: 3, until: 'false'}, steps: [{id: f, type: tool, tool: noop}]}\n"
        "  - {id: g, type: wait, with: {event: x}}\n"
        "  - {id: h, type: tool, tool: noop}\n"
    )
    definition = parse(f"version: 1\nname: x\nsteps:\n{steps}")
    options = [step.options for step in definition.steps]
    assert options == [
        MapOptions(10, stop_on_error=True),
        LoopOptions(3, None, fails_at_max=False),
        LoopOptions(3, "false", fails_at_max=True),
        WaitOptions("x", None, timedelta(hours=24), fails_at_timeout=True),
        None,
    ]
    plain = definition.steps[4]
    assert (plain.join, plain.on_error) == (Join(JoinRule.ALL), OnError(ErrorKind.FAIL))
    assert (plain.retry.jitter, plain.retry.on, plain.retry.covers("anything")) == (True, None, True)
    assert (definition.priority, definition.concurrency) == (0, None)


def test_a_definition_is_rebuilt_from_its_document() -> None:
    definition = parse(GOOD)
    assert Definition.from_document(json.loads(json.dumps(definition.document))) == definition


def test_the_published_schema_accepts_what_the_parser_accepts() -> None:
    validator = jsonschema_rs.validator_for(workflow_schema())
    document = parse(GOOD).document
    assert validator.is_valid(document)
    for step, key, value in (
        (0, "on_error", "ignore"),
        (0, "undo", {"type": "approval"}),
        (2, "join", {"at_least": 0}),
        (4, "steps", []),
        (4, "steps", [{"id": "x"}]),
        (5, "version", 0),
    ):
        steps = list(document["steps"])
        steps[step] = {**steps[step], key: value}
        assert not validator.is_valid({**document, "steps": steps}), key


# A broken workflow is the good one with one text replaced: old text, new text, and what is told. Each mistake starts
# exactly where a text stands that occurs once in the broken workflow: that text, path, message, hint.
Told = tuple[str, str, str, str | None]
BROKEN: dict[str, tuple[str, str, list[Told]]] = {
    "a priority that is none": (
        "priority: high",
        "priority: urgent",
        [("urgent", "priority", "this should be 'high', 'normal' or 'low'", None)],
    ),
    "an unknown key of the concurrency": (
        "limit: 3",
        "limt: 3",
        [("limt", "concurrency.limt", "unknown key limt", "did you mean limit?")],
    ),
    "a limit out of range": (
        "limit: 3",
        "limit: 0",
        [("0, when", "concurrency.limit", "this should be greater than or equal to 1", None)],
    ),
    "a key that reads steps": (
        "c-${{ input.customer }}",
        "c-${{ steps.book.output }}",
        [
            (
                'steps.book.output }}", limit',
                "concurrency.key",
                "only the input is known before the run begins",
                "name a property of it: input.customer",
            )
        ],
    ),
    "a key that reads the run": (
        "c-${{ input.customer }}",
        "c-${{ run.id }}",
        [
            (
                "run.id",
                "concurrency.key",
                "only the input is known before the run begins",
                "name a property of it: input.customer",
            )
        ],
    ),
    "a join that is none": (
        "join: any",
        "join: some",
        [("some", "steps[2].join", "join is not valid", "one of all, any, none_failed and ended, or {at_least: 2}")],
    ),
    "an unknown key of a join": (
        "{at_least: 2}",
        "{at_lest: 2}",
        [
            ("join: {", "steps[9].join.at_least", "at_least is missing", None),
            ("at_lest", "steps[9].join.at_lest", "unknown key at_lest", "did you mean at_least?"),
        ],
    ),
    "more needs asked for than there are": (
        "{at_least: 2}",
        "{at_least: 5}",
        [("5}\n    with", "steps[9].join.at_least", "at_least is 5, but the step has 4 needs", None)],
    ),
    "a join without needs": (
        "{id: nap, type: wait,",
        "{id: nap, type: wait, join: ended,",
        [
            (
                "ended",
                "steps[6].join",
                "join says how needs are joined, but the step has none",
                "add needs, or remove join",
            )
        ],
    ),
    "an on_error that is none": (
        "on_error: continue",
        "on_error: ignore",
        [("ignore", "steps[4].on_error", "on_error is not valid", "one of fail and continue, or {goto: handler}")],
    ),
    "a handler that is not there": (
        "{goto: mend}",
        "{goto: mended}",
        [("mended", "steps[0].on_error.goto", "there is no step mended", "did you mean mend?")],
    ),
    "a handler that does not wait": (
        "{goto: mend}",
        "{goto: nap}",
        [
            (
                "nap}",
                "steps[0].on_error.goto",
                "the step nap does not need book, so it would not wait for it",
                "add book to the needs of nap",
            )
        ],
    ),
    "a step that handles itself": (
        "{goto: mend}",
        "{goto: book}",
        [("book}", "steps[0].on_error.goto", "book cannot handle its own failure", None)],
    ),
    "a handler that the branch may choose": (
        "    join: any",
        "    join: any\n    on_error: {goto: review}",
        [
            (
                "review}",
                "steps[2].on_error.goto",
                "review cannot both be chosen by pick and handle its failure",
                "take two steps",
            )
        ],
    ),
    "error codes that are none": (
        "[timeout, rate-limited]",
        "[Time Out]",
        [
            (
                "Time Out",
                "steps[0].retry.on[0]",
                "on is not valid",
                "a list of error codes in small letters, digits and -: [timeout, rate-limited]",
            )
        ],
    ),
    "a retry after no errors": (
        "[timeout, rate-limited]",
        "[]",
        [("[]}\n    undo", "steps[0].retry.on", "on must have at least 1 item", None)],
    ),
    "a deadline that is none": (
        "deadline: 10m",
        "deadline: soon",
        [("soon", "steps[0].deadline", "deadline is not valid", "write a number and a unit: 500ms, 30s, 5m, 2h or 1d")],
    ),
    "a branch to no step": (
        "then: [review]",
        "then: [reviews]",
        [("reviews", "steps[2].with.cases[0].then[0]", "there is no step reviews", "did you mean review?")],
    ),
    "a branch to a step that does not wait for it": (
        "else: [each, sub]",
        "else: [each, nap]",
        [
            (
                "nap]\n  - {id: review",
                "steps[2].with.else[1]",
                "the step nap does not need pick, so it would not wait for it",
                "add pick to the needs of nap",
            )
        ],
    ),
    "a branch to one step twice": (
        "else: [each, sub]",
        "else: [each, each]",
        [("each]", "steps[2].with.else[1]", "each is named twice", None)],
    ),
    "a branch to itself": (
        "else: [each, sub]",
        "else: [pick]",
        [("pick]\n  - {id: review", "steps[2].with.else[0]", "pick cannot choose itself", None)],
    ),
    "a branch into a body": (
        "else: [each, sub]",
        "else: [read]",
        [
            (
                "read]\n  - {id: review",
                "steps[2].with.else[0]",
                "the step read stands in the body of each",
                "name each instead",
            )
        ],
    ),
    "a case without steps": (
        "then: [review]",
        "than: [review]",
        [
            ('{when: "${{ input.n', "steps[2].with.cases[0].then", "then is missing", None),
            ("than", "steps[2].with.cases[0].than", "unknown key than", "did you mean then?"),
        ],
    ),
    "a case that is no condition": (
        "input.n > 10",
        "input.n + 10",
        [("input.n +", "steps[2].with.cases[0].when", "the expression gives int, and must give bool", None)],
    ),
    "a case that reads what it does not need": (
        "steps.book.status == 'failed'",
        "steps.nap.status == 'failed'",
        [
            (
                "steps.nap",
                "steps[2].with.cases[1].when",
                "the step nap need not have ended before pick",
                "add nap to the needs of pick",
            )
        ],
    ),
    "a retry of a branch": (
        "    join: any",
        "    join: any\n    retry: {attempts: 1}",
        [
            (
                "retry: {attempts: 1",
                "steps[2].retry",
                "unknown key retry",
                "known here: id, needs, join, if, on_error, type, with",
            )
        ],
    ),
    "an undo of what has no effect": (
        "    join: any",
        "    join: any\n    undo: {type: tool, tool: noop}",
        [
            (
                "undo: {type: tool, tool: noop}",
                "steps[2].undo",
                "a branch has nothing to undo",
                "only for steps of type agent, llm, tool, map, loop, workflow",
            )
        ],
    ),
    "an undo in a body": (
        "{id: read, type: tool,",
        "{id: read, type: tool, undo: {type: tool, tool: noop},",
        [
            (
                "undo: {type: tool, tool: noop},",
                "steps[4].steps[0].undo",
                "a step in a body cannot have an undo",
                "put the steps of the body into a workflow of their own, with undo there, and call that",
            )
        ],
    ),
    "an undo that is no work": (
        "undo: {type: tool, tool: noop,",
        "undo: {type: wait, tool: noop,",
        [
            (
                "wait, tool",
                "steps[0].undo.type",
                "unknown type of an undo wait",
                "one of agent, llm, tool, workflow",
            )
        ],
    ),
    "an undo with a condition": (
        "timeout: 5s,",
        "if: 'true',",
        [("if: 'true'", "steps[0].undo.if", "unknown key if", "known here: retry, timeout, type, tool, with")],
    ),
    "an undo by no known tool": (
        "undo: {type: tool, tool: noop,",
        "undo: {type: tool, tool: nope,",
        [("nope", "steps[0].undo.tool", "there is no tool nope here", "did you mean noop?")],
    ),
    "an undo that reads a later step": (
        "steps.book.output.id",
        "steps.mend.output.id",
        [
            (
                "steps.mend.output.id",
                "steps[0].undo.with.x",
                "the step mend runs after book, so its output is not known here",
                None,
            )
        ],
    ),
    "an undo that is no map": (
        '{type: tool, tool: noop, with: {x: "${{ steps.book.output.id }}"}, timeout: 5s, retry: {attempts: 9}}',
        "cancel",
        [
            (
                "cancel",
                "steps[0].undo",
                "an undo is a map",
                "like a step, with type and with: {type: tool, tool: hotel.cancel}",
            )
        ],
    ),
    "a map over a text": (
        "${{ steps.book.output.rows }}",
        "rows",
        [
            (
                '"rows"',
                "steps[4].with.over",
                "over is a text",
                "write a list, a whole number, or an expression: ${{ steps.list.output }}",
            )
        ],
    ),
    "a map over too many": (
        '"${{ steps.book.output.rows }}"',
        "10001",
        [("10001", "steps[4].with.over", "a map has 10,000 items at most", None)],
    ),
    "a map over less than nothing": (
        '"${{ steps.book.output.rows }}"',
        "-1",
        [("-1", "steps[4].with.over", "over must be 0 or more", None)],
    ),
    "a map over a fraction": (
        '"${{ steps.book.output.rows }}"',
        "1.5",
        [
            (
                "1.5",
                "steps[4].with.over",
                "over must give a list or a whole number",
                "write a list, a whole number, or an expression: ${{ steps.list.output }}",
            )
        ],
    ),
    "a concurrency that is evaluated": (
        "concurrency: 5",
        'concurrency: "${{ 5 }}"',
        [('"${{ 5', "steps[4].with.concurrency", "this should be a valid integer", None)],
    ),
    "a map without a body": (
        "    with: {over:",
        "    with: {title: x, over:",
        [
            (
                "title: x",
                "steps[4].with.title",
                "unknown key title",
                "known here: over, concurrency, on_item_error",
            )
        ],
    ),
    "a misspelt body": (
        "    steps:\n      - {id: read",
        "    stepps:\n      - {id: read",
        [
            ("id: each", "steps[4].steps", "steps is missing", "a step has id, type and with"),
            ("stepps", "steps[4].stepps", "unknown key stepps", "did you mean steps?"),
        ],
    ),
    "an item outside of a map": (
        'when: "${{ input.n > 10 }}"',
        'when: "${{ item.n > 10 }}"',
        [("item.n >", "steps[2].with.cases[0].when", "item is known only in the body of a map", None)],
    ),
    "an iteration outside of a loop": (
        'n: "${{ index }}"',
        'n: "${{ iteration }}"',
        [
            (
                "iteration }}",
                "steps[4].steps[0].with.n",
                "iteration is known only in the body and the until of a loop",
                None,
            )
        ],
    ),
    "an event outside of a filter": (
        'with: {x: "${{ steps.each.output }}"}',
        'with: {x: "${{ event.data }}"}',
        [("event.data }}", "steps[9].with.x", "event is known only in the filter of a wait for an event", None)],
    ),
    "no field of an event": (
        "event.data.order ==",
        "event.order ==",
        [
            (
                "event.order",
                "steps[8].with.filter",
                "unknown name event.order",
                "an event has event.id, event.name and event.data",
            )
        ],
    ),
    "a filter that is none": (
        "event.data.order == steps.until.output.id",
        "event.name",
        [('event.name"', "steps[8].with.filter", "the expression gives string, and must give bool", None)],
    ),
    "an until that is none": (
        "steps.ask.output.ok && iteration > 1 && item != null",
        "iteration + 1",
        [("iteration +", "steps[4].steps[1].with.until", "the expression gives int, and must give bool", None)],
    ),
    "an until that reads what has not run": (
        "steps.ask.output.ok",
        "steps.nap.output.ok",
        [
            (
                "steps.nap",
                "steps[4].steps[1].with.until",
                "the step nap need not have ended before again",
                "add nap to the needs of each",
            )
        ],
    ),
    "at_max without until": (
        '{max: 4, until: "${{ steps.ask.output.ok && iteration > 1 && item != null }}", at_max: succeed}',
        "{max: 4, at_max: succeed}",
        [
            (
                "{max",
                "steps[4].steps[1].with",
                "at_max says what it means that until did not come true, but there is no until",
                None,
            )
        ],
    ),
    "too many passes": (
        "max: 4",
        "max: 1001",
        [("1001", "steps[4].steps[1].with.max", "this should be less than or equal to 1000", None)],
    ),
    "a body step that reads its own map": (
        "${{ item.name }}",
        "${{ steps.each.output }}",
        [
            (
                'steps.each.output }}", n',
                "steps[4].steps[0].with.x",
                "the step each has not ended while its body runs",
                None,
            )
        ],
    ),
    "a step that reads into a body": (
        'x: "${{ steps.each.output }}"',
        'x: "${{ steps.read.output }}"',
        [
            (
                'steps.read.output }}"}\noutput',
                "steps[9].with.x",
                "the step read runs in the body of each",
                "read what each gives: steps.each.output",
            )
        ],
    ),
    "an output that reads into a body": (
        "output: ${{ steps.total.output }}",
        "output: ${{ steps.ask.output }}",
        [
            (
                "steps.ask.output }}\n",
                "output",
                "the step ask runs in the body of again",
                "read what again gives: steps.again.output",
            )
        ],
    ),
    "a body step that needs a step outside": (
        "needs: [read]",
        "needs: [book]",
        [
            (
                "book]\n        with",
                "steps[4].steps[1].needs[0]",
                "the step book stands outside of this body",
                "what each needs has ended before its body starts: add book to the needs of each",
            ),
            (
                "steps.read.output }} ${{",
                "steps[4].steps[1].steps[0].with.x",
                "the step read need not have ended before ask",
                "add read to the needs of again",
            ),
        ],
    ),
    "a step that needs one of a body": (
        "needs: [until]",
        "needs: [until, read]",
        [("read]\n    with", "steps[8].needs[1]", "the step read stands in the body of each", "name each instead")],
    ),
    "an id used in a body and outside": (
        "{id: nap,",
        "{id: read,",
        [
            ("read, type: wait", "steps[6].id", "the id read is used twice", "first on line 34"),
            ("nap]\n    join", "steps[9].needs[3]", "there is no step nap", None),
        ],
    ),
    "a workflow that is not there": (
        "workflow: other",
        "workflow: othr",
        [("othr", "steps[5].workflow", "there is no workflow othr here", "did you mean other?")],
    ),
    "a workflow that starts itself": (
        "workflow: other",
        "workflow: order",
        [
            (
                "order, version",
                "steps[5].workflow",
                "the workflow order would start itself",
                "repeat steps with type: loop",
            )
        ],
    ),
    "a wait for nothing": (
        "{for: 10m}",
        "{}",
        [("{}", "steps[6].with", "a wait needs one of for, until and event", None)],
    ),
    "a wait for two things": (
        "{for: 10m}",
        "{for: 10m, event: x}",
        [("{for", "steps[6].with", "a wait needs one of for, until and event", None)],
    ),
    "a timeout of a time": (
        "{for: 10m}",
        "{for: 10m, timeout: 1h}",
        [("{for", "steps[6].with", "timeout is only for an event", None)],
    ),
    "a duration that is none": (
        "{for: 10m}",
        "{for: ten minutes}",
        [("ten", "steps[6].with.for", "for is not valid", "write a number and a unit: 500ms, 30s, 5m, 2h or 1d")],
    ),
    "an instant without an offset": (
        "2031-01-31T12:00:00+02:00",
        "2031-01-31T12:00:00",
        [
            (
                '"2031',
                "steps[7].with.until",
                "until is not valid",
                "write date, time and offset: 2031-01-31T12:00:00Z or 2031-01-31T14:00:00+02:00",
            )
        ],
    ),
    "an instant that never comes": (
        "2031-01-31T12:00:00+02:00",
        "2031-02-31T12:00:00Z",
        [
            (
                '"2031',
                "steps[7].with.until",
                "until is not valid",
                "write date, time and offset: 2031-01-31T12:00:00Z or 2031-01-31T14:00:00+02:00",
            )
        ],
    ),
    "an event that cannot be": (
        "payment.received",
        "Payment Received",
        [
            (
                "Payment",
                "steps[8].with.event",
                "event is not valid",
                "use small letters, digits, '.', _ and -, starting with a letter: payment.received",
            )
        ],
    ),
    "an expression where none is evaluated": (
        "timeout: 1d",
        'timeout: "${{ input.n }}d"',
        [
            (
                '"${{ input.n }}d"',
                "steps[8].with.timeout",
                "timeout is not valid",
                "write a number and a unit: 500ms, 30s, 5m, 2h or 1d",
            )
        ],
    ),
    "a circle in a body": (
        'with: {x: "${{ item.name }}", n: "${{ index }}"}',
        'needs: [again], with: {n: "${{ index }}"}',
        [
            (
                "[again]",
                "steps[4].steps[0].needs",
                "the steps need each other in a circle: read → again → read",
                "remove one need",
            )
        ],
    ),
    "needs that are no list": (
        "needs: [until]",
        "needs: until",
        [
            ("until\n    with", "steps[8].needs", "this must be a list", None),
        ],
    ),
    "an approver who is nobody": (
        "{title: OK?}",
        "{title: OK?, approvers: [chief]}",
        [
            (
                "chief",
                "steps[3].with.approvers[0]",
                "'chief' is neither a role (owner, admin, developer, operator, viewer) nor an e-mail address",
                None,
            )
        ],
    ),
    "more people than are named": (
        "{title: OK?}",
        "{title: OK?, approvers: [a@example.com], quorum: 2}",
        [("{title: OK?, approvers", "steps[3].with", "only 1 may approve, and 2 must", None)],
    ),
    "an escalation to nobody": (
        "{title: OK?}",
        "{title: OK?, escalate_after: 1h}",
        [
            (
                "{title: OK?, escalate_after",
                "steps[3].with",
                "escalate_after and escalate_to belong together: say both, when and to whom",
                None,
            )
        ],
    ),
    "an escalation after the end": (
        "{title: OK?}",
        "{title: OK?, expires: 1h, escalate_after: 1h, escalate_to: [owner]}",
        [("{title: OK?, expires", "steps[3].with", "the question expires before it is escalated", None)],
    ),
    "a retry on a map": (
        "    on_error: continue\n",
        "    on_error: continue\n    retry: {attempts: 5}\n",
        [
            (
                "retry: {attempts: 5}",
                "steps[4].retry",
                "retry on a map would not do a failed item again",
                "write retry on the steps of its body that may fail",
            )
        ],
    ),
    "a retry on a loop": (
        "at_max: succeed}\n",
        "at_max: succeed}\n        retry: {attempts: 5}\n",
        [
            (
                "retry: {attempts: 5}",
                "steps[4].steps[1].retry",
                "retry on a loop would not do a failed pass again",
                "write retry on the steps of its body that may fail",
            )
        ],
    ),
    "a retry that is no map": (
        "retry: {attempts: 2, jitter: false, on: [timeout, rate-limited]}",
        "retry: 5",
        [("5\n    undo", "steps[0].retry", "this must be a map", None)],
    ),
}


def place_of(text: str, source: str) -> tuple[int, int]:
    assert source.count(text) == 1, f"{text!r} marks one place"
    offset = source.index(text)
    return source.count("\n", 0, offset) + 1, offset - source.rfind("\n", 0, offset)


@pytest.mark.parametrize("case", BROKEN)
def test_a_mistake_is_told_where_it_stands(case: str) -> None:
    old, new, expected = BROKEN[case]
    assert GOOD.count(old) == 1, "the case replaces one place"
    source = GOOD.replace(old, new)
    found = [(item["line"], item["column"], item["path"], item["message"], item["hint"]) for item in told(source)]
    assert found == [(*place_of(text, source), path, message, hint) for text, path, message, hint in expected]


def nested(depth: int) -> dict[str, Any]:
    step: dict[str, Any] = {"id": "inmost", "type": "tool", "tool": "noop"}
    for level in range(depth):
        kind: dict[str, Any] = (
            {"type": "map", "with": {"over": 2}} if level % 2 else {"type": "loop", "with": {"max": 2}}
        )
        step = {"id": f"level{level}", **kind, "steps": [step]}
    return {"version": 1, "name": "x", "steps": [step]}


def test_bodies_stand_four_deep_at_most() -> None:
    assert parse(json.dumps(nested(4))).steps[0].body is not None
    [error] = told(json.dumps(nested(5)))
    assert error["path"] == "steps[0].steps[0].steps[0].steps[0].steps[0].steps"
    assert error["message"] == "bodies of maps and loops may stand 4 deep in each other at most"


def test_steps_are_counted_with_those_of_bodies() -> None:
    body = [{"id": f"b{number}", "type": "tool", "tool": "noop"} for number in range(1_000)]
    each = {"id": "each", "type": "map", "with": {"over": 2}, "steps": body}
    rest = [{"id": f"s{number}", "type": "tool", "tool": "noop"} for number in range(1_000)]
    document = {"version": 1, "name": "x", "steps": [each, *rest[:-1]]}
    assert len(parse(json.dumps(document)).steps) == 1_000
    [error] = told(json.dumps({**document, "steps": [each, *rest]}))
    assert (error["path"], error["message"]) == ("steps[1000]", "a workflow has 2,000 steps at most")


def test_a_body_sees_the_nearest_map_and_the_nearest_loop() -> None:
    document = nested(4)
    step = document["steps"][0]
    while "steps" in step:
        step = step["steps"][0]
    step["with"] = {"x": "${{ item }} ${{ index }} ${{ iteration }} ${{ previous }}"}
    parse(json.dumps(document))


def test_names_of_workflows_are_left_unchecked_where_the_project_is_not_known() -> None:
    source = GOOD.replace("workflow: other", "workflow: anything")
    assert parse_definition(source, agents=None, tools=None).steps[5].name == "anything"


@pytest.mark.parametrize("over", [0, 10_000, [], [1, "${{ input.n }}"], "${{ input.n }}"])
def test_a_map_may_state_its_items_or_compute_them(over: object) -> None:
    source = GOOD.replace('"${{ steps.book.output.rows }}"', json.dumps(over))
    assert parse(source).steps[4].parameters["over"] == over


@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.text(alphabet="ax{}[]\"':&*!|>-#$ \n\t0", max_size=6))
def test_any_damage_is_accepted_or_refused_in_our_words(start: int, length: int, text: str) -> None:
    source = GOOD[:start] + text + GOOD[start + length :]
    try:
        parse(source)
    except DefinitionInvalid as error:
        found = error.members["errors"]
        assert found
