"""The worker's loop: claims by free slots, executes hundreds of steps side by side, keeps their leases, sweeps."""

import asyncio
import contextlib
import math
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol
from uuid import UUID

import structlog

from sparkops import __version__
from sparkops.core.db import AWAY, LOST_CONNECTION
from sparkops.core.errors import SparkOpsError, Unavailable
from sparkops.core.failpoints import failpoint
from sparkops.core.leases import HEARTBEATS
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.claim import Claim, claim, heartbeat
from sparkops.engine.complete import Ended, end_attempt
from sparkops.engine.context import Engine, Worker
from sparkops.engine.errors import Fenced, JudgedAnew, WrongEpoch
from sparkops.engine.give_back import release_session
from sparkops.engine.put_back import put_back
from sparkops.engine.sweep import sweep
from sparkops.engine.wake import wake_due
from sparkops.runtime.ahead import run_ahead
from sparkops.runtime.attempt import Runtime, Waiting, execute
from sparkops.runtime.trust import Trust
from sparkops.worker.alarms import Alarms
from sparkops.worker.completer import Completer
from sparkops.worker.slots import Held, Slots, Stop

log = structlog.get_logger()

CLAIM_BATCH = 16
IDLE_POLL_SECONDS = 1.0
SWEEP_SECONDS = 2.0
TRUST_SECONDS = 0.25
"""Between two looks at what is still trusted; a small part of the fifth of a lease that is not (`runtime/trust.py`)."""
PARTITION_SECONDS = 3600.0
"""Months come seldom, and two are made ahead; a worker that lives for long still meets one."""
JITTER = 0.2
WATCHDOG_SECONDS = 20.0
"""A claim takes longer than the database's time limits allow only if this process is broken: see `_beat`."""
COMPANION_SECONDS = 2.0
"""What companions may take to end, beyond the drain's grace."""
RETRY_SECONDS = 0.5
"""Pause after the database did not answer, for what must be written and is safe to repeat."""

_REGISTER = """
INSERT INTO worker_sessions (id, host, pid, queues, slots, code_version, parent_id) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO NOTHING
"""
_UP_SECONDS = "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8"
_MORE_THAN_ONE_PROJECT = "SELECT count(*) > 1 FROM (SELECT 1 FROM projects LIMIT 2) p"


class Companion(Protocol):
    """What goes on beside the claims of a worker."""

    async def run(self, draining: asyncio.Event) -> None:
        """Go on until the worker drains, then end within the drain's grace."""
        ...


async def open_worker(
    engine: Engine, session_id: UUID, queues: Sequence[str], slots: int, *, parent_id: UUID | None = None
) -> Worker:
    """Register this process, so that people see it, and learn the epoch of the database.

    `parent_id`: the session of the worker that started this process for isolated steps.
    """
    pool = engine.database.pool
    epoch: UUID = await pool.fetchval("SELECT epoch FROM system")  # first: no session of a new one is older than it
    place = socket.gethostname(), os.getpid()
    await pool.execute(_REGISTER, session_id, *place, list(queues), slots, __version__, parent_id)
    failpoint("after_register")
    await pool.execute("SELECT ensure_partitions(2)")
    return Worker(session_id, epoch, tuple(queues))


