"""What the model is told."""

from sparkops.core.ids import new_id
from sparkops.core.json import Json, dumps, loads
from sparkops.runtime.context import MAX_RESULT_BYTES, malformed, told
from sparkops.runtime.effects import Outcome, OutcomeStatus, Usage
from sparkops.runtime.llm.base import ModelAnswer, ToolCall

CALL = ToolCall("c1", "sql.query", {"sql": "SELECT 1"})


def outcome(status: OutcomeStatus, response: Json, message: str = "") -> Outcome:
    return Outcome(new_id(), status, response, {"code": "x", "message": message} if message else None, replayed=False)


def test_results_refusals_and_failures_are_told_apart() -> None:
    assert told(CALL, outcome("done", {"rows": []})).output == {"rows": []}
    assert not told(CALL, outcome("done", {"rows": []})).is_error
    assert told(CALL, outcome("denied", None, "Not on Sundays.")).output == {
        "error": "Refused by policy: Not on Sundays."
    }
    failed = told(CALL, outcome("failed", None, "It broke."))
    assert (failed.output, failed.is_error) == ({"error": "It broke."}, True)


def test_a_long_result_is_shortened_the_same_in_whatever_order_its_keys_come() -> None:
    rows: dict[str, Json] = {"rows": [{"n": n} for n in range(20_000)], "a": 1}
    shortened = told(CALL, outcome("done", rows)).output
    assert isinstance(shortened, dict)
    assert shortened["shortened"] is True
    assert shortened["total_bytes"] > MAX_RESULT_BYTES
    assert len(dumps(shortened)) < 2 * MAX_RESULT_BYTES
    assert told(CALL, outcome("done", dict(reversed(rows.items())))).output == shortened


def test_arguments_that_are_no_json_are_quoted_back_in_part() -> None:
    error = malformed(ToolCall("c1", "t", None, "{" * 5_000))
    assert len(str(error.output)) < 700


def test_an_answer_survives_its_way_through_the_record() -> None:
    answer = ModelAnswer("x", "m", "tool_calls", (CALL, ToolCall("c2", "t", None, "{")), Usage(1, 2, 3, 4, 5))
    assert ModelAnswer.from_json(loads(dumps(answer.to_json()))) == answer
