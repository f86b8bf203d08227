"""The words in which effects are spoken of."""

from hypothesis import given
from hypothesis import strategies as st

from sparkops.core.json import dumps, loads
from sparkops.runtime.effects import CallFailed, OutcomeUnknown, Usage

usages = st.builds(Usage, *[st.integers(0, 10**9)] * 5)


@given(usages, usages)
def test_usage_adds_up_and_survives_the_record(left: Usage, right: Usage) -> None:
    assert left + right == right + left
    assert (left + right).output_tokens == left.output_tokens + right.output_tokens
    assert Usage.from_json(loads(dumps(left.to_json()))) == left
    assert left + Usage() == left


def test_messages_can_be_stored_whatever_a_server_says() -> None:
    assert CallFailed("x", "a\0b", retryable=False).error == {"code": "x", "message": "a\ufffdb"}
    assert OutcomeUnknown("a\0").message == "a\ufffd"
