"""What the definition fixes about a step beside its parameters: how it joins, what its failure means, how it runs.

Everything here is literal; conditions stand as they do in the text, with or without `${{ }}` around them.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from sparkops.core.durations import parse_duration
from sparkops.domains.workflows import format_values as values
from sparkops.domains.workflows import format_with as given


class JoinRule(StrEnum):
    """When a step with needs starts; `engine/decide.py` says what counts as met."""

    ALL = "all"
    ANY = "any"
    AT_LEAST = "at_least"
    NONE_FAILED = "none_failed"
    ENDED = "ended"


@dataclass(frozen=True)
class Join:
    """`count` is how many needs must be met for `at_least`, 1 for `any`, and means nothing for other rules."""

    rule: JoinRule
    count: int = 1


ALL: Final = Join(JoinRule.ALL)


class ErrorKind(StrEnum):
    """What a step's failure means for the run."""

    FAIL = "fail"
    CONTINUE = "continue"
    GOTO = "goto"


@dataclass(frozen=True)
class OnError:
    """`target` is the step that runs instead; None for kinds other than `goto`."""

    kind: ErrorKind
    target: str | None = None


FAIL: Final = OnError(ErrorKind.FAIL)


@dataclass(frozen=True)
class RetryPolicy:
    """`attempts` counts the first one, too; the pauses between them grow from `backoff` to `max_backoff`.

    `jitter`: each pause is drawn between nothing and its full length. `on`: only errors with these codes are followed
    by another attempt; None: every error that may be.
    """

    attempts: int
    backoff: timedelta
    max_backoff: timedelta
    jitter: bool = True
    on: frozenset[str] | None = None

    def covers(self, code: str | None) -> bool:
        """Return whether an error with this code may be followed by another attempt."""
        return self.on is None or code in self.on

    def names(self, code: str) -> bool:
        """Return whether this error is listed: some are followed by another attempt only then."""
        return self.on is not None and code in self.on


@dataclass(frozen=True)
class BranchCase:
    when: str
    then: tuple[str, ...]


@dataclass(frozen=True)
class BranchOptions:
    """The first case whose `when` holds chooses its steps; if none does, `otherwise` does."""

    cases: tuple[BranchCase, ...]
    otherwise: tuple[str, ...]

    @property
    def named(self) -> frozenset[str]:
        """All steps that it may choose."""
        return frozenset(self.otherwise).union(*(case.then for case in self.cases))


@dataclass(frozen=True)
class MapOptions:
    """`over` is a parameter, evaluated with the step."""

    concurrency: int
    stop_on_error: bool


@dataclass(frozen=True)
class LoopOptions:
    """`fails_at_max`: `max` passes that did not fulfil `until` are a failure."""

    max: int
    until: str | None
    fails_at_max: bool


@dataclass(frozen=True)
class WaitOptions:
    """For an event if `event` is not None; else until a time, which is a parameter (`for` or `until`)."""

    event: str | None
    filter: str | None
    timeout: timedelta
    """How long an event is waited for."""
    fails_at_timeout: bool


Options = BranchOptions | MapOptions | LoopOptions | WaitOptions


def join_of(join: values.AtLeast | str) -> Join:
    """Return the rule that the format's `join` names."""
    if isinstance(join, values.AtLeast):
        return Join(JoinRule.AT_LEAST, join.at_least)
    return ALL if join == JoinRule.ALL else Join(JoinRule(join))


def on_error_of(on_error: values.Goto | str) -> OnError:
    """Return what the format's `on_error` names."""
    if isinstance(on_error, values.Goto):
        return OnError(ErrorKind.GOTO, on_error.goto)
    return FAIL if on_error == ErrorKind.FAIL else OnError(ErrorKind(on_error))


def retry_of(retry: values.Retry) -> RetryPolicy:
    """Return the policy that the format's `retry` states."""
    return RetryPolicy(
        attempts=retry.attempts,
        backoff=parse_duration(retry.backoff),
        max_backoff=parse_duration(retry.max_backoff),
        jitter=retry.jitter,
        on=None if retry.on is None else frozenset(retry.on),
    )


def options_of(with_: object) -> Options | None:
    """Return the options that a step's `with` states; None for types that have none."""
    match with_:
        case given.BranchWith():
            return BranchOptions(tuple(BranchCase(case.when, case.then) for case in with_.cases), with_.else_)
        case given.MapWith():
            return MapOptions(with_.concurrency, with_.on_item_error == "stop")
        case given.LoopWith():
            return LoopOptions(with_.max, with_.until, with_.until is not None and with_.at_max != "succeed")
        case given.WaitWith():
            timeout = parse_duration(with_.timeout)
            return WaitOptions(with_.event, with_.filter, timeout, with_.on_timeout == "fail")
        case _:
            return None
