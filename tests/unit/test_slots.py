"""How many steps a worker takes, and of whom."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from sparkops.worker.slots import Slots

FLOOD, OTHER, THIRD = uuid4(), uuid4(), uuid4()


def held(project: UUID, *, isolate: bool = False) -> Any:
    lease = SimpleNamespace(step_id=uuid4())
    return SimpleNamespace(claim=SimpleNamespace(lease=lease, project_id=project, isolate=isolate))


def slots(size: int, *projects: UUID, shared: bool | None = True) -> Slots:
    made = Slots(size)
    made.shared = shared
    for project in projects:
        made.add(held(project))
    return made


def test_one_project_may_hold_all_but_two_tenths_where_there_are_others() -> None:
    assert [slots(size).share for size in (1, 2, 3, 10, 100)] == [1, 1, 1, 8, 80]
    assert (slots(10, shared=False).share, slots(10, shared=None).share) == (10, 8)


def test_the_last_tenth_is_for_projects_that_hold_nothing() -> None:
    for size in (3, 10, 100):
        two = slots(size)
        while open_to := {FLOOD, OTHER} - set(two.full):
            two.add(held(min(open_to)))
        assert (two.free, two.claimable, THIRD in two.full) == (max(size // 10, 1), 1, False)
    ten = slots(10, *[FLOOD] * 8, OTHER)
    assert (ten.free, ten.claimable, set(ten.full)) == (1, 1, {FLOOD, OTHER})
    ten.add(held(THIRD))
    assert (ten.free, ten.claimable, set(ten.full)) == (0, 0, {FLOOD, OTHER, THIRD})


def test_each_of_the_last_tenth_goes_to_another_project() -> None:
    assert slots(100, *[FLOOD] * 80, *[OTHER] * 10).claimable == 1
    made = slots(100, *[FLOOD] * 80, *[OTHER] * 10, THIRD)
    assert (made.free, made.claimable, set(made.full)) == (9, 1, {FLOOD, OTHER, THIRD})


def test_what_ends_is_followed_by_nothing_while_the_last_tenth_is_not_free_again() -> None:
    made = slots(10, *[FLOOD] * 8, OTHER, THIRD)
    assert [made.room_after([each]) for each in (FLOOD, OTHER, THIRD)] == [0, 1, 1]
    assert made.room_after([FLOOD, OTHER]) == 1
    assert slots(10, *[FLOOD] * 7, *[OTHER] * 2, THIRD).room_after([OTHER]) == 0


def test_a_claim_asks_for_no_more_than_one_project_may_still_hold() -> None:
    assert slots(10).claimable == 8
    assert (slots(10, *[FLOOD] * 5).claimable, slots(10, *[FLOOD] * 5).full) == (3, [])
    full = slots(10, *[FLOOD] * 8)
    assert (full.claimable, full.full) == (1, [FLOOD])


def test_a_process_with_one_slot_takes_any_step() -> None:
    assert (slots(1).claimable, slots(1).full) == (1, [])
    assert (slots(1, FLOOD).claimable, slots(1, FLOOD).room_after([FLOOD])) == (0, 1)


def test_what_is_being_claimed_is_not_claimed_twice() -> None:
    made = slots(10, FLOOD)
    with made.promised(7):
        assert (made.full, made.claimable, made.free, made.room_after([FLOOD])) == ([FLOOD], 1, 2, 1)
    assert made.claimable == 7


def test_steps_that_end_are_followed_by_as_many_as_their_projects_may_hold() -> None:
    assert slots(10, *[FLOOD] * 8).room_after([FLOOD]) == 1
    assert slots(10, *[FLOOD] * 5).room_after([FLOOD]) == 4
    assert slots(10, *[FLOOD] * 8, OTHER).room_after([FLOOD, OTHER]) == 1
    assert slots(10, *[FLOOD] * 10, shared=False).room_after([FLOOD] * 2) == 2


def test_what_has_ended_counts_no_more() -> None:
    made = slots(10, *[FLOOD] * 7)
    last = held(FLOOD)
    made.add(last)
    assert made.full == [FLOOD]
    made.remove(last.claim.lease)
    made.remove(last.claim.lease)
    assert (made.full, made.claimable, len(made.all())) == ([], 1, 7)
