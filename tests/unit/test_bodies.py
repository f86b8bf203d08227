"""Bodies of maps and loops, sub-workflows and waits: what their graphs say, and what is evaluated for them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sparkops.core.expressions import ExpressionError
from sparkops.core.json import Json
from sparkops.domains.runs.state import RunStatus, StepStatus
from sparkops.domains.workflows.scope import Context, EventView, FrameView, StepView
from sparkops.engine.decide import Compensate, FinishInline, FinishRun, MakeReady, Missing, StepState, decide
from sparkops.engine.graph import Graph
from sparkops.engine.params import (
    evaluate_filter,
    evaluate_items,
    evaluate_until,
    evaluate_wait,
    loop_frame,
    map_frame,
    render_concurrency_key,
    render_with,
)
from tests.unit.in_memory import INPUT, Run, graph_of, tool, transform

UNDO = {"type": "agent", "agent": "bob", "with": {"prompt": "${{ steps.list.output }} ${{ steps.each.output }}"}}
ASK = {
    "id": "ask",
    "type": "agent",
    "agent": "ann",
    "with": {"prompt": "${{ previous }} ${{ item }} ${{ steps.read.output }}"},
}
AGAIN = {
    "id": "again",
    "type": "loop",
    "needs": ["read"],
    "with": {"max": 5, "until": "steps.ask.output == item && steps.list.status == 'succeeded' && iteration > 1"},
    "steps": [ASK, {"id": "child", "type": "workflow", "workflow": "other", "version": 2}],
}
EACH = {
    "id": "each",
    "type": "map",
    "needs": ["list"],
    "undo": UNDO,
    "with": {"over": "${{ steps.list.output }}"},
    "steps": [tool("read", **{"with": {"n": "${{ item.n + index }}", "x": "${{ steps.list.output }}"}}), AGAIN],
}


def whole() -> Graph:
    sub = {"id": "sub", "type": "workflow", "workflow": "other", "needs": ["each"]}
    return graph_of([tool("list"), EACH, sub], input={"properties": {"yes": {"type": "boolean"}}})


def test_nodes_are_found_wherever_they_stand() -> None:
    graph = whole()
    assert list(graph.by_key) == ["list", "each", "sub"]
    for key in ("list", "each", "each:undo", "read", "again", "ask", "child", "sub"):
        assert graph.find(key).key == key
    with pytest.raises(KeyError):
        graph.find("list:undo")


def test_a_graph_names_agents_and_workflows_of_bodies_and_undo_steps() -> None:
    graph = whole()
    assert graph.agents == {"ann", "bob"}
    assert graph.workflows == {("other", None), ("other", 2)}
    assert (graph.has_undo, graph_of([tool("a")]).has_undo) == (True, False)
    assert (graph.find("child").name, graph.find("child").version) == ("other", 2)


def test_a_graph_is_scripted_if_any_step_anywhere_is() -> None:
    script = {"model": "scripted", "prompt": "p", "max_output_tokens": 1, "script": {"turns": [{"text": "x"}]}}
    llm: dict[str, Any] = {"id": "say", "type": "llm", "with": script}
    each = {"id": "each", "type": "map", "with": {"over": 2}, "steps": [llm]}
    undo = tool("a", undo={"type": "llm", "with": script})
    assert [graph_of([step]).scripted for step in (tool("a"), llm, each, undo)] == [False, True, True, True]


def test_nodes_say_what_they_read_of_steps_around_and_of_the_frame() -> None:
    graph = whole()
    reads = {key: graph.find(key).reads for key in ("each", "each:undo", "read", "again", "ask")}
    assert reads == {
        "each": ("list",),
        "each:undo": ("list", "each"),
        "read": ("list",),
        "again": ("list",),
        "ask": ("read",),
    }
    frames = {key: graph.find(key).reads_frame for key in ("each", "read", "again", "ask", "child")}
    assert frames == {"each": False, "read": True, "again": True, "ask": True, "child": False}
    assert graph.find("again").until_mentions.steps == {"ask", "list"}


def test_a_loop_reads_no_frame_but_its_own_passes() -> None:
    loop = {"id": "l", "type": "loop", "with": {"max": 2, "until": "iteration > 1"}, "steps": [tool("a")]}
    assert not graph_of([loop]).by_key["l"].reads_frame


def test_the_end_of_a_frame_is_never_the_databases_alone() -> None:
    body = whole().by_key["each"].body
    assert body is not None
    assert {node.key: node.hands_over for node in body.nodes} == {"read": True, "again": False}
    assert whole().by_key["sub"].hands_over


def test_a_body_may_read_an_outer_step_that_is_still_open() -> None:
    each = {**EACH, "needs": ["list", "other"], "join": "any"}
    graph = graph_of([tool("list"), tool("other"), each])
    read = graph.find("read")
    assert (read.prunes_reads, read.mechanical) == (True, False)
    assert not whole().find("read").prunes_reads
    body = graph.by_key["each"].body
    assert body is not None
    run = Run(body, frame=map_frame(0, {"n": 1}), outer={"list": StepState(StepStatus.RUNNING)})
    assert run.decide() == [MakeReady("read", ())]


def frame_of(steps: list[dict[str, Any]], *, output: Json = None, frame: FrameView | None = None) -> Run:
    each = {"id": "each", "type": "map", "needs": ["list"], "with": {"over": 3}, "steps": steps, "output": output}
    body = graph_of([tool("list"), each]).by_key["each"].body
    assert body is not None
    outer = {"list": StepState(StepStatus.SUCCEEDED, [1, 2])}
    return Run(body, frame=frame or map_frame(2, "x"), outer=outer)


def done(output: Json) -> StepState:
    return StepState(StepStatus.SUCCEEDED, output)


def test_a_frame_sees_its_item_and_the_steps_around() -> None:
    value = {"item": "${{ item }}", "at": "${{ index }}", "of": "${{ steps.list.output }}"}
    run = frame_of([transform("a", **{"with": {"value": value}})])
    assert run.decide() == [
        FinishInline("a", {"item": "x", "at": 2, "of": [1, 2]}),
        FinishRun(RunStatus.SUCCEEDED, {"item": "x", "at": 2, "of": [1, 2]}),
    ]


def test_what_a_frame_gives_by_default_depends_on_how_many_leaves_it_has() -> None:
    one = frame_of([tool("a"), tool("b", "a")])
    one.states |= {"a": done(1), "b": done(2)}
    assert one.decide() == [FinishRun(RunStatus.SUCCEEDED, 2)]
    one.states["b"] = StepState(StepStatus.SKIPPED)
    assert one.decide() == [FinishRun(RunStatus.SUCCEEDED, None)]
    two = frame_of([tool("a"), tool("b")])
    two.states |= {"a": done(1), "b": StepState(StepStatus.SKIPPED)}
    assert two.decide() == [FinishRun(RunStatus.SUCCEEDED, {"a": 1})]


def test_a_frame_may_say_what_it_gives() -> None:
    run = frame_of([tool("a")], output="${{ steps.a.output }} of ${{ item }} and ${{ steps.list.output }}")
    run.states["a"] = done(1)
    assert run.decide() == [FinishRun(RunStatus.SUCCEEDED, "1 of x and [1,2]")]


def test_a_frame_fails_by_its_first_failed_step_and_undoes_nothing() -> None:
    run = frame_of([tool("a", on_error="continue"), tool("b")])
    failed = StepState(StepStatus.FAILED, None, {"message": "broke"})
    run.states |= {"a": failed, "b": failed}
    [end] = run.decide()
    assert not isinstance(end, Compensate)
    assert end == FinishRun(
        RunStatus.FAILED, error={"code": "step-failed", "step": "b", "message": "Step b failed: broke"}
    )


def test_a_frame_that_was_not_loaded_is_asked_for_with_all_else_that_is_missing() -> None:
    value = {"item": "${{ item }}", "of": "${{ steps.list.output }}", "yes": "${{ input.yes }}"}
    each = {**EACH, "steps": [transform("a", **{"with": {"value": value}}), tool("b")]}
    graph = graph_of([tool("list"), each], input={"properties": {"yes": {"type": "boolean"}}})
    body = graph.by_key["each"].body
    assert body is not None
    states = {"a": StepState(StepStatus.PENDING), "b": StepState(StepStatus.PENDING)}
    with pytest.raises(Missing) as all_of_it:
        decide(body, states, None, "run-1")
    assert missing(all_of_it.value) == (["list"], True, True)
    outer = {"list": StepState(StepStatus.SUCCEEDED, loaded=False)}
    with pytest.raises(Missing) as the_rest:
        decide(body, states, INPUT, "run-1", frame=map_frame(0, 1), outer=outer)
    assert missing(the_rest.value) == (["list"], False, False)


def missing(question: Missing) -> tuple[list[str], bool, bool]:
    return sorted(question.outputs), question.input, question.frame


def test_only_what_is_read_has_to_be_loaded() -> None:
    steps = [
        tool("a"),
        tool("b", "a", **{"if": "steps.a.status == 'succeeded'", "with": {"x": "${{ steps.a.output }}"}}),
    ]
    run = Run(graph_of(steps))
    run.states["a"] = StepState(StepStatus.SUCCEEDED, loaded=False)
    assert run.decide() == [MakeReady("b")]


def test_frames_within_frames_see_the_nearest_of_each_kind() -> None:
    outer = map_frame(3, "outer")
    inside = loop_frame(2, "before", outer)
    assert inside == FrameView(item="outer", index=3, iteration=2, previous="before")
    assert map_frame(0, "inner", inside) == FrameView(item="inner", index=0, iteration=2, previous="before")
    context = Context({}, {"read": StepView(1, "succeeded")}, "run-1", frame=inside)
    assert render_with(whole().find("ask"), context)["prompt"] == "before outer 1"


def until(iteration: int, answer: str) -> bool:
    steps = {"ask": StepView(answer, "succeeded"), "list": StepView([1], "succeeded")}
    frame = loop_frame(iteration, None, map_frame(0, "yes"))
    return evaluate_until(whole().find("again"), Context({}, steps, "run-1", frame=frame))


def test_until_is_asked_of_a_pass_that_has_ended() -> None:
    assert [until(2, "yes"), until(1, "yes"), until(2, "no")] == [True, False, False]


def test_a_loop_without_until_is_never_done_early() -> None:
    loop = graph_of([{"id": "l", "type": "loop", "with": {"max": 2}, "steps": [tool("a")]}]).by_key["l"]
    assert not evaluate_until(loop, Context({}, {}, "run-1"))


def over(value: Json) -> list[Json]:
    graph = graph_of([tool("list"), EACH])
    return evaluate_items(graph.by_key["each"], Context({}, {"list": StepView(value, "succeeded")}, "run-1"))


def test_a_map_has_a_list_or_counts() -> None:
    assert over(["a", None]) == ["a", None]
    assert over(3) == [0, 1, 2]
    assert over(2.0) == [0, 1]
    assert over(0) == over([]) == []
    assert len(over(10_000)) == 10_000


@pytest.mark.parametrize("value", [None, "abc", True, -1, 1.5, {"a": 1}, 10_001, list(range(10_001))])
def test_a_map_over_anything_else_fails(value: Json) -> None:
    with pytest.raises(ExpressionError, match="over"):
        over(value)


def wait(given: dict[str, Json], when: Json = None) -> timedelta | datetime:
    graph = graph_of([{"id": "nap", "type": "wait", "with": given}], input={"properties": {"when": {}}})
    return evaluate_wait(graph.by_key["nap"], Context({"when": when}, {}, "run-1"))


def test_a_wait_lasts_for_a_while_or_until_an_instant() -> None:
    assert wait({"for": "10m"}) == wait({"for": "${{ input.when }}m"}, "10") == timedelta(minutes=10)
    noon = datetime(2031, 1, 31, 12, tzinfo=UTC)
    assert wait({"until": "2031-01-31T12:00:00Z"}) == wait({"until": "${{ input.when }}"}, "2031-01-31T14:00:00+02:00")
    assert wait({"until": "2031-01-31t12:00:00.000000001z"}) == noon


@pytest.mark.parametrize("when", [None, 5, "soon", "2031-01-31", "2031-01-31T12:00:00", "0001-01-01T00:00:00+23:00"])
def test_a_wait_until_no_instant_fails(when: Json) -> None:
    with pytest.raises(ExpressionError):
        wait({"until": "${{ input.when }}"}, when)


def fits(filter_: str | None, data: Json) -> bool:
    given = {"event": "paid", **({} if filter_ is None else {"filter": filter_})}
    graph = graph_of([tool("a"), {"id": "w", "type": "wait", "needs": ["a"], "with": given}])
    steps = {"a": StepView({"order": 7}, "succeeded")}
    return evaluate_filter(graph.by_key["w"], Context({}, steps, "run-1", event=EventView("e1", "paid", data)))


def test_a_filter_compares_the_event_with_what_the_run_knows() -> None:
    condition = "event.data.order == steps.a.output.order && event.name == 'paid' && event.id == 'e1'"
    assert [fits(condition, {"order": 7}), fits(condition, {"order": 8}), fits(None, {})] == [True, False, True]
    with pytest.raises(ExpressionError):
        fits(condition, {})


def test_what_a_filter_reads_is_read_by_the_step() -> None:
    given = {"event": "paid", "filter": "event.data == steps.a.output && event.id == input.yes"}
    graph = graph_of(
        [tool("a"), {"id": "w", "type": "wait", "needs": ["a"], "with": given}],
        input={"properties": {"yes": {}}},
    )
    assert (graph.by_key["w"].reads, graph.by_key["w"].reads_input) == (("a",), True)


@pytest.mark.parametrize(
    ("key", "expected"), [(None, None), ("${{ input.who }}", "7"), ("c-${{ input.who }}", "c-7"), ("all", "all")]
)
def test_runs_are_counted_by_a_key_from_their_input(key: str | None, expected: str | None) -> None:
    limit = {} if key is None else {"key": key}
    graph = graph_of([tool("a")], concurrency=limit, input={"properties": {"who": {}}})
    assert render_concurrency_key(graph, {"who": 7}) == expected
    assert render_concurrency_key(graph_of([tool("a")]), {}) is None


def test_a_key_is_short() -> None:
    graph = graph_of([tool("a")], concurrency={"key": "${{ input.who }}"}, input={"properties": {"who": {}}})
    assert render_concurrency_key(graph, {"who": "x" * 500}) == "x" * 500
    with pytest.raises(ExpressionError):
        render_concurrency_key(graph, {"who": "x" * 501})
