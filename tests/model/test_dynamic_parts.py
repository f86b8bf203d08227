"""Maps, loops, sub-workflows and waits for events keep their promises, and each guard is needed."""

import pytest

from tests.model import children, events, loops, maps
from tests.model.checker import explore

Guards = tuple[str, ...]


@pytest.mark.parametrize(("stops", "late"), [(False, False), (True, False), (False, True)])
def test_a_map_counts_every_frame_once_and_is_woken_after_the_last(stops: bool, late: bool) -> None:
    report = explore(maps.Maps(stops=stops, late=late, troubles=1))
    assert report.broken == {}
    assert report.seen >= maps.MUST_HAPPEN
    assert report.states > 5_000


@pytest.mark.parametrize(("without", "promise"), maps.MUTANTS.items(), ids=map("; ".join, maps.MUTANTS))
def test_a_map_without_this_guard_breaks_its_promise(without: Guards, promise: str) -> None:
    assert promise in explore(maps.Maps(*without), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), maps.TROUBLE_MUTANTS.items(), ids=map("; ".join, maps.TROUBLE_MUTANTS))
def test_a_map_in_trouble_without_this_guard_breaks_its_promise(without: Guards, promise: str) -> None:
    assert promise in explore(maps.Maps(*without, late=True, troubles=1), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), maps.STOP_MUTANTS.items(), ids=map("; ".join, maps.STOP_MUTANTS))
def test_a_map_that_stops_without_this_guard_breaks_its_promise(without: Guards, promise: str) -> None:
    assert promise in explore(maps.Maps(*without, stops=True), until=promise).broken


@pytest.mark.parametrize("without", maps.ENOUGH, ids="; ".join)
def test_the_sweep_closes_frames_that_nobody_has_closed(without: Guards) -> None:
    assert explore(maps.Maps(*without)).broken == {}


def test_a_loop_has_one_pass_after_the_other_and_no_more_than_it_may() -> None:
    report = explore(loops.Loops())
    assert report.broken == {}
    assert report.seen >= loops.MUST_HAPPEN


@pytest.mark.parametrize("without", loops.ENOUGH, ids="; ".join)
def test_a_late_worker_is_refused_by_its_lease_or_by_the_key_of_frames(without: Guards) -> None:
    assert explore(loops.Loops(*without)).broken == {}


@pytest.mark.parametrize(("without", "promise"), loops.MUTANTS.items(), ids=map("; ".join, loops.MUTANTS))
def test_a_loop_without_this_guard_breaks_its_promise(without: Guards, promise: str) -> None:
    assert promise in explore(loops.Loops(*without), until=promise).broken


def test_a_child_is_the_only_one_of_its_step_and_does_not_outlive_it() -> None:
    report = explore(children.Children())
    assert report.broken == {}
    assert report.seen >= children.MUST_HAPPEN
    assert explore(children.Children(late=True)).broken == {}
    assert explore(children.Children(requests=0)).broken == {}


@pytest.mark.parametrize("without", children.ENOUGH, ids="; ".join)
def test_the_sweep_is_enough_to_wake_a_step_whose_child_has_ended(without: Guards) -> None:
    assert explore(children.Children(*without, requests=0)).broken == {}


@pytest.mark.parametrize(("without", "promise"), children.MUTANTS.items(), ids=map("; ".join, children.MUTANTS))
def test_children_without_this_guard_break_their_promise(without: Guards, promise: str) -> None:
    assert promise in explore(children.Children(*without), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), children.QUIET_MUTANTS.items())
def test_a_lost_wake_up_is_found_by_nobody_without_the_sweep(without: Guards, promise: str) -> None:
    assert promise in explore(children.Children(*without, requests=0)).broken


@pytest.mark.parametrize(("without", "promise"), children.LATE_MUTANTS.items())
def test_a_child_of_a_step_that_was_too_late_needs_the_sweep(without: Guards, promise: str) -> None:
    assert promise in explore(children.Children(*without, late=True)).broken


def test_an_event_wakes_every_step_that_it_fits_whenever_it_comes() -> None:
    report = explore(events.Events())
    assert report.broken == {}
    assert report.seen >= events.MUST_HAPPEN
    assert report.states > 1_000


def test_a_sweep_from_the_side_of_the_steps_makes_up_for_the_lock() -> None:
    assert explore(events.Events(events.UNLOCKED, looks_again=True, by_ids=True)).broken == {}


def test_events_may_overtake_each_other_where_steps_remember_which_they_have_seen() -> None:
    report = explore(events.Events(events.SIDE_BY_SIDE, by_ids=True))
    assert report.broken == {}
    assert "event 1 overtakes" in report.seen


@pytest.mark.parametrize(("without", "promise"), events.MUTANTS.items(), ids=map("; ".join, events.MUTANTS))
def test_waiting_for_events_without_this_guard_breaks_its_promise(without: Guards, promise: str) -> None:
    assert promise in explore(events.Events(*without), until=promise).broken


def test_an_event_is_lost_that_comes_between_the_look_and_the_wait() -> None:
    [path] = explore(events.Events(events.UNLOCKED)).broken.values()
    assert path == ["claim", "read", "look", "write event", "event is visible", "find", "mark"]
