from pathlib import Path

import pytest

from tests.lint.samples import PAGES, SAMPLES, Sample
from tools.lint.check import check, check_all, sources
from tools.lint.rules import RULES
from tools.lint.source import PACKAGE, Rule, Source

ROOT = Path(__file__).parents[2]
BY_NAME = {rule.name: rule for rule in RULES}


def said(rule: Rule, sample: Sample) -> list[str]:
    path = f"web/src/{sample.place}.tsx" if rule.pages else PACKAGE + sample.place
    return [f"{one.line}: {one.message}" for one in check(Source(path, sample.text, ROOT), [rule])]


def cases(*, bad: bool) -> list[tuple[Rule, Sample]]:
    samples = [*SAMPLES.items(), ("unsafe-page", PAGES)]
    return [(BY_NAME[name], one) for name, both in samples for one in (both.bad if bad else both.good)]


def test_every_rule_has_samples_of_both_kinds() -> None:
    assert {rule.name for rule, _ in cases(bad=True)} == {rule.name for rule, _ in cases(bad=False)} == set(BY_NAME)


@pytest.mark.parametrize(("rule", "sample"), cases(bad=True))
def test_a_rule_refuses_what_it_is_against(rule: Rule, sample: Sample) -> None:
    assert said(rule, sample) != []


@pytest.mark.parametrize(("rule", "sample"), cases(bad=False))
def test_a_rule_lets_everything_else_be(rule: Rule, sample: Sample) -> None:
    assert said(rule, sample) == []


def test_nothing_that_is_delivered_breaks_a_rule() -> None:
    assert [str(finding) for finding in check_all(sources(ROOT), RULES)] == []


def test_what_is_delivered_is_what_is_looked_at() -> None:
    looked_at = {source.path for source in sources(ROOT)}
    assert {"src/sparkops/api/app.py", "src/sparkops/runtime/egress.py", "web/src/app/main.tsx"} <= looked_at
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "src/sparkops").rglob("*.py")} <= looked_at


def allowed(text: str) -> list[str]:
    source = Source(f"{PACKAGE}local/some.py", text, ROOT)
    return [f"{one.line} {one.rule}: {one.message}" for one in check(source, RULES)]


@pytest.mark.parametrize(
    "text",
    [
        "answer = eval(text)  # lint: allow evaluation -- a reason",
        "# lint: allow evaluation -- a reason\nanswer = eval(text)",
        "# lint: allow evaluation -- a reason\nanswer = [\n    eval(text),\n    eval(more),\n]",
        "# lint: allow evaluation -- a reason\n# lint: allow shell -- another\nanswer = os.system(eval(text))",
    ],
)
def test_what_is_allowed_with_a_reason_is_not_refused(text: str) -> None:
    assert allowed(text) == []


def test_an_allowance_speaks_for_its_rule_and_its_lines_alone() -> None:
    assert allowed("# lint: allow shell -- a reason\nanswer = eval(text)") == [
        "1 allowance: It allows nothing; take it away.",
        "2 evaluation: `eval` makes code or objects of text.",
    ]
    assert [line[0] for line in allowed("# lint: allow evaluation -- why\nx = eval(a)\ny = eval(b)")] == ["3"]
    inside = "# lint: allow evaluation -- a reason\ndef f(text):\n    return eval(text)"
    assert [line[0] for line in allowed(inside)] == ["1", "3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = eval(text)  # lint: allow evaluation", "Say why: `-- <reason>`."),
        ("x = eval(text)  # lint: allow evaluation --", "Write `lint: allow <rule> -- <reason>`."),
        ("x = 1  # lint: allow nothing-of-the-kind -- a reason", "There is no rule 'nothing-of-the-kind'."),
        ("x = 1  # lint: ignore", "Write `lint: allow <rule> -- <reason>`."),
        ("x = 1  # lint: allow evaluation -- it was there once", "It allows nothing; take it away."),
    ],
)
def test_an_allowance_that_explains_or_allows_nothing_is_refused(text: str, message: str) -> None:
    assert f"1 allowance: {message}" in allowed(text)
