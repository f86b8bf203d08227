"""Whether and when a failed attempt is followed by another: full jitter, so that what failed together does not
come back together."""

from datetime import timedelta
from random import Random

from sparkops.domains.workflows.definition import RetryPolicy


def backoff_ceiling(policy: RetryPolicy, failures: int) -> timedelta:
    """Return the longest pause after this many failures: doubled each time, up to the policy's `max_backoff`."""
    # Beyond 2**40 every pause in milliseconds is longer than any `max_backoff`; higher powers would only overflow.
    doublings = min(failures - 1, 40)
    seconds = policy.backoff.total_seconds() * 2**doublings
    return min(timedelta(seconds=min(seconds, policy.max_backoff.total_seconds())), policy.max_backoff)


def next_attempt(
    policy: RetryPolicy, failures: int, *, code: str | None, retryable: bool, random: Random
) -> timedelta | None:
    """Return how long to wait before the next attempt, or None if there is none.

    `failures` counts the attempts that have failed, this one included; crashes of workers are counted elsewhere.
    `code` is that of the error, which the policy may not cover. The pause is drawn uniformly between nothing and the
    ceiling; without jitter it is the ceiling.
    """
    if not retryable or failures >= policy.attempts or not policy.covers(code):
        return None
    ceiling = backoff_ceiling(policy, failures)
    return ceiling * random.random() if policy.jitter else ceiling
