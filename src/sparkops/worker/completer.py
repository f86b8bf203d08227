"""Natural batching: the ends that gather while one commit is in flight share the next."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from sparkops.engine.claim import Claim
from sparkops.engine.complete import Completion, Ended, complete
from sparkops.engine.context import Engine, Worker
from sparkops.engine.errors import Fenced

log = structlog.get_logger()

MAX_BATCH = 200


class Completer:
    """Records ends that the database can apply alone. One transaction is in flight at a time."""

    def __init__(self, engine: Engine, worker: Worker, room: Callable[[int], int]) -> None:
        self._engine = engine
        self._worker = worker
        self._room = room
        self._waiting: list[tuple[Ended, asyncio.Future[Sequence[Claim]]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def add(self, ended: Ended) -> Sequence[Claim]:
        """Record one end and return the steps that this process has next.

        Raises:
            Fenced: another attempt has the step.
            asyncpg.PostgresError, OSError: the outcome is unknown; adding it again finds out.
        """
        future: asyncio.Future[Sequence[Claim]] = asyncio.get_running_loop().create_future()
        self._waiting.append((ended, future))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await future

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            ends = [ended for ended, _ in batch]
            try:
                done = await complete(self._engine, self._worker, ends, claim=self._room(len(ends)))
            except Exception as error:  # whatever it is: nobody may wait for an end that is never told
                _refuse(batch, error)
            else:
                _deliver(batch, done)


Batch = Sequence[tuple[Ended, "asyncio.Future[Sequence[Claim]]"]]


def _refuse(batch: Batch, error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


def _deliver(batch: Batch, done: Completion) -> None:
    """Tell each end what became of it; the first that is recorded takes all the steps that come next."""
    claims: Sequence[Claim] = done.claims
    for ended, future in batch:
        if ended.claim.lease.step_id not in done.closed:
            if not future.done():
                future.set_exception(Fenced(f"Step {ended.claim.key} was taken over."))
        elif not future.done():
            future.set_result(claims)
            claims = ()
    if claims:
        log.error("claims.orphaned", count=len(claims))
