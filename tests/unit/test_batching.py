"""What gathers while one act is in flight shares the next."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from sparkops.core.batching import Batcher


class Slow:
    """Acts on numbers one batch at a time, when it is told to; a negative one is refused, zero breaks the batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Semaphore(0)

    async def act(self, items: Sequence[int]) -> Sequence[int | BaseException]:
        self.batches.append(list(items))
        await self.gate.acquire()
        if 0 in items:
            raise ZeroDivisionError
        return [ValueError(item) if item < 0 else item * 10 for item in items]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)


def begin(batcher: Batcher[int, int], *items: int, lane: str | None = None) -> list["asyncio.Task[int]"]:
    return [asyncio.create_task(batcher.add(item, lane=lane)) for item in items]


async def test_what_comes_while_one_batch_is_out_goes_together_as_many_as_fit() -> None:
    slow = Slow()
    batcher = Batcher(slow.act, limit=3)
    first = begin(batcher, 1)
    await until(lambda: slow.batches == [[1]])
    rest = begin(batcher, 2, 3, 4, 5)
    for _ in range(3):
        slow.gate.release()
    assert await asyncio.gather(*first, *rest) == [10, 20, 30, 40, 50]
    assert slow.batches == [[1], [2, 3, 4], [5]]


async def test_one_that_is_refused_and_a_batch_that_breaks_are_told_to_those_whose_they_are() -> None:
    slow = Slow()
    batcher = Batcher(slow.act, limit=2)
    told = begin(batcher, 1, -2, 3, 0, 5)
    for _ in range(3):
        slow.gate.release()
    answers = await asyncio.gather(*told, return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, ValueError, ZeroDivisionError, ZeroDivisionError, int]


async def test_lanes_do_not_wait_for_each_other() -> None:
    slow = Slow()
    batcher = Batcher(slow.act, limit=3)
    here = begin(batcher, 1, lane="a")
    await until(lambda: slow.batches == [[1]])
    there = begin(batcher, 2, lane="b")
    await until(lambda: slow.batches == [[1], [2]])
    slow.gate.release()
    slow.gate.release()
    assert await asyncio.gather(*here, *there) == [10, 20]


async def test_who_gives_up_before_the_batch_begins_is_not_in_it() -> None:
    slow = Slow()
    batcher = Batcher(slow.act, limit=3)
    (first,) = begin(batcher, 1)
    await until(lambda: slow.batches == [[1]])
    second, third = begin(batcher, 2, 3)
    await asyncio.sleep(0)
    second.cancel()
    slow.gate.release()
    slow.gate.release()
    assert (await first, await third) == (10, 30)
    assert slow.batches == [[1], [3]]
    with pytest.raises(asyncio.CancelledError):
        await second
