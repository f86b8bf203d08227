"""The conversation of an agent: what goes to the model next, made from recorded outcomes alone."""

from sparkops.core.json import Json, canonical
from sparkops.runtime.effects import Outcome
from sparkops.runtime.llm.base import AssistantMessage, ModelAnswer, ToolCall, ToolMessage

MAX_RESULT_BYTES = 48_000
"""Of one tool result, as the model sees it; about 12,000 tokens. The record keeps the whole."""
MAX_QUOTED_CHARS = 500


def said(answer: ModelAnswer) -> AssistantMessage:
    """Return the turn that this answer adds to the conversation."""
    return AssistantMessage(answer.text, answer.tool_calls)


def told(call: ToolCall, outcome: Outcome) -> ToolMessage:
    """Return what the model is told of a tool call that went to the gate; a refusal and a failure are errors."""
    if outcome.status == "done":
        return ToolMessage(call, _as_it_was_sent(_shortened(outcome.response), outcome), is_error=False)
    reason = outcome.error["message"] if outcome.error else "The call failed without a reason."
    if outcome.status == "denied":
        return refused(call, f"Refused by policy: {reason}")
    return ToolMessage(call, _as_it_was_sent({"error": reason}, outcome), is_error=True)


def _as_it_was_sent(output: Json, outcome: Outcome) -> Json:
    """Return the result; where a person had changed the arguments the model is told, or it would believe its own."""
    if outcome.edited is None:
        return output
    assert isinstance(outcome.edited, dict), "an edit keeps the shape of a tool's request"
    arguments = _shortened(outcome.edited["arguments"])
    return {"note": "A person changed the arguments before the call.", "arguments": arguments, "result": output}


def refused(call: ToolCall, reason: str) -> ToolMessage:
    """Return the tool error for a call that brought nothing."""
    return ToolMessage(call, {"error": reason}, is_error=True)


def malformed(call: ToolCall) -> ToolMessage:
    """Return the tool error for arguments that are no JSON object."""
    quoted = (call.raw or "")[:MAX_QUOTED_CHARS]
    return refused(call, f"The arguments are not a JSON object: {quoted!r}. Send one JSON object that fits the schema.")


def _shortened(output: Json) -> Json:
    # By sorted keys: the database keeps them in another order, and a replay must cut at the same place.
    data = canonical(output)
    if len(data) <= MAX_RESULT_BYTES:
        return output
    beginning = data[:MAX_RESULT_BYTES].decode(errors="ignore")
    return {"shortened": True, "total_bytes": len(data), "beginning": beginning}
