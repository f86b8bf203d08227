"""The state machines of violations and backtests. The database repeats them in triggers; a test compares them."""

from enum import StrEnum

from sparkops.core.transitions import Machine


class ViolationStatus(StrEnum):
    """How far people have got with a violation."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """Somebody looks after it."""
    RESOLVED = "resolved"


class BacktestStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_V, _B = ViolationStatus, BacktestStatus
VIOLATION_MACHINE: Machine[ViolationStatus] = {
    _V.OPEN: frozenset({_V.ACKNOWLEDGED, _V.RESOLVED}),
    _V.ACKNOWLEDGED: frozenset({_V.OPEN, _V.RESOLVED}),
    _V.RESOLVED: frozenset({_V.OPEN}),
}
BACKTEST_MACHINE: Machine[BacktestStatus] = {
    _B.QUEUED: frozenset({_B.RUNNING, _B.CANCELLED}),
    _B.RUNNING: frozenset({_B.QUEUED, _B.DONE, _B.FAILED, _B.CANCELLED}),
    _B.DONE: frozenset(),
    _B.FAILED: frozenset(),
    _B.CANCELLED: frozenset(),
}
