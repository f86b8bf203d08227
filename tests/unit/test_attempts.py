"""Counting attempts: how many are free, how waits grow, and that they end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.domains.identity.attempts import ACCOUNT, ADDRESS, DEVICE, OWN_PASSWORD, Count, Rule, judge, key_of

START = datetime(2026, 11, 23, tzinfo=UTC)
FRESH = Count(0, START, None, 0)
GROWING = [ACCOUNT, DEVICE, OWN_PASSWORD]
SECOND = timedelta(seconds=1)


def play(rule: Rule, gaps: list[timedelta]) -> list[tuple[datetime, bool]]:
    """Attempt after each of these gaps; return when each came and whether it was let in."""
    count, now, said = FRESH, START, []
    for gap in gaps:
        now += gap
        count, verdict = judge(count, rule, now)
        said.append((now, verdict.wait is None))
    return said


def test_so_many_are_free_and_then_there_is_a_wait_that_doubles() -> None:
    count, now, waits = FRESH, START, []
    for _ in range(ACCOUNT.free):
        count, verdict = judge(count, ACCOUNT, now)
        assert verdict.wait is None
    for _ in range(8):
        _, verdict = judge(count, ACCOUNT, now)
        assert verdict.wait is not None
        waits.append(verdict.seconds)
        now += verdict.wait
        count, verdict = judge(count, ACCOUNT, now)
        assert verdict.wait is None, "a wait ends when it said it would"
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900]


def test_what_is_refused_does_not_make_the_wait_longer() -> None:
    count = FRESH
    for _ in range(ACCOUNT.free):
        count, _ = judge(count, ACCOUNT, START)
    until = count.blocked_until
    firsts = []
    for _ in range(1_000):
        count, verdict = judge(count, ACCOUNT, START + SECOND)
        firsts.append(verdict.first)
    assert count.blocked_until == until
    assert firsts == [True] + [False] * 999


def test_a_count_is_forgotten_after_a_quiet_while() -> None:
    count = FRESH
    for _ in range(ACCOUNT.free - 1):
        count, _ = judge(count, ACCOUNT, START)
    count, _ = judge(count, ACCOUNT, START + ACCOUNT.forget)
    assert (count.used, count.blocked_until) == (1, None)


def test_an_address_has_so_many_in_each_window() -> None:
    count = FRESH
    for _ in range(ADDRESS.free):
        count, verdict = judge(count, ADDRESS, START + SECOND)
        assert verdict.wait is None
    _, verdict = judge(count, ADDRESS, START + 2 * SECOND)
    assert verdict.wait == ADDRESS.forget - SECOND
    _, verdict = judge(count, ADDRESS, START + SECOND + ADDRESS.forget)
    assert verdict.wait is None


@pytest.mark.parametrize("rule", GROWING, ids=lambda rule: rule.name)
@given(gaps=st.lists(st.integers(0, 4_000), max_size=120))
def test_nobody_is_ever_locked_out_for_longer_than_the_longest_wait(rule: Rule, gaps: list[int]) -> None:
    said = play(rule, [timedelta(seconds=gap) for gap in gaps])
    let_in = [at for at, inside in said if inside] or [START]
    for at, inside in said:
        before = max((one for one in let_in if one <= at), default=START)
        assert inside or at - before < rule.longest


@pytest.mark.parametrize("rule", GROWING, ids=lambda rule: rule.name)
def test_who_never_stops_gets_few_guesses_in_a_day(rule: Rule) -> None:
    said = play(rule, [SECOND] * 86_400)
    assert sum(inside for _, inside in said) < 120


def test_the_table_does_not_say_which_addresses_were_tried() -> None:
    assert "ann" not in key_of(ACCOUNT, "ann@example.com")
    assert key_of(ACCOUNT, " Ann@Example.com") == key_of(ACCOUNT, "ann@example.com")
    assert key_of(ACCOUNT, "ann@example.com") != key_of(DEVICE, "ann@example.com")
