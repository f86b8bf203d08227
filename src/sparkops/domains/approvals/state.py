"""The state machine of an approval."""

from enum import StrEnum

from sparkops.core.transitions import Machine


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    """Nobody needs the answer any more: the run was cancelled, or the step ended without it."""
    CONSUMED = "consumed"
    """Used by the one action it allowed."""


_A = ApprovalStatus
APPROVAL_MACHINE: Machine[ApprovalStatus] = {
    _A.PENDING: frozenset({_A.APPROVED, _A.REJECTED, _A.EXPIRED, _A.WITHDRAWN}),
    _A.APPROVED: frozenset({_A.CONSUMED, _A.EXPIRED, _A.WITHDRAWN}),
    _A.REJECTED: frozenset(),
    _A.EXPIRED: frozenset(),
    _A.WITHDRAWN: frozenset(),
    _A.CONSUMED: frozenset(),
}
