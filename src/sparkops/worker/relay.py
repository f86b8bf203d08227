"""The relay: hands the entries of the outbox to the handlers of this process. It goes on beside a worker's loop."""

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import SparkOpsError
from sparkops.core.failpoints import failpoint
from sparkops.engine.context import Engine, Worker
from sparkops.engine.errors import WrongEpoch
from sparkops.engine.outbox import MAX_ATTEMPTS, Batch, Entry, claim_entries, delivered, failed, prune
from sparkops.worker.loop import JITTER

log = structlog.get_logger()

POLL_SECONDS = 1.0
MARGIN_SECONDS = 10.0
"""By how much a lease outlives the handler's time, for recording what became of it."""
PRUNE_SECONDS = 60.0
PRUNE_BATCH = 5_000
MESSAGE_CHARACTERS = 500


class Handler(Protocol):
    """Delivers events for one subscription.

    It may get an entry more than once, and knows it by (run_id, seq). All of a batch counts as delivered when `deliver`
    returns; when it raises, or takes longer than `seconds`, all of it comes again later.
    """

    batch: int
    """How many entries it takes at once; 1 for what cannot deliver several as a whole."""
    seconds: float
    """How long one delivery may take."""

    async def deliver(self, entries: Sequence[Entry]) -> None: ...


class Relay:
    """One task for each handler: one batch after the other. A companion of the worker's loop."""

    def __init__(
        self,
        engine: Engine,
        worker: Worker,
        handlers: Mapping[str, Handler],
        *,
        max_attempts: int = MAX_ATTEMPTS,
        margin_seconds: float = MARGIN_SECONDS,
    ) -> None:
        self._engine = engine
        self._worker = worker
        self._handlers = handlers
        self._max_attempts = max_attempts
        self._margin_seconds = margin_seconds

    async def run(self, draining: asyncio.Event) -> None:
        """Deliver until the worker drains; what is being delivered then is finished within its time."""
        tasks = [self._relay(name, handler, draining) for name, handler in self._handlers.items()]
        await asyncio.gather(*tasks, self._prune(draining))

    async def _relay(self, name: str, handler: Handler, draining: asyncio.Event) -> None:
        while not draining.is_set():
            try:
                if await self._deliver_some(name, handler):
                    continue
            except WrongEpoch:
                return  # the worker's loop finds out, too, and says so
            except LOST_CONNECTION as error:
                # What was delivered and not recorded comes again when its lease has run out.
                log.warning("relay.failed", subscription=name, error=str(error) or type(error).__name__)
            except Exception:  # outermost: a worker whose relay has died would look alive and deliver nothing
                log.exception("relay.broke", subscription=name)
            await _pause(draining, POLL_SECONDS)

    async def _deliver_some(self, name: str, handler: Handler) -> bool:
        """Take a batch, deliver it and record what became of it. Returns whether there was one."""
        lease = timedelta(seconds=handler.seconds + self._margin_seconds)
        batch = await claim_entries(
            self._engine, self._worker, name, limit=handler.batch, lease=lease, max_attempts=self._max_attempts
        )
        _say_dead(name, batch.dead)
        if not batch.entries:
            return False
        failpoint("before_deliver")
        error = await _deliver(handler, batch)
        failpoint("after_deliver")
        if error is None:
            await delivered(self._engine, batch)
            return True
        log.warning("relay.not_delivered", subscription=name, entries=len(batch.entries), error=error["message"])
        _say_dead(name, await failed(self._engine, batch, error, max_attempts=self._max_attempts))
        return True

    async def _prune(self, draining: asyncio.Event) -> None:
        while not draining.is_set():
            try:
                while await prune(self._engine, PRUNE_BATCH) == PRUNE_BATCH:
                    pass
            except (*LOST_CONNECTION, SparkOpsError) as error:
                log.warning("prune.failed", error=str(error) or type(error).__name__)
            except Exception:  # outermost, as above
                log.exception("prune.broke")
            await _pause(draining, PRUNE_SECONDS)


async def _deliver(handler: Handler, batch: Batch) -> Mapping[str, str] | None:
    """Return why it is not known to have arrived, or None."""
    try:
        async with asyncio.timeout(handler.seconds) as limit:
            await handler.deliver(batch.entries)
    except TimeoutError:
        if limit.expired():
            return {"code": "timeout", "message": f"The handler took longer than {handler.seconds:g} s."}
        return {"code": "timeout", "message": "The receiver did not answer in time."}
    except Exception as error:  # a handler is somebody else's code: whatever it raises, the entry is not delivered
        message = f"{type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]
        return {"code": "not-delivered", "message": message}
    return None


def _say_dead(name: str, dead: Sequence[object]) -> None:
    if dead:
        log.error("outbox.dead", subscription=name, entries=[str(entry_id) for entry_id in dead])


async def _pause(draining: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(draining.wait(), seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
