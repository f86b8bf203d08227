"""Every operation that changes something writes the audit trail, or it is said here why it does not."""

import re
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from sparkops.domains.audit.actions import ACTIONS
from tests.api.audited import AUDITED, NOT_AUDITED, REPEATABLE
from tests.api.test_walls import operations

SOURCES: Final = Path(__file__).parents[2] / "src" / "sparkops"
_WRITTEN: Final = (
    re.compile(r'await audit\(\s*"([a-z-]+(?:\.[a-z-]+)+)"'),
    re.compile(r'action="([a-z-]+(?:\.[a-z-]+)+)"'),
    re.compile(r'Change\(\s*"([a-z-]+(?:\.[a-z-]+)+)"'),
    re.compile(r'"write_audit",[^"]*"([a-z-]+(?:\.[a-z-]+)+)"'),
)
_WRITTEN_SQL: Final = re.compile(r"write_audit\((?:[^;]*?)'([a-z-]+(?:\.[a-z-]+)+)'", re.DOTALL)


def changing(app: FastAPI) -> set[str]:
    return {described["operationId"] for method, _, described in operations(app) if method not in ("get", "head")}


async def test_every_changing_operation_is_audited_or_says_why_not(app: FastAPI) -> None:
    found = changing(app)
    assert found - set(AUDITED) - set(NOT_AUDITED) == set(), "add it to one of the tables of tests/api/audited.py"
    assert set(AUDITED) & set(NOT_AUDITED) == set()
    assert set(AUDITED) >= REPEATABLE


def test_every_action_is_told_in_words() -> None:
    promised = set().union(*AUDITED.values())
    assert promised - set(ACTIONS) == set()


def test_every_action_that_is_written_is_listed() -> None:
    written = set()
    for path in SOURCES.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        written |= {found for pattern in _WRITTEN for found in pattern.findall(text)}
    for path in SOURCES.rglob("*.sql"):
        written |= set(_WRITTEN_SQL.findall(path.read_text(encoding="utf-8")))
    assert len(written) > 20, "the patterns find nothing any more"
    assert written - set(ACTIONS) == set(), "add it to domains/audit/actions.py"
