"""Compensation, resolving, copies of runs and the outbox keep their promises, and each guard is needed."""

import pytest

from tests.model import copying, outbox, resolving, undoing
from tests.model.checker import explore


def test_every_undo_that_is_due_runs_in_reverse_order_and_once() -> None:
    report = explore(undoing.Undoing())
    assert report.broken == {}
    assert report.seen >= undoing.MUST_HAPPEN
    assert report.states > 1_000


@pytest.mark.parametrize(("without", "promise"), undoing.MUTANTS.items())
def test_undoing_without_this_guard_breaks_its_promise(without: str, promise: str) -> None:
    assert promise in explore(undoing.Undoing(without), until=promise).broken


def test_an_unsafe_call_is_sent_again_only_after_somebody_said_that_it_did_not_happen() -> None:
    report = explore(resolving.Resolving())
    assert report.broken == {}
    assert report.seen >= resolving.MUST_HAPPEN
    assert explore(resolving.Resolving(cancels=False)).broken == {}


@pytest.mark.parametrize(("without", "promise"), resolving.MUTANTS.items())
def test_resolving_without_this_guard_breaks_its_promise(without: str, promise: str) -> None:
    assert promise in explore(resolving.Resolving(without), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), resolving.QUIET_MUTANTS.items())
def test_a_run_that_is_not_looked_at_after_resolving_stays_where_it_is(without: str, promise: str) -> None:
    assert promise in explore(resolving.Resolving(without, cancels=False)).broken


def test_a_copy_keeps_what_stands_and_repeats_nothing_that_may_have_happened() -> None:
    report = explore(copying.Copying())
    assert report.broken == {}
    assert report.seen >= copying.MUST_HAPPEN


@pytest.mark.parametrize(("without", "promise"), copying.MUTANTS.items())
def test_copying_without_this_guard_breaks_its_promise(without: str, promise: str) -> None:
    assert promise in explore(copying.Copying(without)).broken


def test_a_copy_of_a_run_that_goes_on_may_keep_what_is_taken_back_later() -> None:
    assert copying.GONE in explore(copying.Copying("a run that goes on may be copied")).broken


@pytest.mark.parametrize("poison", [False, True])
def test_an_entry_of_the_outbox_is_delivered_or_given_up_after_its_tries(poison: bool) -> None:
    report = explore(outbox.Outbox(poison=poison))
    assert report.broken == {}
    assert poison or report.seen >= outbox.MUST_HAPPEN


@pytest.mark.parametrize(("without", "promise"), outbox.MUTANTS.items())
def test_the_outbox_without_this_guard_breaks_its_promise(without: str, promise: str) -> None:
    assert promise in explore(outbox.Outbox(without), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), outbox.POISON_MUTANTS.items())
def test_a_receiver_that_kills_its_relays_is_given_up_only_with_this_guard(without: str, promise: str) -> None:
    assert promise in explore(outbox.Outbox(without, poison=True)).broken
