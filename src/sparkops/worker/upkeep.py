"""What workers do for tidiness beside their claims: remove projects, keep what is to be kept, prune records
that are over, collect objects."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from sparkops.core.blobs import Blobs
from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import SparkOpsError
from sparkops.engine.chores import claim_chore, end_chore, hold_chore
from sparkops.engine.collection import Collector
from sparkops.engine.context import Engine
from sparkops.engine.records import KEPT, prune
from sparkops.engine.removal import claim_removal, end_removal, remove_some
from sparkops.engine.retention import retain
from sparkops.worker.loop import JITTER

log = structlog.get_logger()

LOOK_SECONDS: Final = 10.0
RECORDS_EVERY: Final = timedelta(hours=1)
RETENTION_EVERY: Final = timedelta(minutes=15)
COLLECTION_EVERY: Final = timedelta(hours=6)
LEASE: Final = timedelta(minutes=10)
"""Of a chore; renewed between two batches, which take far less."""


class Upkeep:
    """A companion of the worker's loop. Several at once divide the chores among them."""

    def __init__(
        self,
        engine: Engine,
        blobs: Blobs,
        *,
        grace: timedelta,
        kept: Mapping[str, timedelta] = KEPT,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._engine = engine
        self._kept = kept
        self._blobs = blobs
        self._grace = grace
        self._look_seconds = look_seconds

    async def run(self, draining: asyncio.Event) -> None:
        """Look for chores until the worker drains; one that goes on then is left to others after its next batch."""
        while not draining.is_set():
            for act in (self._remove, self._retain, self._prune, self._collect):
                try:
                    await act(draining)
                except (*LOST_CONNECTION, SparkOpsError) as error:
                    log.warning(f"{act.__name__.strip('_')}.failed", error=str(error) or type(error).__name__)
                except Exception:  # outermost: a worker whose upkeep has died would look alive and remove nothing
                    log.exception(f"{act.__name__.strip('_')}.broke")
            await _pause(draining, self._look_seconds)

    async def _remove(self, draining: asyncio.Event) -> None:
        """Remove what is left of projects whose deletion is due."""
        while not draining.is_set() and (removal := await claim_removal(self._engine)) is not None:
            log.warning("deletion.goes_on", project_id=str(removal.project_id))
            while not draining.is_set():
                state = await remove_some(self._engine, removal)
                if state == "waits":
                    await _pause(draining, 1.0)
                elif state == "empty" and await end_removal(self._engine, self._engine.payloads, removal):
                    break

    async def _retain(self, draining: asyncio.Event) -> None:
        """Remove what projects no longer keep."""
        token = await self._claim("retention")
        if token is None:
            return
        found = {"runs": 0, "logs": 0, "values": 0}
        async for what, removed in retain(self._engine):
            found[what] += removed
            if draining.is_set() or not await self._hold("retention", token):
                return
        await self._end("retention", token, RETENTION_EVERY, found)

    async def _prune(self, draining: asyncio.Event) -> None:
        """Remove records that are over."""
        token = await self._claim("records")
        if token is None:
            return
        found = dict.fromkeys(self._kept, 0)
        async for table, removed in prune(self._engine, self._kept):
            found[table] += removed
            if draining.is_set() or not await self._hold("records", token):
                return
        await self._end("records", token, RECORDS_EVERY, found)

    async def _collect(self, draining: asyncio.Event) -> None:
        """Collect objects that nothing refers to."""
        token = await self._claim("collection")
        if token is None:
            return
        collector = Collector(self._engine, self._blobs, self._grace)
        async for _ in collector.run():
            if draining.is_set() or not await self._hold("collection", token):
                return
        done = collector.collected
        found = {
            "looked_at": done.looked_at,
            "set_aside": done.set_aside,
            "put_back": done.put_back,
            "removed": done.removed,
        }
        log.info("collection.done", **found)
        await self._end("collection", token, COLLECTION_EVERY, found)

    async def _claim(self, name: str) -> UUID | None:
        return await claim_chore(self._engine, name, LEASE)

    async def _hold(self, name: str, token: UUID) -> bool:
        return await hold_chore(self._engine, name, token, LEASE)

    async def _end(self, name: str, token: UUID, every: timedelta, found: Mapping[str, int]) -> None:
        await end_chore(self._engine, name, token, every, found)


async def _pause(draining: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(draining.wait(), seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
