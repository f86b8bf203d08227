"""What one version of a policy says that another did not."""

from typing import Any

import pytest

from sparkops.domains.policies.changes import Change, Changes, changes

A, B, C = ({"name": name, "on": ["tool.call"], "effect": "deny"} for name in "abc")


def document(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": 1, "name": "p", "rules": list(rules), **more}


def test_the_same_text_changes_nothing() -> None:
    assert changes(document(A, B), document(A, B)) == Changes((), (), ())


@pytest.mark.parametrize(
    ("after", "found"),
    [
        ([A, B, C], [Change("c", "added")]),
        ([A], [Change("b", "removed")]),
        ([A, {**B, "effect": "allow", "reason": "x"}], [Change("b", "changed", ("effect", "reason"))]),
        ([B, A], [Change("b", "moved"), Change("a", "moved")]),
        ([C, A, B], [Change("c", "added")]),
    ],
)
def test_rules_are_told_apart_by_their_names(after: list[dict[str, Any]], found: list[Change]) -> None:
    assert changes(document(A, B), document(*after)).rules == tuple(found)


def test_tests_and_the_rest_are_told_apart() -> None:
    case = {"name": "t", "on": "tool.call", "expect": "allow"}
    found = changes(document(A), document(A, mode="monitor", tests=[case]))
    assert found == Changes(("mode",), (), (Change("t", "added"),))
