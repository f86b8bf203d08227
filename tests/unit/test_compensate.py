"""What is undone before a run that failed or was cancelled ends, and how it ends then."""

from sparkops.domains.runs.state import RunStatus, StepStatus
from sparkops.engine.decide import (
    Compensate,
    FinishRun,
    MakeReady,
    StepState,
    decide_cancelled,
    decide_compensating,
    to_json,
)
from tests.unit.in_memory import Run, graph_of, tool

UNDO = {"type": "tool", "tool": "noop", "with": {"of": "${{ steps.a.output }}"}}
PLAIN_UNDO = {"type": "tool", "tool": "noop"}
ERROR = {"code": "step-failed", "step": "d", "message": "Step d failed: broke"}


DONE = StepState(StepStatus.SUCCEEDED, 1)


def booked() -> Run:
    run = Run(graph_of([tool("a", undo=UNDO), tool("b", undo=PLAIN_UNDO), tool("c"), tool("d", undo=PLAIN_UNDO)]))
    run.states |= {"a": DONE, "b": DONE, "c": DONE}
    run.states["d"] = StepState(StepStatus.FAILED, None, {"message": "broke"})
    return run


def test_what_succeeded_and_has_an_undo_is_undone() -> None:
    assert booked().decide() == [Compensate(RunStatus.FAILED, ERROR, ("b", "a"))]


def test_steps_are_undone_against_their_needs() -> None:
    run = Run(
        graph_of([tool("c", "b", undo=PLAIN_UNDO), tool("b", "a", undo=PLAIN_UNDO), tool("a", undo=UNDO), tool("d")])
    )
    run.states |= {"a": DONE, "b": DONE, "c": DONE, "d": StepState(StepStatus.FAILED)}
    [command] = run.decide()
    assert isinstance(command, Compensate)
    assert command.keys == ("c", "b", "a")


def test_a_run_that_succeeds_or_has_nothing_to_undo_just_ends() -> None:
    run = booked()
    run.states["d"] = DONE
    assert run.decide()[0] == FinishRun(RunStatus.SUCCEEDED, {"a": 1, "b": 1, "c": 1, "d": 1})
    run.states |= {key: StepState(StepStatus.SKIPPED) for key in "abc"}
    run.states["d"] = StepState(StepStatus.FAILED, None, {"message": "broke"})
    assert run.decide() == [FinishRun(RunStatus.FAILED, error=ERROR)]


def test_an_output_that_breaks_fails_the_run_and_undoes_it() -> None:
    run = Run(graph_of([tool("a", undo=UNDO)], output="${{ steps.a.output.nope }}"))
    run.states["a"] = DONE
    [command] = run.decide()
    assert isinstance(command, Compensate)
    assert (command.ends_as, command.keys) == (RunStatus.FAILED, ("a",))


def test_a_cancelled_run_is_undone_once_nothing_is_open() -> None:
    run = booked()
    run.states["d"] = StepState(StepStatus.RUNNING)
    assert decide_cancelled(run.graph, run.states) == []
    run.states["d"] = StepState(StepStatus.CANCELLED)
    assert decide_cancelled(run.graph, run.states) == [Compensate(RunStatus.CANCELLED, None, ("b", "a"))]


def test_a_row_of_a_body_that_is_open_keeps_a_cancelled_run_from_ending() -> None:
    run = booked()
    run.states["d"] = StepState(StepStatus.CANCELLED)
    open_row = {"each[0].x": StepState(StepStatus.RUNNING)}
    assert decide_cancelled(run.graph, run.states | open_row) == []


def test_what_was_undone_is_not_undone_again_when_the_run_is_cancelled_meanwhile() -> None:
    run = booked()
    run.states["d"] = StepState(StepStatus.FAILED)
    undone = {"b:undo": DONE, "a:undo": StepState(StepStatus.CANCELLED)}
    assert decide_cancelled(run.graph, run.states | undone) == [FinishRun(RunStatus.CANCELLED)]


def test_undo_steps_run_one_after_the_other_whatever_becomes_of_them() -> None:
    undo = {"b:undo": StepState(StepStatus.PENDING), "a:undo": StepState(StepStatus.PENDING)}
    assert decide_compensating(undo, RunStatus.FAILED, ERROR) == [MakeReady("b:undo")]
    undo["b:undo"] = StepState(StepStatus.RUNNING)
    assert decide_compensating(undo, RunStatus.FAILED, ERROR) == []
    undo["b:undo"] = StepState(StepStatus.FAILED)
    assert decide_compensating(undo, RunStatus.FAILED, ERROR) == [MakeReady("a:undo")]


def test_a_run_ends_as_it_was_going_to_when_all_is_undone() -> None:
    undo = {"b:undo": DONE, "a:undo": DONE}
    assert decide_compensating(undo, RunStatus.FAILED, ERROR) == [FinishRun(RunStatus.FAILED, error=ERROR)]
    assert decide_compensating(undo, RunStatus.CANCELLED, None) == [FinishRun(RunStatus.CANCELLED)]


def test_a_run_names_what_could_not_be_undone() -> None:
    undo = {"b:undo": StepState(StepStatus.FAILED), "a:undo": StepState(StepStatus.CANCELLED)}
    [failed] = decide_compensating(undo, RunStatus.FAILED, ERROR)
    message = "Step d failed: broke. Could not be undone: b, a."
    assert failed == FinishRun(RunStatus.FAILED, error={**ERROR, "message": message, "undo_failed": ["b", "a"]})
    [cancelled] = decide_compensating(undo, RunStatus.CANCELLED, None)
    error = {"code": "undo-failed", "message": "Could not be undone: b, a.", "undo_failed": ["b", "a"]}
    assert cancelled == FinishRun(RunStatus.CANCELLED, error=error)


def test_the_database_is_told_in_which_order_to_undo() -> None:
    command = Compensate(RunStatus.FAILED, ERROR, ("b", "a"))
    assert to_json(command) == {"op": "compensate", "ends_as": "failed", "error": ERROR, "keys": ["b", "a"]}
