"""Pausing, the kill switch, admission and ends recorded together keep their promises; each guard is needed."""

import pytest

from tests.model import admitting, chaining, clocks, counting, halting, pausing
from tests.model.checker import explore

Guards = tuple[str, ...]


def test_nothing_of_a_paused_run_starts_and_resuming_forgets_nothing() -> None:
    report = explore(pausing.Pausing())
    assert report.broken == {}
    assert report.seen >= pausing.MUST_HAPPEN
    assert report.states > 1_000


def test_nothing_starts_in_a_cancelled_run_whose_maps_insert_rows() -> None:
    assert explore(pausing.Pausing(cancels=True)).broken == {}


@pytest.mark.parametrize("cancels", [False, True])
@pytest.mark.parametrize("without", pausing.ENOUGH, ids="; ".join)
def test_the_lock_of_the_run_is_enough_to_see_every_row(without: Guards, cancels: bool) -> None:
    assert explore(pausing.Pausing(*without, cancels=cancels)).broken == {}


@pytest.mark.parametrize(("without", "promise"), pausing.LOCK_MUTANTS.items(), ids=map("; ".join, pausing.LOCK_MUTANTS))
def test_inserting_rows_without_the_lock_of_the_run_breaks_a_promise(without: Guards, promise: str) -> None:
    assert promise in explore(pausing.Pausing(*without), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), pausing.MUTANTS.items())
def test_pausing_without_this_guard_breaks_its_promise(without: str, promise: str) -> None:
    assert promise in explore(pausing.Pausing(without), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), pausing.CANCEL_MUTANTS.items())
def test_cancelling_maps_without_this_guard_breaks_its_promise(without: str, promise: str) -> None:
    assert promise in explore(pausing.Pausing(without, cancels=True), until=promise).broken


def test_after_an_acknowledged_stop_no_call_is_let_out_and_nothing_is_forgotten() -> None:
    report = explore(halting.Halting())
    assert report.broken == {}
    assert report.seen >= halting.MUST_HAPPEN


@pytest.mark.parametrize("without", halting.ENOUGH)
def test_the_look_of_preparing_is_enough(without: str) -> None:
    assert explore(halting.Halting(without)).broken == {}


@pytest.mark.parametrize(("without", "promise"), halting.MUTANTS.items())
def test_stopping_without_this_guard_breaks_its_promise(without: str, promise: str) -> None:
    assert promise in explore(halting.Halting(without), until=promise).broken


def test_clocks_stand_still_under_halts_and_pauses_and_lose_and_gain_nothing() -> None:
    report = explore(clocks.Clocks())
    assert report.broken == {}
    assert report.seen >= clocks.MUST_HAPPEN
    assert report.states > 1_000


@pytest.mark.parametrize(("without", "promise"), clocks.MUTANTS.items())
def test_a_clock_without_this_guard_breaks_its_promise(without: str, promise: str) -> None:
    assert promise in explore(clocks.Clocks(without), until=promise).broken


def test_no_more_runs_go_on_than_may_and_none_waits_while_there_is_room() -> None:
    report = explore(admitting.Admitting())
    assert report.broken == {}
    assert report.seen >= admitting.MUST_HAPPEN
    assert report.states > 1_000
    assert explore(admitting.Admitting(cancels=0)).broken == {}


@pytest.mark.parametrize(("without", "promise"), admitting.MUTANTS.items())
def test_admitting_without_this_guard_breaks_its_promise(without: str, promise: str) -> None:
    assert promise in explore(admitting.Admitting(without), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), admitting.QUIET_MUTANTS.items())
def test_a_queued_run_waits_for_ever_without_this_guard(without: str, promise: str) -> None:
    assert promise in explore(admitting.Admitting(without, cancels=0)).broken


def test_no_more_runs_begin_than_their_budget_allows_and_none_waits_while_it_has_room() -> None:
    report = explore(counting.Counting())
    assert report.broken == {}
    assert report.seen >= counting.MUST_HAPPEN
    assert report.states > 100
    assert explore(counting.Counting(cancels=False)).broken == {}


@pytest.mark.parametrize(("without", "promise"), counting.MUTANTS.items())
def test_counting_without_this_guard_breaks_its_promise(without: str, promise: str) -> None:
    assert promise in explore(counting.Counting(without), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), counting.QUIET_MUTANTS.items())
def test_a_run_waits_for_its_budget_for_ever_without_this_guard(without: str, promise: str) -> None:
    assert promise in explore(counting.Counting(without, cancels=False)).broken


@pytest.mark.parametrize(("other", "cancels"), [(False, True), (True, True), (False, False)])
def test_ends_recorded_together_are_as_if_each_had_been_claimed_and_completed(other: bool, cancels: bool) -> None:
    report = explore(chaining.Chaining(other=other, cancels=cancels))
    assert report.broken == {}
    assert report.seen >= chaining.MUST_HAPPEN - (set() if cancels else {"cancel the run", "cancel the frame"})
    assert report.states > 1_000


@pytest.mark.parametrize("without", chaining.ENOUGH, ids="; ".join)
def test_guards_of_a_chain_stand_behind_each_other(without: Guards) -> None:
    assert explore(chaining.Chaining(*without)).broken == {}


@pytest.mark.parametrize(("without", "promise"), chaining.MUTANTS.items(), ids=map("; ".join, chaining.MUTANTS))
def test_a_chain_without_this_guard_breaks_its_promise(without: Guards, promise: str) -> None:
    other = promise == chaining.EARLY
    assert promise in explore(chaining.Chaining(*without, other=other), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), chaining.QUIET_MUTANTS.items())
def test_what_a_chain_may_not_record_must_be_left_to_others(without: Guards, promise: str) -> None:
    assert promise in explore(chaining.Chaining(*without, cancels=False)).broken
