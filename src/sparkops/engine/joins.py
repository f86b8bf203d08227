"""When a step starts: each of its needs is judged, and its join rule counts the verdicts."""

from collections.abc import Collection, Sequence
from enum import StrEnum

from sparkops.domains.runs.state import TERMINAL_STEP, StepStatus
from sparkops.domains.workflows.options import ErrorKind, Join, JoinRule
from sparkops.engine.node import Node


class Verdict(StrEnum):
    """What a need means to the step that has it."""

    OPEN = "open"
    """It has not ended."""
    MET = "met"
    LOST = "lost"
    """It will never be met, and nothing went wrong: skipped, cancelled, not chosen, no failure to be handled."""
    FAILED = "failed"
    """It failed, and that is not tolerated."""


def judge(need: Node, status: StepStatus, chosen: Collection[str], step: Node) -> Verdict:
    """Return what a need in this status means to the step; `chosen` is what the need chose, if it is a branch."""
    if status not in TERMINAL_STEP:
        return Verdict.OPEN
    if status is StepStatus.FAILED:
        return _judge_failed(need, step)
    if status is not StepStatus.SUCCEEDED or need.key in step.handles:
        return Verdict.LOST
    if need.key in step.chosen_by and step.key not in chosen:
        return Verdict.LOST
    return Verdict.MET


def _judge_failed(need: Node, step: Node) -> Verdict:
    """A failure is met by its handler; where it is tolerated, by all but those that a branch had to choose."""
    match need.on_error.kind:
        case ErrorKind.GOTO:
            return Verdict.MET if need.key in step.handles else Verdict.LOST
        case ErrorKind.CONTINUE:
            return Verdict.LOST if need.key in step.chosen_by else Verdict.MET
        case ErrorKind.FAIL:
            return Verdict.FAILED


def starts(join: Join, verdicts: Sequence[Verdict]) -> bool | None:
    """Return True if the step starts now, False if it never will, None if that depends on needs still open.

    Never later than it can be known: nothing that an open need does could change the answer.
    """
    met, still_open = verdicts.count(Verdict.MET), verdicts.count(Verdict.OPEN)
    match join.rule:
        case JoinRule.ALL:
            return _settled(len(verdicts), met, still_open)
        case JoinRule.ANY | JoinRule.AT_LEAST:
            return _settled(join.count, met, still_open)
        case JoinRule.NONE_FAILED:
            if Verdict.FAILED in verdicts:
                return False
            return None if still_open else met > 0
        case JoinRule.ENDED:
            return None if still_open else True


def _settled(wanted: int, met: int, still_open: int) -> bool | None:
    """Return whether as many are met as wanted, None while that may still come."""
    if met >= wanted:
        return True
    return None if met + still_open >= wanted else False
