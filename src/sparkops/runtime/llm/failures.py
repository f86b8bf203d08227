"""Why a model did not answer, and what is said about it to people."""

from dataclasses import dataclass
from enum import Enum, auto

from sparkops.runtime.effects import CallFailed, OutcomeUnknown


class Reason(Enum):
    """What kept one send from an answer."""

    KEY_REFUSED = auto()
    UNKNOWN_MODEL = auto()
    TOO_LONG = auto()
    REJECTED = auto()
    NO_CREDIT = auto()
    RATE_LIMITED = auto()
    UNAVAILABLE = auto()
    UNREACHABLE = auto()
    """Nothing was sent."""
    NO_ANSWER = auto()
    """The request was sent, and no complete answer came: it may have been paid for."""


WORTH_ANOTHER_SEND = frozenset({Reason.RATE_LIMITED, Reason.UNAVAILABLE, Reason.UNREACHABLE})
"""Failures that cost nothing and may pass within the deadline."""


class Failure(Exception):
    """One send failed. `retry_after` is in seconds, if the endpoint said so."""

    def __init__(
        self, reason: Reason, detail: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class EndpointWords:
    """How an endpoint is named to people, and which settings they would change."""

    name: str
    base_url: str
    model: str

    @property
    def called(self) -> str:
        """The endpoint in a sentence."""
        return f"model endpoint {self.name} at {self.base_url}"

    def setting(self, field: str) -> str:
        """Return the setting that fills this field of the endpoint."""
        if self.name == "default":
            return f"SPARKOPS_MODEL_{'NAME' if field == 'model' else field.upper()}"
        return f"{field} of models.{self.name} in the settings"


def explain(failure: Failure, endpoint: EndpointWords) -> CallFailed | OutcomeUnknown:
    """Return what the gate is told: a sentence that says what happened and what to do."""
    if failure.reason is Reason.NO_ANSWER:
        return OutcomeUnknown(f"The {endpoint.called} did not finish its answer: {failure.detail}.")
    code, sentence = _WORDS[failure.reason]
    status = f"{failure.status}" if failure.status else "no status"
    wait = "" if failure.retry_after is None else f"; it asks to wait {failure.retry_after:g} s"
    message = sentence.format(
        wait=wait,
        called=endpoint.called,
        name=endpoint.name,
        base_url=endpoint.base_url,
        model=endpoint.model,
        status=status,
        detail=failure.detail.rstrip("."),
        key_setting=endpoint.setting("api_key"),
        model_setting=endpoint.setting("model"),
        url_setting=endpoint.setting("base_url"),
    )
    return CallFailed(code, message, retryable=failure.reason in WORTH_ANOTHER_SEND)


_WORDS: dict[Reason, tuple[str, str]] = {
    Reason.KEY_REFUSED: (
        "model-key-refused",
        "The key for model endpoint {name} was refused ({status}). Set {key_setting} to a key that {base_url} accepts.",
    ),
    Reason.UNKNOWN_MODEL: (
        "model-unknown",
        "The {called} does not know the model {model} ({status}: {detail}). "
        "Set {model_setting} to a model it serves, or check {url_setting}.",
    ),
    Reason.TOO_LONG: (
        "model-context-exceeded",
        "The conversation is longer than the model {model} can read. Ask for less, or let tools return fewer rows.",
    ),
    Reason.REJECTED: (
        "model-rejected",
        "The {called} rejected the request ({status}): {detail}. Check {url_setting} and {model_setting}.",
    ),
    Reason.NO_CREDIT: (
        "model-no-credit",
        "The account behind model endpoint {name} has no credit left ({status}: {detail}). Top it up, then try again.",
    ),
    Reason.RATE_LIMITED: (
        "model-rate-limited",
        "The {called} limits the rate ({status}: {detail}{wait}), for longer than the step may wait. "
        "Try again later, or ask for a higher limit.",
    ),
    Reason.UNAVAILABLE: (
        "model-unavailable",
        "The {called} is not available ({status}: {detail}{wait}). It was asked as often as time allowed; try again "
        "later.",
    ),
    Reason.UNREACHABLE: (
        "model-unreachable",
        "The {called} cannot be reached: {detail}. Check that it runs, and {url_setting}.",
    ),
}
