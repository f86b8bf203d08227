"""What people are told about an effect whose outcome nobody knows: why, and what each answer would do."""

from collections.abc import Mapping
from typing import Any

from sparkops.domains.effects.state import CallStatus
from sparkops.engine.resolve import Answer

_AFTER_HAPPENED = {
    "tool": "the step takes the output that you give as its own",
    "agent": "the agent is told the output that you give and goes on",
}
_AFTER_NOT = {
    "tool": "the step makes a new call, which the rules of today judge again",
    "agent": "the agent is told that the call was not made, and decides itself whether to ask for it again",
}


def why_unknown(status: CallStatus, error: Mapping[str, Any] | None) -> str:
    """Say in a sentence why nobody knows whether a call happened."""
    if status is CallStatus.PREPARED:
        return "It was about to be sent, and was not, because another call of the same turn was in doubt."
    if error is not None and error["code"] == "outcome-unknown":
        return f"It was sent, and no complete answer came: {error['message']}"
    return (
        "The attempt that was to send it ended before an answer was on record: its worker died, lost its lease, "
        "ran out of time or was asked to stop. It may have been sent or not."
    )


def consequence(answer: Answer, step_type: str, *, in_doubt: int, stopping: bool) -> str:
    """Say in a sentence what this answer would do to a step with so many calls in doubt.

    `stopping`: its run, or the step itself, was asked to stop.
    """
    match answer:
        case Answer.HAPPENED:
            record = "The call is recorded as done with the output that you give, and nothing is sent again."
            after = _AFTER_HAPPENED.get(step_type, "the step goes on with the output that you give")
        case Answer.DID_NOT_HAPPEN:
            record = "The call is recorded as not sent; what was charged for it stays charged."
            after = _AFTER_NOT.get(step_type, "the step may make it anew")
        case Answer.FAIL:
            record = "Every call of the step that is in doubt is recorded as failed."
            return f"{record} {_STOPPED if stopping else 'The step fails, and what depends on it does not run.'}"
    if stopping:
        return f"{record} {_STOPPED}"
    if in_doubt > 1:
        return f"{record} Once the other calls in doubt are answered, too, {after}."
    return f"{record} Then {after}."


_STOPPED = "The run was asked to stop, so the step is cancelled."
