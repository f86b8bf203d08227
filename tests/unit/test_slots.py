"""How many steps a worker takes, and of whom."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from sparkops.worker.slots import Slots

FLOOD, OTHER = uuid4(), uuid4()


def held(project: UUID, *, isolate: bool = False) -> Any:
    lease = SimpleNamespace(step_id=uuid4())
    return SimpleNamespace(claim=SimpleNamespace(lease=lease, project_id=project, isolate=isolate))


def slots(size: int, *projects: UUID, shared: bool | None = True) -> Slots:
    made = Slots(size)
    made.shared = shared
    for project in projects:
        made.add(held(project))
    return made


def test_one_project_may_hold_all_but_a_tenth_where_there_are_others() -> None:
    assert [slots(size).share for size in (1, 2, 10, 100)] == [1, 1, 9, 90]
    assert (slots(10, shared=False).share, slots(10, shared=None).share) == (10, 9)


def test_a_claim_asks_for_no_more_than_one_project_may_still_hold() -> None:
    assert slots(10).claimable == 9
    assert (slots(10, *[FLOOD] * 5).claimable, slots(10, *[FLOOD] * 5).full) == (4, [])
    full = slots(10, *[FLOOD] * 9)
    assert (full.claimable, full.full) == (1, [FLOOD])
    assert slots(10, *[FLOOD] * 9, OTHER).claimable == 0


def test_what_is_being_claimed_is_not_claimed_twice() -> None:
    made = slots(10, FLOOD)
    with made.promised(8):
        assert (made.full, made.claimable, made.free, made.room_after([FLOOD])) == ([FLOOD], 1, 1, 1)
    assert made.claimable == 8


def test_steps_that_end_are_followed_by_as_many_as_their_projects_may_hold() -> None:
    assert slots(10, *[FLOOD] * 9).room_after([FLOOD]) == 1
    assert slots(10, *[FLOOD] * 5).room_after([FLOOD]) == 5
    assert slots(10, *[FLOOD] * 9, OTHER).room_after([FLOOD, OTHER]) == 1
    assert slots(10, *[FLOOD] * 10, shared=False).room_after([FLOOD] * 2) == 2


def test_what_has_ended_counts_no_more() -> None:
    made = slots(10, *[FLOOD] * 8)
    last = held(FLOOD)
    made.add(last)
    assert made.full == [FLOOD]
    made.remove(last.claim.lease)
    made.remove(last.claim.lease)
    assert (made.full, made.claimable, len(made.all())) == ([], 1, 8)
