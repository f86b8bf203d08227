"""Schedules, budgets and approvals keep their promises, and each of their guards is needed."""

import pytest

from tests.model.checker import explore
from tests.model.ledgers import (
    APPROVAL_MUTANTS,
    BUDGET_MUTANTS,
    SCHEDULE_MUTANTS,
    Approval,
    Budget,
    Schedules,
)


@pytest.mark.parametrize("without", [(), ("no lock on the schedule",), ("no key on the firing",)], ids="; ".join)
def test_each_due_instant_fires_once_by_the_lock_or_by_the_key(without: tuple[str, ...]) -> None:
    assert explore(Schedules(*without)).broken == {}


@pytest.mark.parametrize(("without", "promise"), SCHEDULE_MUTANTS.items(), ids=map("; ".join, SCHEDULE_MUTANTS))
def test_a_schedule_without_its_guards_misfires(without: tuple[str, ...], promise: str) -> None:
    assert promise in explore(Schedules(*without)).broken


def test_a_budget_holds_whatever_is_reserved_at_once() -> None:
    assert explore(Budget()).broken == {}


@pytest.mark.parametrize("without", BUDGET_MUTANTS)
def test_a_budget_without_this_guard_is_wrong(without: str) -> None:
    assert BUDGET_MUTANTS[without] in explore(Budget(without)).broken


def test_an_approval_allows_once_what_was_shown() -> None:
    assert explore(Approval()).broken == {}


@pytest.mark.parametrize("without", APPROVAL_MUTANTS)
def test_an_approval_without_this_guard_allows_more(without: str) -> None:
    assert APPROVAL_MUTANTS[without] in explore(Approval(without)).broken
