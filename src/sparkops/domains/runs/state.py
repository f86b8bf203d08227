"""The state machines of runs and steps. The database repeats both tables in triggers; a test compares them."""

from enum import StrEnum

from sparkops.core.transitions import Machine, terminal


class RunStatus(StrEnum):
    """Where a run stands."""

    AWAITING_APPROVAL = "awaiting_approval"
    """People have to let it begin, or let its output out."""
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    ATTENTION = "attention"
    """Nothing can go on until a person says what became of an uncertain step."""
    CANCELLING = "cancelling"
    COMPENSATING = "compensating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DENIED = "denied"


class StepStatus(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    """Waits for the steps it needs."""
    READY = "ready"
    """May be claimed by a worker."""
    RUNNING = "running"
    """Held by a worker under a lease."""
    WAITING = "waiting"
    """Waits for a person, a time or an event; holds no worker."""
    UNCERTAIN = "uncertain"
    """An effect that must not be repeated may or may not have happened."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


_R = RunStatus
RUN_MACHINE: Machine[RunStatus] = {
    _R.AWAITING_APPROVAL: frozenset(
        {_R.QUEUED, _R.RUNNING, _R.DENIED, _R.CANCELLING, _R.COMPENSATING, _R.SUCCEEDED, _R.FAILED}
    ),
    _R.QUEUED: frozenset({_R.RUNNING, _R.PAUSED, _R.CANCELLING}),
    _R.RUNNING: frozenset(
        {_R.PAUSED, _R.ATTENTION, _R.AWAITING_APPROVAL, _R.CANCELLING, _R.COMPENSATING, _R.SUCCEEDED, _R.FAILED}
    ),
    _R.PAUSED: frozenset({_R.QUEUED, _R.RUNNING, _R.CANCELLING}),
    _R.ATTENTION: frozenset({_R.RUNNING, _R.CANCELLING}),
    _R.CANCELLING: frozenset({_R.CANCELLED, _R.COMPENSATING}),
    _R.COMPENSATING: frozenset({_R.FAILED, _R.CANCELLED, _R.CANCELLING}),
    _R.SUCCEEDED: frozenset(),
    _R.FAILED: frozenset(),
    _R.CANCELLED: frozenset(),
    _R.DENIED: frozenset(),
}

_S = StepStatus
STEP_MACHINE: Machine[StepStatus] = {
    _S.PENDING: frozenset({_S.READY, _S.SKIPPED, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED}),
    _S.READY: frozenset({_S.RUNNING, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.SUCCEEDED, _S.READY, _S.FAILED, _S.WAITING, _S.UNCERTAIN, _S.CANCELLED}),
    _S.WAITING: frozenset({_S.READY, _S.FAILED, _S.CANCELLED}),
    _S.UNCERTAIN: frozenset({_S.READY, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.SKIPPED: frozenset(),
    _S.CANCELLED: frozenset(),
}

TERMINAL_RUN = terminal(RUN_MACHINE)
TERMINAL_STEP = terminal(STEP_MACHINE)


class SourceKind(StrEnum):
    """How a run was made from another."""

    RETRY = "retry"
    """What failed or was cancelled is done again, under the same definition and pins."""
    FORK = "fork"
    """One step and all behind it are done again, perhaps with another input or version."""
    RERUN = "rerun"
    """Everything is done again."""


class AttemptOutcome(StrEnum):
    """How one attempt at a step ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    WAITING = "waiting"
    RELEASED = "released"
    """Given back unfinished: the worker drained, or its parent saw it die."""
    LOST = "lost"
    """The lease ran out."""
    TIMED_OUT = "timed_out"
    UNCERTAIN = "uncertain"
    CANCELLED = "cancelled"
