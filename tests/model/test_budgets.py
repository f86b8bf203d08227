"""A shared budget holds while it is raised, turns, and lets calls wait; and each of its guards is needed."""

import pytest

from tests.model.budgets import ENOUGH, MUTANTS, SharedBudget
from tests.model.checker import explore


def test_a_shared_budget_holds_and_lets_every_call_go_on() -> None:
    report = explore(SharedBudget())
    assert report.broken == {}
    assert report.seen >= {"pause", "wait", "sweep", "the period wakes", "the limit is raised", "the period turns"}


@pytest.mark.parametrize("without", ENOUGH, ids="; ".join)
def test_the_sweep_makes_a_lost_wake_up_harmless(without: tuple[str, ...]) -> None:
    assert explore(SharedBudget(*without)).broken == {}


@pytest.mark.parametrize(("without", "promise"), MUTANTS.items(), ids=map("; ".join, MUTANTS))
def test_a_shared_budget_without_its_guards_is_wrong(without: tuple[str, ...], promise: str) -> None:
    assert promise in explore(SharedBudget(*without)).broken
