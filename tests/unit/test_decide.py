"""The engine's brain, case by case."""

import pytest

from sparkops.domains.runs.state import RunStatus, StepStatus
from sparkops.domains.workflows.scope import Context, StepView
from sparkops.engine.decide import (
    Command,
    FailInline,
    FinishInline,
    FinishRun,
    MakeReady,
    Skip,
    StepState,
    decide_cancelled,
    to_json,
)
from sparkops.engine.params import render_with
from tests.unit.in_memory import Run, graph_of, tool, transform


def test_a_repair_finds_what_was_missed_anywhere() -> None:
    run = Run(graph_of([tool("a"), tool("b", "a"), tool("c", "b"), transform("d", "a")]))
    run.states["a"] = StepState(StepStatus.SUCCEEDED)
    assert run.decide() == [MakeReady("b"), FinishInline("d", 1)]


def test_a_step_is_skipped_as_soon_as_one_need_cannot_succeed() -> None:
    run = Run(graph_of([tool("a"), tool("b"), tool("c", "a", "b"), tool("d", "c")]))
    run.states |= {"a": StepState(StepStatus.FAILED), "b": StepState(StepStatus.RUNNING)}
    assert run.decide(["a"]) == [Skip("c", "upstream"), Skip("d", "upstream")]


@pytest.mark.parametrize("lost", [StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED])
def test_a_need_that_did_not_succeed_skips_what_waits_for_it(lost: StepStatus) -> None:
    run = Run(graph_of([tool("a"), tool("b", "a")]))
    run.states["a"] = StepState(lost)
    assert run.decide(["a"])[0] == Skip("b", "upstream")


def test_a_condition_that_does_not_hold_skips_and_one_that_breaks_fails() -> None:
    run = Run(
        graph_of([tool("a", **{"if": "1 > 2"}), tool("b", **{"if": "1 / 0 == 1"}), tool("c", **{"if": "${{ 1 < 2 }}"})])
    )
    skip, fail, ready = run.decide()
    assert (skip, ready) == (Skip("a", "condition"), MakeReady("c"))
    assert isinstance(fail, FailInline)
    assert fail.error == {"code": "expression-failed", "message": "1 / 0 == 1: divide by zero"}


def test_a_condition_that_gives_no_truth_value_fails_the_step() -> None:
    run = Run(graph_of([transform("a"), tool("b", "a", **{"if": "steps.a.output"})]))
    assert isinstance(run.decide()[1], FailInline)


@pytest.mark.parametrize(
    "open_status",
    [StepStatus.READY, StepStatus.RUNNING, StepStatus.WAITING, StepStatus.UNCERTAIN],
)
def test_a_run_does_not_end_while_a_step_is_open(open_status: StepStatus) -> None:
    run = Run(graph_of([tool("a"), tool("b")]))
    run.states |= {"a": StepState(StepStatus.FAILED), "b": StepState(open_status)}
    assert run.decide() == []
    assert decide_cancelled(run.graph, run.states) == []


def test_a_failed_run_says_which_step_failed_first_in_the_definition() -> None:
    run = Run(graph_of([tool("a"), tool("b"), tool("c")]))
    for key in "abc":
        run.states[key] = StepState(StepStatus.FAILED, None, {"code": "x", "message": f"{key} broke"})
    run.states["a"] = StepState(StepStatus.SUCCEEDED)
    expected = {"code": "step-failed", "step": "b", "message": "Step b failed: b broke"}
    assert run.decide() == [FinishRun(RunStatus.FAILED, error=expected)]


def test_the_default_output_is_that_of_the_leaves_that_succeeded() -> None:
    run = Run(graph_of([tool("a"), tool("b", "a"), tool("c", "a")]))
    done = StepState(StepStatus.SUCCEEDED, 7)
    run.states |= {"a": done, "b": done, "c": StepState(StepStatus.SKIPPED)}
    assert run.decide() == [FinishRun(RunStatus.SUCCEEDED, {"b": 7})]


def test_an_output_expression_sees_all_steps_and_null_where_one_was_skipped() -> None:
    output = {
        "a": "${{ steps.a.output.n }}",
        "b": "${{ steps.b.output }}",
        "how": "${{ steps.b.status }} in ${{ run.id }}",
    }
    run = Run(graph_of([tool("a"), tool("b")], output=output))
    run.states |= {"a": StepState(StepStatus.SUCCEEDED, {"n": 1}), "b": StepState(StepStatus.SKIPPED, "not this")}
    assert run.decide() == [FinishRun(RunStatus.SUCCEEDED, {"a": 1, "b": None, "how": "skipped in run-1"})]


