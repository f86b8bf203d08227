"""When steps start that join otherwise than `all`, that a branch may choose, or that handle a failure."""

from typing import Any

import pytest

from sparkops.domains.runs.state import RunStatus, StepStatus
from sparkops.domains.workflows.options import Join, JoinRule
from sparkops.engine.decide import Command, FailInline, FinishInline, FinishRun, MakeReady, Missing, Skip, StepState
from sparkops.engine.joins import Verdict, starts
from tests.unit.in_memory import Run, branch, graph_of, tool, transform

O, M, L, F = Verdict.OPEN, Verdict.MET, Verdict.LOST, Verdict.FAILED  # noqa: E741 -- a table of single letters
DONE = StepState(StepStatus.SUCCEEDED, {"n": 1})
FAILED = StepState(StepStatus.FAILED, None, {"code": "x", "message": "broke"})
SKIPPED = StepState(StepStatus.SKIPPED)
RUNNING = StepState(StepStatus.RUNNING)


@pytest.mark.parametrize(
    ("join", "verdicts", "answer"),
    [
        (Join(JoinRule.ALL), [], True),
        (Join(JoinRule.ALL), [M, M], True),
        (Join(JoinRule.ALL), [M, O], None),
        (Join(JoinRule.ALL), [O, L], False),
        (Join(JoinRule.ALL), [O, F], False),
        (Join(JoinRule.ANY), [O, M], True),
        (Join(JoinRule.ANY), [F, M], True),
        (Join(JoinRule.ANY), [O, L, F], None),
        (Join(JoinRule.ANY), [L, F], False),
        (Join(JoinRule.AT_LEAST, 2), [M, O, M], True),
        (Join(JoinRule.AT_LEAST, 2), [M, O, L], None),
        (Join(JoinRule.AT_LEAST, 2), [O, L, F], False),
        (Join(JoinRule.NONE_FAILED), [M, L], True),
        (Join(JoinRule.NONE_FAILED), [M, O], None),
        (Join(JoinRule.NONE_FAILED), [L, O], None),
        (Join(JoinRule.NONE_FAILED), [L, L], False),
        (Join(JoinRule.NONE_FAILED), [O, F], False),
        (Join(JoinRule.ENDED), [F, L, M], True),
        (Join(JoinRule.ENDED), [F, O], None),
    ],
)
def test_a_rule_is_answered_as_soon_as_it_can_be(join: Join, verdicts: list[Verdict], answer: bool | None) -> None:
    assert starts(join, verdicts) is answer


def joined(join: Any, states: dict[str, StepState]) -> list[Command]:
    run = Run(graph_of([*(tool(key) for key in states), tool("z", *states, join=join)]))
    run.states |= states
    return run.decide(list(states), may_end=False)


def test_any_starts_with_the_first_that_succeeds() -> None:
    assert joined("any", {"a": RUNNING, "b": DONE}) == [MakeReady("z")]
    assert joined("any", {"a": FAILED, "b": SKIPPED}) == [Skip("z", "upstream")]


def test_at_least_gives_up_when_too_few_are_left() -> None:
    assert joined({"at_least": 2}, {"a": DONE, "b": FAILED, "c": RUNNING}) == []
    assert joined({"at_least": 2}, {"a": FAILED, "b": FAILED, "c": RUNNING}) == [Skip("z", "upstream")]


def test_none_failed_takes_what_was_skipped_as_it_is() -> None:
    assert joined("none_failed", {"a": DONE, "b": SKIPPED}) == [MakeReady("z")]
    assert joined("none_failed", {"a": DONE, "b": FAILED}) == [Skip("z", "upstream")]


def test_ended_starts_whatever_happened() -> None:
    assert joined("ended", {"a": FAILED, "b": SKIPPED}) == [MakeReady("z")]


def test_a_tolerated_failure_meets_a_need_and_does_not_fail_the_run() -> None:
    run = Run(graph_of([tool("a", on_error="continue"), tool("b", "a")]))
    run.states["a"] = FAILED
    assert run.decide(["a"]) == [MakeReady("b")]
    run.states["b"] = DONE
    assert run.decide() == [FinishRun(RunStatus.SUCCEEDED, {"b": {"n": 1}})]


HANDLED = [
    tool("a", on_error={"goto": "mend"}),
    tool("mend", "a"),
    tool("next", "a"),
    tool("last", "mend", "next", join="any"),
]


def test_a_failure_goes_to_its_handler_and_to_nobody_else() -> None:
    run = Run(graph_of(HANDLED))
    run.states["a"] = FAILED
    assert run.decide(["a"]) == [MakeReady("mend"), Skip("next", "upstream")]
    run.states |= {"mend": DONE, "next": SKIPPED, "last": DONE}
    assert run.decide() == [FinishRun(RunStatus.SUCCEEDED, {"last": {"n": 1}})]


def test_a_handler_is_skipped_where_nothing_failed() -> None:
    run = Run(graph_of(HANDLED))
    run.states["a"] = DONE
    assert run.decide(["a"]) == [Skip("mend", "no-error"), MakeReady("next")]


def test_an_expression_that_breaks_is_handled_like_any_failure() -> None:
    steps = [transform("a", **{"with": {"value": "${{ 1 / 0 }}"}}, on_error={"goto": "mend"}), tool("mend", "a")]
    failed, ready = Run(graph_of(steps)).decide()
    assert isinstance(failed, FailInline)
    assert ready == MakeReady("mend")


