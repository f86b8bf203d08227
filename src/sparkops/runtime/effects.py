"""What leaves the process, in words: the effect a step wants, how it is sent, and what came of it.

Nothing here acts. Steps build effects and hand them to a `Gate`; the gate alone calls `Effect.send`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, Protocol, TypedDict
from uuid import UUID

from sparkops.core.json import Json
from sparkops.core.money import Micros
from sparkops.core.storable import storable_text
from sparkops.domains.effects.state import CallKind, EffectClass
from sparkops.runtime.outlook import Outlook

OutcomeStatus = Literal["done", "failed", "denied"]
FREE = Micros(0)


class ErrorInfo(TypedDict):
    """Why a call or a step failed: a stable code and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call. Cached and reasoning tokens are part of `input_tokens` and `output_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Input read from the provider's cache."""
    cache_write_tokens: int = 0
    """Input written to the provider's cache."""
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum of both."""
        return Usage(*(left + right for left, right in zip(self._values(), other._values(), strict=True)))

    def _values(self) -> tuple[int, ...]:
        return tuple(self.to_json().values())

    def to_json(self) -> dict[str, int]:
        """Return the JSON form, as the call's row keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, int]) -> "Usage":
        """Read the JSON form back; counters it does not name are 0."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Leave to send one effect once. `call_id` is the idempotency key; `deadline` is of `time.monotonic()`."""

    call_id: UUID
    send_no: int
    deadline: float | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one send, and what it cost. `labels`: those of the answer that were not known before."""

    response: Json
    cost_micros: Micros
    usage: Usage | None = None
    labels: frozenset[str] = frozenset()


Send = Callable[[Dispatch], Awaitable[Receipt]]


@dataclass(frozen=True, slots=True)
class Effect:
    """One model call or tool call that a step asks for.

    `request` is journaled, and its digest is what approvals and replays bind to: it must come from recorded things
    alone, never from a clock or from chance. `bound_micros` is an upper bound of the cost, `bound_tokens` of the tokens
    read and written; both are held before the send.
    `facts` are what policies see besides the standard facts, `late_facts` those that cost something to know and are
    asked for only where a rule does. `labels` are those of whatever comes back, be it a failure. `send` may be called
    only after the call is PREPARED, or, where it is `local` and nothing leaves the process, after it was allowed; it
    raises `CallFailed` or `OutcomeUnknown`.
    """

    kind: CallKind
    name: str
    request: Json
    effect_class: EffectClass
    bound_micros: Micros
    tool_hash: str | None
    send: Send
    facts: Mapping[str, Json] = field(default_factory=dict)
    local: bool = False
    edited: "Callable[[Json], Effect] | None" = None
    """Returns the same effect with the request that an approver made of it; None: nobody may change it."""
    labels: frozenset[str] = frozenset()
    late_facts: Mapping[str, Callable[[], Json]] = field(default_factory=dict)
    bound_tokens: int = 0
    preview: Callable[[Dispatch], Awaitable[Outlook]] | None = None
    """Tells what it would do, by reading alone; called only after a question about it was written down."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one effect.

    `replayed`: it was answered from the record and nothing was sent. `retryable` says of a failure that has just
    happened whether another attempt may fare better; the record does not keep it.
    """

    call_id: UUID
    status: OutcomeStatus
    response: Json
    error: ErrorInfo | None
    replayed: bool
    retryable: bool = False
    edited: Json = None
    """The request that was sent instead of the one that the step asked for, because an approver had changed it."""
    labels: frozenset[str] = frozenset()
    """Of the response, or of what a failure may tell."""


class Gate(Protocol):
    """The only way out, one per attempt of a step."""

    async def perform(self, effects: Sequence[Effect]) -> list[Outcome]:
        """Decide, reserve, record, send and settle the effects of one turn; outcomes come in the same order.

        A denied or failed effect is an outcome. Parking, fencing and cancellation are exceptions that a step
        must let pass.
        """
        ...


class CallFailed(Exception):
    """The effect definitely failed. `retryable`: another attempt of the step may fare better.

    `labels`: those of what the message may tell, beside those of the effect.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool,
        cost_micros: Micros = FREE,
        usage: Usage | None = None,
        labels: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = storable_text(message)
        self.retryable = retryable
        self.cost_micros = cost_micros
        self.usage = usage
        self.labels = labels

    @property
    def error(self) -> ErrorInfo:
        """Return the failure as the call's row keeps it."""
        return ErrorInfo(code=self.code, message=self.message)


class StepFailed(Exception):
    """The step cannot end well in this attempt. `retryable`: its retry policy may be asked."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = storable_text(message)
        self.retryable = retryable

    @property
    def error(self) -> ErrorInfo:
        """Return the failure as the step's row keeps it."""
        return ErrorInfo(code=self.code, message=self.message)


class OutcomeUnknown(Exception):
    """Bytes left and no complete answer came: the effect may or may not have happened."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = storable_text(message)