def test_an_output_that_breaks_fails_the_run() -> None:
    run = Run(graph_of([tool("a")], output="${{ steps.a.output.nope }}"))
    run.states["a"] = StepState(StepStatus.SUCCEEDED, {})
    error = {"code": "expression-failed", "message": "steps.a.output.nope: there is no nope"}
    assert run.decide() == [FinishRun(RunStatus.FAILED, error=error)]


def test_a_cancelled_run_ends_once_its_last_step_has() -> None:
    run = Run(graph_of([tool("a"), tool("b")]))
    run.states |= {"a": StepState(StepStatus.CANCELLED), "b": StepState(StepStatus.SUCCEEDED)}
    assert decide_cancelled(run.graph, run.states) == [FinishRun(RunStatus.CANCELLED)]
    run.states["b"] = StepState(StepStatus.RUNNING)
    assert decide_cancelled(run.graph, run.states) == []


def test_commands_are_written_as_the_database_takes_them() -> None:
    commands: list[Command] = [
        MakeReady("a"),
        Skip("b", "upstream"),
        FinishInline("c", [1]),
        FailInline("d", {"code": "x"}),
        FinishRun(RunStatus.FAILED, None, {"code": "y"}),
    ]
    assert [to_json(command) for command in commands] == [
        {"op": "ready", "key": "a"},
        {"op": "skip", "key": "b", "reason": "upstream"},
        {"op": "succeed", "key": "c", "output": [1]},
        {"op": "fail", "key": "d", "error": {"code": "x"}},
        {"op": "finish", "status": "failed", "output": None, "error": {"code": "y"}},
    ]


def test_a_template_is_filled_inline_and_fails_the_step_if_it_cannot_be() -> None:
    template = {"template": "{% for r in rows %}{{ r.v }};{% endfor %}", "data": {"rows": "${{ steps.a.output }}"}}
    run = Run(graph_of([tool("a"), transform("b", "a", **{"with": template})]))
    run.states["a"] = StepState(StepStatus.SUCCEEDED, [{"v": 1}, {"v": "x"}])
    assert run.decide(["a"])[0] == FinishInline("b", "1;x;")
    run.states["a"] = StepState(StepStatus.SUCCEEDED, [{}])
    assert isinstance(run.decide(["a"])[0], FailInline)


def test_the_graph_says_what_is_read_and_who_may_decide() -> None:
    steps = [
        tool("a", **{"with": {"x": "${{ input.yes }}"}}),
        tool("b", "a", **{"with": {"x": "${{ steps.a.output }} ${{ steps.a.status }}"}}),
        transform("c", "a"),
        tool("d", "b", "b", **{"if": "steps.a.output == 1", "with": {"x": "${{ run.id }}"}}),
        {
            "id": "e",
            "type": "llm",
            "needs": ["b"],
            "with": {
                "model": "scripted",
                "prompt": "p",
                "max_output_tokens": 1,
                "script": {"turns": [{"text": "${{ prompt }} ${{ steps }}"}]},
            },
        },
        {"id": "f", "type": "agent", "agent": "ann", "needs": ["e"], "with": {"prompt": "p"}},
        {"id": "g", "type": "approval", "needs": ["f"], "with": {"title": "t"}},
    ]
    graph = graph_of(steps, input={"properties": {"yes": {"type": "boolean"}}})
    node = graph.by_key
    assert [node[key].reads for key in "abcd"] == [(), ("a",), (), ("a",)]
    assert [node[key].reads_input for key in "ab"] == [True, False]
    assert (node["a"].dependents, node["d"].needs) == (("b", "c"), ("b",))
    assert [key for key in "abcdefg" if node[key].mechanical] == ["a", "b", "e", "f", "g"]
    assert [key for key in "abcdefg" if node[key].inline] == ["c"]
    assert [key for key in "abcdefg" if node[key].hands_over] == ["c", "d", "e", "f", "g"]
    assert (graph.leaves, set(graph.agents), graph.simple_end) == (("c", "d", "g"), {"ann"}, True)


def test_parameters_are_rendered_and_literal_keys_left_alone() -> None:
    script = {"turns": [{"text": "${{ prompt }}"}]}
    with_ = {"model": "scripted", "script": script, "prompt": "see ${{ steps.a.output.x }}", "max_output_tokens": 5}
    graph = graph_of([tool("a"), {"id": "b", "type": "llm", "needs": ["a"], "with": with_}])
    context = Context({}, {"a": StepView({"x": [1]}, "succeeded")}, "run-1")
    assert render_with(graph.by_key["b"], context) == {**with_, "prompt": "see [1]"}
