"""The reference page of policies: what it shows is valid and tested, and it forgets no fact and no key."""

import re
from pathlib import Path

import pytest

from sparkops.domains.policies.cases import run_cases
from sparkops.domains.policies.document import parse_policy
from sparkops.domains.policies.facts import FACTS, HISTORY, Subject
from sparkops.domains.policies.format import ApprovalFormat, CaseFormat, PolicyFormat, RuleFormat

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "policies.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def fact_table() -> str:
    rows = ["| fact | type | on | what |", "|---|---|---|---|"]
    for fact in FACTS.values():
        if not fact.hidden:
            where = (
                "all"
                if fact.subjects == set(Subject)
                else ", ".join(f"`{on}`" for on in Subject if on in fact.subjects)
            )
            where = "all but `run.create`" if fact.subjects == set(Subject) - {Subject.RUN_CREATE} else where
            what = fact.about + (" (where it applies)" if fact.optional else "")
            rows.append(f"| `{fact.name}` | {fact.type} | {where} | {what} |")
    return "\n".join(rows)


def history_table() -> str:
    return "\n".join(f"| `{call}` | {kind} | {what} |" for call, (kind, what) in HISTORY.items())


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_policy_and_its_tests_pass(example: str) -> None:
    report = run_cases(parse_policy(example))
    assert report.failed == ()
    assert not report.results or report.never_matched == ()


def test_the_rules_of_the_example_are_a_policy() -> None:
    text = (ROOT / "examples" / "weather" / "policy.yaml").read_text()
    policy = parse_policy(f"version: 1\nname: example\n{text}")
    assert [rule.name for rule in policy.rules] == ["only-the-weather", "writes-are-looked-at", "modest-answers"]


def test_every_fact_and_every_question_stands_on_the_page_as_the_schema_has_it() -> None:
    assert fact_table() in PAGE
    assert history_table() in PAGE


@pytest.mark.parametrize("model", [PolicyFormat, RuleFormat, ApprovalFormat, CaseFormat])
def test_every_key_is_described(model: type[PolicyFormat]) -> None:
    for key in model.model_fields:
        assert re.search(rf"^\| [^|]*`{key}`", PAGE, re.MULTILINE), key
