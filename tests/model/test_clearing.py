"""A run begins, and its output is handed out, only as people and the rules of that moment let it; each guard counts."""

import pytest

from tests.model.checker import explore
from tests.model.clearing import (
    BELOW_MUTANTS,
    MUST_HAPPEN,
    MUST_HAPPEN_BELOW,
    MUTANTS,
    QUIET_MUTANTS,
    Clearing,
)


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


def test_nothing_begins_below_a_run_that_is_paused_and_resuming_forgets_nothing() -> None:
    report = explore(Clearing(below=True))
    assert report.broken == {}
    assert report.seen >= MUST_HAPPEN | MUST_HAPPEN_BELOW
    assert explore(Clearing(below=True, cancels=False)).broken == {}


@pytest.mark.parametrize("without", BELOW_MUTANTS)
def test_a_pause_above_without_this_guard_is_broken(without: str) -> None:
    assert BELOW_MUTANTS[without] in explore(Clearing(without, cancels=False, below=True)).broken
