"""docs/asvs.yaml answers every requirement of OWASP ASVS 5.0, levels 1 and 2, by tests that exist or by a reason."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
STATES = ("held", "stated", "partly", "operator", "absent", "open")

LEVELS = {
    "V1.1": "22", "V1.2": "1111122223", "V1.3": "112222222223", "V1.4": "222", "V1.5": "123",
    "V2.1": "122", "V2.2": "112", "V2.3": "12223", "V2.4": "23",
    "V3.1": "3", "V3.2": "113", "V3.3": "12223", "V3.4": "11222233", "V3.5": "11122333", "V3.6": "3", "V3.7": "22333",
    "V4.1": "12233", "V4.2": "23333", "V4.3": "22", "V4.4": "1222",
    "V5.1": "2", "V5.2": "112333", "V5.3": "113", "V5.4": "222",
    "V6.1": "122", "V6.2": "111111112222", "V6.3": "11223333", "V6.4": "112233", "V6.5": "22222333", "V6.6": "2223",
    "V6.7": "33", "V6.8": "2222",
    "V7.1": "222", "V7.2": "1111", "V7.3": "22", "V7.4": "11222", "V7.5": "223", "V7.6": "22",
    "V8.1": "1233", "V8.2": "1123", "V8.3": "133", "V8.4": "23",
    "V9.1": "111", "V9.2": "1222",
    "V10.1": "22", "V10.2": "223", "V10.3": "22223", "V10.4": "1111122222233333", "V10.5": "22222", "V10.6": "22",
    "V10.7": "222",
    "V11.1": "2233", "V11.2": "22233", "V11.3": "11233", "V11.4": "1222", "V11.5": "23", "V11.6": "23", "V11.7": "33",
    "V12.1": "12233", "V12.2": "11", "V12.3": "22223",
    "V13.1": "2333", "V13.2": "222223", "V13.3": "2233", "V13.4": "1222233",
    "V14.1": "22", "V14.2": "12223333", "V14.3": "122",
    "V15.1": "12233", "V15.2": "12233", "V15.3": "1222222", "V15.4": "3333",
    "V16.1": "2", "V16.2": "22222", "V16.3": "2222", "V16.4": "222", "V16.5": "2223",
    "V17.1": "23", "V17.2": "22223333", "V17.3": "22",
}  # fmt: skip
"""The level of each requirement of a section, in their order."""

REQUIRED = {
    f"{section}.{number}": int(level)
    for section, levels in LEVELS.items()
    for number, level in enumerate(levels, 1)
    if level in "12"
}


@pytest.fixture(scope="module")
def rows() -> Mapping[str, Mapping[str, Any]]:
    requirements: Mapping[str, Mapping[str, Any]] = YAML(typ="safe").load(ROOT / "docs/asvs.yaml")["requirements"]
    return requirements


@cache
def names_in(path: str) -> frozenset[str]:
    file = ROOT / path
    if not file.exists():
        return frozenset()
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return frozenset(one.name for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


def is_a_test(named: str) -> bool:
    path, _, name = named.partition("::")
    return name.startswith("test_") and name in names_in(path)


def named_tests(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    yield from ((name, test) for name, row in rows.items() for test in row.get("tests", ()))


def test_the_standard_has_as_many_requirements_as_it_says() -> None:
    assert sum(len(levels) for levels in LEVELS.values()) == 345
    assert Counter(REQUIRED.values()) == {1: 70, 2: 183}


def test_every_requirement_is_answered_once_and_with_its_level(rows: Mapping[str, Mapping[str, Any]]) -> None:
    assert {name: row["level"] for name, row in rows.items()} == REQUIRED


def test_every_answer_has_a_state_and_a_reason(rows: Mapping[str, Mapping[str, Any]]) -> None:
    wrong = [name for name, row in rows.items() if row["state"] not in STATES or len(row["why"].strip()) < 3]
    assert wrong == []
    assert {key for row in rows.values() for key in row} == {"level", "state", "why", "tests"}


def test_what_is_said_to_hold_is_shown_by_tests(rows: Mapping[str, Mapping[str, Any]]) -> None:
    assert [name for name, row in rows.items() if row["state"] in ("held", "partly") and not row.get("tests")] == []


def test_every_named_test_exists(rows: Mapping[str, Mapping[str, Any]]) -> None:
    assert [f"{name}: {test}" for name, test in named_tests(rows) if not is_a_test(test)] == []


def test_a_test_that_does_not_exist_is_noticed() -> None:
    assert is_a_test("tests/supply/test_asvs.py::test_a_test_that_does_not_exist_is_noticed")
    assert not is_a_test("tests/supply/test_asvs.py::test_of_nothing")
    assert not is_a_test("tests/supply/test_nothing.py::test_of_nothing")
    assert not is_a_test("tests/supply/test_asvs.py::names_in")


def test_no_answer_refers_to_a_document_or_a_heading_that_is_not_there(rows: Mapping[str, Mapping[str, Any]]) -> None:
    lost = []
    for name, row in rows.items():
        for path, heading in re.findall(
            r"((?:docs|deploy|web)/[\w./-]*\w|SECURITY\.md)(?:, ([A-Z][\w ]+?)(?=[:.;]))?", row["why"]
        ):
            if not (ROOT / path).exists():
                lost.append(f"{name}: {path}")
            elif heading and f"# {heading}\n" not in (ROOT / path).read_text(encoding="utf-8"):
                lost.append(f"{name}: {path}, {heading}")
    assert lost == []


def test_the_page_on_security_counts_as_the_answers_do(rows: Mapping[str, Mapping[str, Any]]) -> None:
    counted = Counter((row["state"], row["level"]) for row in rows.values())
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    said = {
        (state, level): int(number)
        for state, first, second in re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", page, re.MULTILINE)
        for level, number in ((1, first), (2, second))
    }
    assert said == {(state, level): counted[state, level] for state in STATES for level in (1, 2)}


def test_the_page_on_security_names_all_that_is_open(rows: Mapping[str, Mapping[str, Any]]) -> None:
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    assert [name for name, row in rows.items() if row["state"] == "open" and name.removeprefix("V") not in page] == []


def test_the_page_on_security_names_tests_that_exist() -> None:
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[\w/]+(?:\.py)?)`", page))
    assert len(named) > 25
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
