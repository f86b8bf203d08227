"""Natural batching: what gathers while one act is in flight shares the next. No window, so nothing waits in vain."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Act = Callable[[Sequence[T]], Awaitable[Sequence[R | BaseException]]]
"""Acts on several items at once and says for each, in order, what came of it or what to raise."""


class Batcher(Generic[T, R]):
    """Hands items to `act`, up to `limit` at a time, one batch after the other. For one event loop."""

    def __init__(self, act: Act[T, R], *, limit: int) -> None:
        self._act = act
        self._limit = limit
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def add(self, item: T) -> R:
        """Return what the act says of this item.

        Raises:
            Exception: what the act says of it, or what the act itself raised for the whole batch.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await future

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
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
