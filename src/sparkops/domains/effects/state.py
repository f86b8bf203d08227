"""The state machine of a call, and what its effect class promises."""

from enum import StrEnum

from sparkops.core.transitions import Machine


class CallKind(StrEnum):
    LLM = "llm"
    TOOL = "tool"


class EffectClass(StrEnum):
    """What may be done when the outcome of a call was lost."""

    PURE = "pure"
    """Repeat freely."""
    IDEMPOTENT = "idempotent"
    """The target honours our key: send again under the same call id."""
    TXN = "txn"
    """The effects are our own rows, written with the result."""
    UNSAFE = "unsafe"
    """Never repeat by itself; the default where nothing is declared."""


class Capability(StrEnum):
    """How far the effect of a tool reaches."""

    COMPUTE = "compute"
    """Nothing but its arguments goes in, and nothing but its answer comes out."""
    READ = "read"
    """Reads what the platform or the operator keeps."""
    WRITE = "write"
    """Changes what the platform or the operator keeps, where no stranger sees it."""
    OUTWARD = "outward"
    """Tells somebody outside, or changes something there; the default where nothing is declared."""


class CallStatus(StrEnum):
    PROPOSED = "proposed"
    DENIED = "denied"
    WAITING_APPROVAL = "waiting_approval"
    EXPIRED = "expired"
    PREPARED = "prepared"
    """Decided, paid for and written down; only now may bytes leave."""
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Sent, and the answer was lost."""


_C = CallStatus
CALL_MACHINE: Machine[CallStatus] = {
    _C.PROPOSED: frozenset({_C.DENIED, _C.WAITING_APPROVAL, _C.PREPARED}),
    _C.WAITING_APPROVAL: frozenset({_C.PREPARED, _C.DENIED, _C.EXPIRED}),
    _C.PREPARED: frozenset({_C.DONE, _C.FAILED, _C.UNKNOWN}),
    _C.UNKNOWN: frozenset({_C.DONE, _C.FAILED}),
    _C.DENIED: frozenset(),
    _C.EXPIRED: frozenset(),
    _C.DONE: frozenset(),
    _C.FAILED: frozenset(),
}
