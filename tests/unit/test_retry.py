"""Pauses between attempts."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.domains.workflows.definition import RetryPolicy
from sparkops.engine.retry import backoff_ceiling, next_attempt

POLICY = RetryPolicy(attempts=4, backoff=timedelta(seconds=1), max_backoff=timedelta(seconds=3))


class Always(Random):
    """Draws the same number every time."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def random(self) -> float:
        return self.number


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 3), (4, 3), (500, 3)])
def test_the_longest_pause_doubles_up_to_the_most(failures: int, seconds: int) -> None:
    assert backoff_ceiling(POLICY, failures) == timedelta(seconds=seconds)


def test_the_pause_is_drawn_from_nothing_to_the_longest() -> None:
    assert next_attempt(POLICY, 2, code="broken", retryable=True, random=Always(0.0)) == timedelta(0)
    assert next_attempt(POLICY, 2, code="broken", retryable=True, random=Always(0.5)) == timedelta(seconds=1)


def test_there_is_no_attempt_after_the_last_or_after_a_final_failure() -> None:
    assert next_attempt(POLICY, 3, code="broken", retryable=True, random=Always(0.5)) is not None
    assert next_attempt(POLICY, 4, code="broken", retryable=True, random=Always(0.5)) is None
    assert next_attempt(POLICY, 1, code="broken", retryable=False, random=Always(0.5)) is None


@given(st.integers(1, 10_000), st.integers(1, 10**9), st.integers(1, 10**9), st.integers())
def test_no_pause_is_negative_or_longer_than_allowed(failures: int, base: int, most: int, seed: int) -> None:
    policy = RetryPolicy(failures + 1, timedelta(milliseconds=base), timedelta(milliseconds=most))
    pause = next_attempt(policy, failures, code="broken", retryable=True, random=Random(seed))
    assert pause is not None
    longest = min(most, base * 2 ** (failures - 1))
    assert timedelta(0) <= pause <= timedelta(milliseconds=longest)


def test_pauses_spread_evenly() -> None:
    random = Random(7)
    pauses = [next_attempt(POLICY, 2, code="broken", retryable=True, random=random) for _ in range(2_000)]
    seconds = sorted(pause.total_seconds() for pause in pauses if pause is not None)
    assert all(abs(seconds[len(seconds) * part // 4] - part * 0.5) < 0.1 for part in (1, 2, 3))


def test_a_policy_retries_only_the_codes_that_it_names() -> None:
    picky = replace(POLICY, on=frozenset({"timeout"}))
    assert next_attempt(picky, 1, code="timeout", retryable=True, random=Always(0.5)) is not None
    assert next_attempt(picky, 1, code="broken", retryable=True, random=Always(0.5)) is None


def test_without_jitter_every_pause_is_the_longest() -> None:
    steady = replace(POLICY, jitter=False)
    assert next_attempt(steady, 2, code="broken", retryable=True, random=Always(0.1)) == timedelta(seconds=2)
