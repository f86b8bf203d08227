"""Natural batching: what gathers while one act is in flight shares the next. No window, so nothing waits in vain."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Act = Callable[[Sequence[T]], Awaitable[Sequence[R | BaseException]]]
"""Acts on several items at once and says for each, in order, what came of it or what to raise."""


class Batcher(Generic[T, R]):
    """Hands items to `act`, up to `limit` at a time, one batch after the other. For one event loop.

    Items of one lane share batches and wait for each other; lanes know nothing of one another.
    """

    def __init__(self, act: Act[T, R], *, limit: int) -> None:
        self._act = act
        self._limit = limit
        self._waiting: dict[Hashable, list[tuple[T, asyncio.Future[R]]]] = {}
        self._flushing: set[asyncio.Task[None]] = set()

    async def add(self, item: T, *, lane: Hashable = None) -> R:
        """Return what the act says of this item. Whoever gives up before its batch begins takes it back.

        Raises:
            Exception: what the act says of it, or what the act itself raised for the whole batch.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(lane)
        if waiting is not None:
            waiting.append((item, future))
        else:
            self._waiting[lane] = [(item, future)]
            flushing = asyncio.create_task(self._flush(lane))
            self._flushing.add(flushing)
            flushing.add_done_callback(self._flushing.discard)
        return await future

    async def _flush(self, lane: Hashable) -> None:
        waiting = self._waiting[lane]
        try:
            while waiting:
                batch = [each for each in waiting[: self._limit] if not each[1].done()]
                del waiting[: self._limit]
                if batch:
                    await self._act_on(batch)
        finally:
            del self._waiting[lane]
            for _, future in waiting:
                future.cancel()

    async def _act_on(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        results: Sequence[R | BaseException]
        try:
            results = await self._act([item for item, _ in batch])
        except Exception as error:  # it is the caller's of every item
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
