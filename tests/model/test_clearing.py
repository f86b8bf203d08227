"""A run begins, and its output is handed out, only as people and the rules of that moment let it; each guard counts."""

import pytest

from tests.model.checker import explore
from tests.model.clearing import MUST_HAPPEN, MUTANTS, QUIET_MUTANTS, Clearing


def test_a_run_begins_and_ends_only_as_people_let_it() -> None:
    report = explore(Clearing())
    assert report.broken == {}
    assert report.seen >= MUST_HAPPEN


def test_a_run_that_waits_for_people_always_gets_to_an_end() -> None:
    assert explore(Clearing(cancels=False)).broken == {}


@pytest.mark.parametrize("without", MUTANTS)
def test_letting_go_without_this_guard_is_wrong(without: str) -> None:
    assert MUTANTS[without] in explore(Clearing(without)).broken


@pytest.mark.parametrize("without", QUIET_MUTANTS)
def test_a_run_without_this_guard_waits_for_ever(without: str) -> None:
    assert QUIET_MUTANTS[without] in explore(Clearing(without, cancels=False)).broken