PICKED = [
    tool("a"),
    branch(
        "pick",
        "a",
        cases=[("steps.a.output.n > 10", ["big"]), ("steps.a.output.n > 5", ["big", "mid"])],
        otherwise=["low"],
    ),
    tool("big", "pick"),
    tool("mid", "pick"),
    tool("low", "pick"),
    tool("always", "pick"),
]


@pytest.mark.parametrize(("n", "case", "chosen"), [(11, 0, ["big"]), (6, 1, ["big", "mid"]), (5, None, ["low"])])
def test_a_branch_takes_the_first_case_that_holds(n: int, case: int | None, chosen: list[str]) -> None:
    run = Run(graph_of(PICKED))
    run.states["a"] = StepState(StepStatus.SUCCEEDED, {"n": n})
    picked, *rest = run.decide(["a"])
    assert picked == FinishInline("pick", {"case": case, "chosen": chosen})
    expected = [MakeReady(key) if key in chosen else Skip(key, "branch") for key in ("big", "mid", "low")]
    assert rest == [*expected, MakeReady("always")]


def test_a_branch_whose_condition_breaks_has_failed_and_chooses_nothing() -> None:
    steps = [branch("pick", cases=[("1 / 0 == 1", ["x"])], otherwise=["y"]), tool("x", "pick"), tool("y", "pick")]
    steps[0]["on_error"] = "continue"
    steps.append(tool("z", "pick"))
    failed, *rest = Run(graph_of(steps)).decide()
    assert isinstance(failed, FailInline)
    assert rest == [Skip("x", "upstream"), Skip("y", "upstream"), MakeReady("z")]


def test_a_branch_that_was_chosen_by_an_earlier_process_is_asked_what_it_chose() -> None:
    run = Run(graph_of(PICKED))
    run.states |= {"a": DONE, "pick": StepState(StepStatus.SUCCEEDED, loaded=False)}
    with pytest.raises(Missing) as missing:
        run.decide(["pick"])
    assert missing.value.outputs == {"pick"}


READING = [
    tool("a"),
    tool("b"),
    tool("c", "a", "b", join="any"),
    tool("d", "c", **{"with": {"x": "${{ steps.a.output }} ${{ steps.b.status }} ${{ steps.c.output }}"}}),
]


def test_a_step_knows_which_of_the_steps_it_reads_had_ended() -> None:
    run = Run(graph_of(READING))
    run.states |= {"a": RUNNING, "b": DONE, "c": DONE}
    assert run.decide(["c"]) == [MakeReady("d", ("b", "c"))]
    run.states["a"] = FAILED
    assert run.decide(["c"]) == [MakeReady("d")]


def test_what_may_still_be_open_is_no_matter_for_the_database_alone() -> None:
    nodes = graph_of(READING).by_key
    assert [nodes[key].mechanical for key in "abcd"] == [True, True, False, False]
    assert [nodes[key].hands_over for key in "abcd"] == [False, False, False, True]
    sure = graph_of([tool("a"), tool("b", "a"), tool("c", "b", **{"with": {"x": "${{ steps.a.output }}"}})])
    assert all(node.mechanical and not node.prunes_reads for node in sure.nodes)


def test_a_need_that_was_skipped_early_does_not_vouch_for_what_it_waited_for() -> None:
    steps = [
        tool("a"),
        tool("b"),
        tool("c", "a", "b"),
        tool("d", "c", join="ended", **{"with": {"x": "${{ steps.b.output }}"}}),
    ]
    run = Run(graph_of(steps))
    run.states |= {"a": FAILED, "b": RUNNING}
    assert run.decide(["a"]) == [Skip("c", "upstream"), MakeReady("d", ())]


def test_an_open_step_looks_pending_to_expressions_whatever_it_is_doing() -> None:
    steps = [tool("a"), tool("b"), transform("c", "a", "b", join="any", **{"with": {"value": "${{ steps.a.status }}"}})]
    run = Run(graph_of(steps))
    run.states |= {"a": RUNNING, "b": DONE}
    assert run.decide(["b"]) == [FinishInline("c", "pending")]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"join": "any"}, "another rule"),
        ({"if": "true"}, "a condition"),
        ({"needs": ["handled"]}, "it handles a failure"),
        ({"needs": ["lenient"]}, "a failure would do"),
        ({"needs": ["pick"]}, "it may not be chosen"),
    ],
)
def test_only_plain_steps_are_mechanical(more: dict[str, Any], why: str) -> None:
    steps = [
        tool("a"),
        tool("handled", on_error={"goto": "z"} if more.get("needs") == ["handled"] else "fail"),
        tool("lenient", on_error="continue"),
        branch("pick", cases=[("true", ["z"] if more.get("needs") == ["pick"] else [])], otherwise=[]),
        tool("z", **{"needs": ["a"], **more}),
    ]
    assert not graph_of(steps).by_key["z"].mechanical, why
    assert graph_of([tool("a"), tool("z", "a")]).by_key["z"].mechanical


def test_a_paused_run_goes_on_but_does_not_end() -> None:
    run = Run(graph_of([tool("a"), transform("b", "a")]))
    run.states["a"] = DONE
    assert run.decide(["a"], may_end=False) == [FinishInline("b", 1)]
    assert len(run.decide(["a"])) == 2
