"""The sealer: seals what has come to the audit trail about a second after it was committed. Every worker has one."""

import asyncio
import contextlib
import random
from pathlib import Path

import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import SparkOpsError
from sparkops.domains.audit.roots import add_roots, last_root
from sparkops.domains.audit.seals import SealKeys
from sparkops.engine.context import Engine
from sparkops.engine.seals import BATCH, anchors_after, seal_some
from sparkops.worker.loop import JITTER

log = structlog.get_logger()

POLL_SECONDS = 1.0


class Sealer:
    """A companion of the worker's loop. Each seal is logged, and its root added to a file if one is named: who reads
    either has something to compare the database with."""

    def __init__(self, engine: Engine, keys: SealKeys | None, roots: Path | None) -> None:
        self._engine = engine
        self._keys = keys
        self._roots = roots

    async def run(self, draining: asyncio.Event) -> None:
        """Seal until the worker drains; without a key, say so once."""
        if self._keys is None:
            log.warning("audit.unsealed", reason="SPARKOPS_AUDIT_KEY is not set")
            return
        while not draining.is_set():
            try:
                await self._seal(self._keys, draining)
            except (*LOST_CONNECTION, SparkOpsError) as error:
                log.warning("seal.failed", error=str(error) or type(error).__name__)
            except Exception:  # outermost: a worker whose sealer has died would look alive and seal nothing
                log.exception("seal.broke")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(draining.wait(), POLL_SECONDS * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311

    async def _seal(self, keys: SealKeys, draining: asyncio.Event) -> None:
        sealed = None
        while not draining.is_set() and (anchor := await seal_some(self._engine, keys, BATCH)) is not None:
            log.info("audit.sealed", number=anchor.number, lines=anchor.lines, root=anchor.root, mac=anchor.mac)
            sealed = anchor
        if sealed is not None and self._roots is not None:
            await self._keep(self._roots)

    async def _keep(self, path: Path) -> None:
        """Add the roots that the file lacks: also those that another worker sealed, and died before it kept them."""
        while anchors := await anchors_after(self._engine, await asyncio.to_thread(last_root, path)):
            if not await asyncio.to_thread(add_roots, path, anchors):
                return
