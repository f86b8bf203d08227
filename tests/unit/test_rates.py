"""How requests are counted: within a window that slides, by several processes, with and without Redis."""

from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisAway

from sparkops.api import rates
from sparkops.api.rates import Rates, RouteClass, class_of
from sparkops.core.config import RateLimits
from sparkops.core.errors import TooMany

LIMITS = RateLimits(reads=5, writes=2, runs=3, sign_ins=1, address_factor=2)
"""So 50, 20, 30 and 10 in a window."""


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class FakeRedis:
    """Adds up, as Redis does."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.away = False

    def pipeline(self, *, transaction: bool) -> "FakeRedis":
        self._answers: list[int] = []
        return self

    async def __aenter__(self) -> "FakeRedis":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def incrby(self, name: str, number: int) -> None:
        self._answers.append(self.values.get(name, 0) + number)
        if not self.away:
            self.values[name] = self._answers[-1]

    def expire(self, name: str, seconds: int) -> None:
        self._answers.append(1)

    async def execute(self) -> list[int]:
        if self.away:
            raise RedisAway("gone")
        return self._answers


@pytest.fixture
def clock() -> Clock:
    return Clock()


def process(redis: Any, clock: Callable[[], float]) -> Rates:
    return Rates(LIMITS, redis, clock=clock)


def writes(one: Rates, times: int, who: str = "ann") -> int:
    """Send so many; return how many were let through."""
    return sum(not one.take_caller(who, RouteClass.WRITE).refused for _ in range(times))


def test_a_window_holds_what_it_says_and_not_one_more(clock: Clock) -> None:
    one = process(FakeRedis(), clock)
    assert writes(one, 200) == 20
    assert writes(one, 1, "bob") == 1, "another caller has limits of their own"
    standing = one.take_caller("ann", RouteClass.WRITE)
    with pytest.raises(TooMany) as refused:
        standing.check()
    assert refused.value.members == {"retry_after_seconds": 10}


def test_the_window_slides_so_that_no_moment_sees_twice_the_limit(clock: Clock) -> None:
    one = process(FakeRedis(), clock)
    clock.now = 1_009.9
    assert writes(one, 50) == 20
    clock.now = 1_010.1
    assert writes(one, 50) == 1, "what was counted a moment ago still counts"
    clock.now = 1_015.0
    assert writes(one, 50) == 9
    clock.now = 1_040.0
    assert writes(one, 50) == 20


def test_who_is_refused_is_let_in_again_although_they_hammer(clock: Clock) -> None:
    one = process(FakeRedis(), clock)
    let_in = 0
    for _ in range(400):
        clock.now += 0.1
        let_in += writes(one, 10)
    assert 75 <= let_in <= 100, "40 seconds of two a second"


async def test_processes_count_together(clock: Clock) -> None:
    redis = FakeRedis()
    first, second = process(redis, clock), process(redis, clock)
    assert writes(first, 15) == 15
    await first.share()
    assert writes(second, 2) == 2, "not heard yet"
    await second.share()
    await first.share()
    assert writes(second, 50) == 3
    await second.share()
    writes(first, 1)
    await first.share()
    assert writes(first, 50) == 0


async def test_without_redis_each_process_holds_the_limit(clock: Clock) -> None:
    redis = FakeRedis()
    redis.away = True
    one = process(redis, clock)
    assert writes(one, 10) == 10
    await one.share()
    assert writes(one, 50) == 10
    await one.share()
    assert writes(one, 50) == 0


async def test_a_flushed_redis_does_not_open_the_gate(clock: Clock) -> None:
    redis = FakeRedis()
    one = process(redis, clock)
    assert writes(one, 10) == 10
    await one.share()
    redis.values.clear()
    assert writes(one, 1) == 1
    await one.share()
    assert writes(one, 50) == 9


def test_an_address_may_more_than_a_caller_but_not_guess_more_passwords(clock: Clock) -> None:
    one = process(FakeRedis(), clock)
    let_in = [sum(not one.take_address("1.2.3.4", kind).refused for _ in range(500)) for kind in RouteClass]
    assert dict(zip(RouteClass, let_in, strict=True)) == {"read": 100, "write": 40, "run": 60, "sign-in": 10}


def test_memory_is_bounded_whoever_asks(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_TRACKED", 100)
    one = process(FakeRedis(), clock)
    for number in range(1_000):
        one.take_address(f"10.0.{number // 256}.{number % 256}", RouteClass.READ)
    assert len(one._counts) <= 100


def test_the_headers_say_where_one_stands(clock: Clock) -> None:
    clock.now = 1_004.0
    standing = process(FakeRedis(), clock).take_caller("ann", RouteClass.WRITE)
    assert standing.headers() == (("RateLimit-Policy", '"write";q=20;w=10'), ("RateLimit", '"write";r=19;t=6'))


@pytest.mark.parametrize(
    ("method", "path", "route_class"),
    [
        ("GET", "/api/v1/runs", "read"),
        ("HEAD", "/", "read"),
        ("OPTIONS", "/api/v1/auth/sign-in", "read"),
        ("POST", "/api/v1/runs", "run"),
        ("POST", "/api/v1/runs/01a204d1-6b66-70f7-88b9-613bd60bd39f/retry", "run"),
        ("POST", "/api/v1/runs/01a204d1-6b66-70f7-88b9-613bd60bd39f/cancel", "write"),
        ("POST", "/api/v1/events", "run"),
        ("PUT", "/api/v1/projects/weather/policy", "write"),
        ("POST", "/api/v1/auth/sign-in", "sign-in"),
        ("POST", "/api/v1/auth/whatever-comes", "sign-in"),
        ("POST", "/api/v1/auth/refresh", "write"),
    ],
)
def test_what_a_request_costs_decides_its_class(method: str, path: str, route_class: str) -> None:
    assert class_of({"method": method, "path": path}) == route_class
