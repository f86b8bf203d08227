"""No answer is lost, nothing leaves without leave or after a cancellation, and each guard is needed."""

import pytest

from tests.model import cancelling, waiting
from tests.model.checker import explore


def test_no_answer_is_lost_whenever_it_comes() -> None:
    report = explore(waiting.Waiting())
    assert report.broken == {}
    assert report.states > 50


@pytest.mark.parametrize("without", waiting.MUTANTS)
def test_waiting_without_this_guard_breaks_its_promise(without: str) -> None:
    assert waiting.MUTANTS[without] in explore(waiting.Waiting(without), until=waiting.MUTANTS[without]).broken


def test_a_lost_wake_up_needs_an_answer_between_asking_and_waiting() -> None:
    mutant = "waiting does not look whether the answer is there"
    [path] = explore(waiting.Waiting(mutant)).broken.values()
    assert path == ["claim", "ask", "approve", "wait"]


def test_after_an_acknowledged_cancellation_nothing_is_prepared_and_the_run_ends() -> None:
    report = explore(cancelling.Cancelling())
    assert report.broken == {}
    assert report.states > 50


@pytest.mark.parametrize("without", cancelling.MUTANTS)
def test_cancelling_without_this_guard_breaks_its_promise(without: str) -> None:
    promise = cancelling.MUTANTS[without]
    assert promise in explore(cancelling.Cancelling(without), until=promise).broken