class WorkerLoop:
    """One process's share of the work. `run` returns after `drain`; everything lives on one event loop."""

    def __init__(
        self,
        runtime: Runtime,
        worker: Worker,
        *,
        slots: int,
        drain_seconds: float,
        companions: Sequence[Companion] = (),
        watchdog_seconds: float = WATCHDOG_SECONDS,
    ) -> None:
        self._runtime = runtime
        self._engine = runtime.engine
        self._worker = worker
        self._drain_seconds = drain_seconds
        self._slots = Slots(slots)
        self._completer = Completer(self._engine, worker, self._room)
        self._wake = asyncio.Event()
        self._alarms = Alarms(self._wake_due)
        self._draining = asyncio.Event()
        self._companions = companions
        self._watchdog_seconds = watchdog_seconds
        self._progress = time.monotonic()
        self._away = -math.inf
        """When the database was last known not to answer."""
        self.fenced = 0

    def wake(self) -> None:
        """Look for work now. Call it on the loop's own thread."""
        self._wake.set()

    def drain(self) -> None:
        """Claim nothing more, finish what is quick, give back the rest."""
        self._draining.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until drained. Returns with nothing held."""
        log.info("worker.started", session_id=str(self._worker.session_id), queues=list(self._worker.queues))
        keepers = [
            asyncio.create_task(
                self._every(self._engine.lease.total_seconds() / HEARTBEATS, self._beat), name="heartbeat"
            ),
            asyncio.create_task(self._every(SWEEP_SECONDS, self._sweep), name="sweep"),
            asyncio.create_task(self._every(TRUST_SECONDS, self._end_untrusted), name="trust"),
            asyncio.create_task(self._alarms.run(), name="alarms"),
            asyncio.create_task(self._every(PARTITION_SECONDS, self._make_partitions), name="partitions"),
        ]
        beside = [asyncio.create_task(each.run(self._draining)) for each in self._companions]
        try:
            await self._claim_until_drained()
            self._draining.set()
            await self._finish_or_give_back()
            if beside:
                await asyncio.wait(beside, timeout=self._drain_seconds + COMPANION_SECONDS)
        finally:
            for task in (*keepers, *beside):
                task.cancel()
            await asyncio.wait((*keepers, *beside))
        log.info("worker.stopped", session_id=str(self._worker.session_id), fenced=self.fenced)

    async def _claim_until_drained(self) -> None:
        while not self._draining.is_set():
            self._progress = time.monotonic()
            self._wake.clear()
            try:
                await self._claim_all()
            except WrongEpoch:
                log.error("worker.wrong_epoch", session_id=str(self._worker.session_id))
                return
            except LOST_CONNECTION as error:
                self._note(error)
                log.warning("claim.failed", error=str(error) or type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), IDLE_POLL_SECONDS * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311

    async def _claim_all(self) -> None:
        if self._slots.shared is None:
            await self._look_for_projects()
        while not self._draining.is_set() and (room := min(self._slots.claimable, CLAIM_BATCH)) > 0:
            sent = time.monotonic()
            full = self._slots.full
            with self._slots.promised(room):
                claims = await self._claim(room, full)
            self._progress = time.monotonic()
            self._start(claims, sent)
            if len(claims) < room:
                return

    async def _claim(self, room: int, full: Collection[UUID]) -> Sequence[Claim]:
        return await claim(self._engine, self._worker, limit=room, full=full)

    def _start(self, claims: Sequence[Claim], sent: float) -> None:
        for each in claims:
            held = Held(each, Trust.since(sent, self._engine.lease.total_seconds()))
            self._slots.add(held)
            held.task = asyncio.create_task(self._work(held), name=f"step {each.key}")

    async def _work(self, held: Held) -> None:
        """Execute one attempt and record its end. Whatever happens, the slot is free afterwards."""
        next_claims: Sequence[Claim] = ()
        sent = time.monotonic()
        try:
            while isinstance(ended := await self._execute(held), Ended):
                failpoint("after_execute")
                held.ending = True
                ended = await run_ahead(self._runtime, ended, held.trust)
                sent = time.monotonic()
                try:
                    next_claims = await self._record(held, ended)
                    self._alarms.set(ended.retry_in)
                    break
                except JudgedAnew:
                    held.ending = False
                    self._runtime.policies.forget(held.claim.project_id)
            else:
                self._alarms.set(ended.due_in)
        except Fenced as fenced:
            self.fenced += 1
            lease = held.claim.lease
            log.info("step.fenced", step_id=str(lease.step_id), attempt=lease.attempt, **fenced.members)
        except asyncio.CancelledError:
            log.info("step.dropped", step_id=str(held.claim.lease.step_id), why=held.stop)
            if held.stop is Stop.DRAINED and held.unrecorded:
                await self._put_back(held)
        except Exception:
            # Outermost: the lease runs out, and the reaper gives the step another try.
            log.exception("step.broke", step_id=str(held.claim.lease.step_id))
        finally:
            self._slots.remove(held.claim.lease)
        if next_claims:
            self._start(next_claims, sent)
        else:
            self._wake.set()

    async def _execute(self, held: Held) -> Ended | Waiting:
        held.unrecorded = []
        try:
            return await execute(self._runtime, held.claim, held.trust, held.unrecorded)
        except asyncio.CancelledError:
            if held.stop is not Stop.CANCELLED:
                raise
            error = {"code": "cancelled", "message": "The run was cancelled."}
            return Ended(held.claim, StepStatus.FAILED, error=error, results=held.unrecorded)

    async def _put_back(self, held: Held) -> None:
        """Give a step back with what came of its calls, so that the next attempt does not buy it again.

        Where it cannot be written in time the step is given back without it, like those that have nothing to record.
        """
        try:
            await held.trust.insist(lambda _: put_back(self._engine, held.claim, held.unrecorded, "drained"))
        except (Fenced, *LOST_CONNECTION) as error:  # fenced: its end was being written, and has been
            log.info("step.not_put_back", step_id=str(held.claim.lease.step_id), why=str(error) or type(error).__name__)

    async def _record(self, held: Held, ended: Ended) -> Sequence[Claim]:
        """Write the end of an attempt; while the lease is trusted a lost connection is no reason to give up.

        Raises:
            Fenced: another attempt has the step.
        """
        while True:
            try:
                if ended.mechanical:
                    return await self._completer.add(ended)
                return (
                    await end_attempt(self._engine, self._worker, ended, claim=self._room([ended.claim.project_id]))
                ).claims
            except (*LOST_CONNECTION, Unavailable) as error:  # unavailable: a large value that an expression needs
                if not held.trust.holds():
                    raise Fenced("The lease ran out while the database did not answer.", where="trust") from error
                log.warning("complete.failed", step_id=str(held.claim.lease.step_id), error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    def _room(self, ending: Sequence[UUID]) -> int:
        """How many steps may be taken on when steps of these projects end; none while this process drains."""
        return 0 if self._draining.is_set() else self._slots.room_after(ending)

    async def _beat(self) -> None:
        """Keep the leases; but a process whose claims stand still must not look alive: its steps go to others."""
        stood_still = time.monotonic() - self._progress
        if stood_still > self._watchdog_seconds and not self._draining.is_set():
            log.error("worker.stuck", session_id=str(self._worker.session_id), seconds=round(stood_still))
            return
        held = self._slots.all()
        sent = time.monotonic()
        answer = await heartbeat(self._engine, self._worker, [each.claim.lease for each in held])
        for each in held:
            step_id = each.claim.lease.step_id
            if step_id not in answer.kept:
                each.end(Stop.LOST)
                continue
            if step_id in answer.extended:
                each.trust.renew(sent, self._engine.lease.total_seconds())
            if step_id in answer.cancel:
                each.end(Stop.CANCELLED)

    async def _sweep(self) -> None:
        there = min(time.monotonic() - self._away, await self._engine.database.pool.fetchval(_UP_SECONDS))
        swept = await sweep(self._engine, self._worker.queues, crashed=there > self._engine.lease.total_seconds())
        await self._look_for_projects()
        if swept.reaped or swept.repaired:
            log.info("sweep.found", reaped=swept.reaped, repaired=swept.repaired)

    def _note(self, error: Exception) -> None:
        """Remember that the database was away. For a whole lease after that a lease that runs out says nothing about
        its worker, which could not keep it: the step goes on with another, and no death is held against it."""
        if isinstance(error, AWAY):
            self._away = time.monotonic()

    async def _end_untrusted(self) -> None:
        """Break off what is not known to be ours any more. A task of its own that needs no database: leases run out
        above all where the database cannot be reached, and neither heartbeat nor sweep comes to its end then."""
        for each in self._slots.all():
            if not each.trust.holds():
                each.end(Stop.LOST)

    async def _wake_due(self) -> None:
        """A wait or a pause before a retry is over."""
        with contextlib.suppress(*LOST_CONNECTION):
            await wake_due(self._engine)
        self._wake.set()

    async def _look_for_projects(self) -> None:
        self._slots.shared = await self._engine.database.pool.fetchval(_MORE_THAN_ONE_PROJECT)

    async def _make_partitions(self) -> None:
        await self._engine.database.pool.execute("SELECT ensure_partitions(2)")

    async def _every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds * random.uniform(1 - JITTER, 1))  # noqa: S311 -- jitter, not a secret
            try:
                await act()
            except (*LOST_CONNECTION, SparkOpsError) as error:
                self._note(error)
                log.warning(f"{act.__name__.strip('_')}.failed", error=str(error) or type(error).__name__)
            except Exception:  # outermost: a worker without its heartbeat or its sweep would look alive and be none
                log.exception(f"{act.__name__.strip('_')}.broke")

    async def _finish_or_give_back(self) -> None:
        """Let running steps end within the grace, then give the rest back without blaming anybody."""
        tasks = [each.task for each in self._slots.all() if each.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=self._drain_seconds)
        for each in self._slots.all():
            each.end(Stop.DRAINED)
        rest = [task for task in tasks if not task.done()]
        if rest:
            await asyncio.wait(rest, timeout=1)
        failpoint("before_release")
        with contextlib.suppress(*LOST_CONNECTION):
            await release_session(self._engine, self._worker.session_id, crashed=False)
