"""Drives runs to their end with direct calls: a worker in miniature that finds everything in the database."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any
from uuid import UUID

from sparkops.domains.runs.state import StepStatus
from sparkops.engine.advance import advance_run
from sparkops.engine.answer import AlreadyAnswered, ApprovalClosed, NotAnApprover, answer_approval
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import Claim
from sparkops.engine.complete import Ended, complete, end_attempt
from sparkops.engine.context import Worker
from sparkops.engine.effects import record
from sparkops.engine.pause import NotResumable, resume_run
from sparkops.engine.sweep import sweep
from sparkops.engine.wait import ask, wait_for_approvals
from sparkops.runtime.attempt import execute
from sparkops.runtime.trust import Trust
from tests.crash.interleavings.cases import COST, Case, question, second_approver, stand_in
from tests.engine.acts import govern, prepared, result
from tests.engine.conftest import World

ROUNDS = 40
"""More than a run of seven steps takes, each of which may have been lost a few times."""
PATIENT_ROUNDS = 8
"""So many rounds nothing but what was awaited wakes a step."""
_LATER = """
UPDATE steps SET started_at = clock_timestamp() - interval '1 day', wake_at = clock_timestamp() - interval '1 hour'
 WHERE status = 'waiting' AND wake_at IS NOT NULL
"""
_CALLS = {"held": 2, "work": 1}
"""How many calls a step does, those of the cases and of the runs beside them."""
_OPEN = "SELECT id, status FROM runs WHERE finished_at IS NULL"


async def finish(world: World, cases: dict[UUID, Case]) -> None:
    """Let leases lapse, questions be answered and workers work until every run has ended.

    A run that can only go on after a person has looked at a lost effect is cancelled.
    """
    worker = await world.worker()
    beside = {case.beside.run_id: case for case in cases.values() if case.beside}
    for round_no in range(ROUNDS):
        await world.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE status = 'running'")
        await world.sql("UPDATE steps SET queue = 'run', not_before = '-infinity' WHERE status IN ('ready', 'pending')")
        await govern(world)
        while (await sweep(world.engine, ("run",))).reaped:
            pass
        runs = await world.database.pool.fetch(_OPEN)
        if not runs:
            return
        if round_no >= PATIENT_ROUNDS:
            await world.sql(_LATER)
        for run in runs:
            if run["status"] == "paused":
                with suppress(NotResumable):  # another one of these runs was the parent, and has taken it along
                    await resume_run(world.engine, world.ada, run["id"])
            if run["status"] == "attention" or run["status"] == "cancelling":
                await cancel_run(world.engine, world.ada, run["id"])
        await _answer_all(world)
        await _work(world, worker, cases | beside)
    raise AssertionError(f"{len(runs)} runs do not end, such as {[dict(run) for run in runs[:3]]}")


async def _answer_all(world: World) -> None:
    for row in await world.database.pool.fetch("SELECT id FROM approvals WHERE status = 'pending'"):
        for person in (world.ben, second_approver(world), stand_in(world)):
            with suppress(AlreadyAnswered, ApprovalClosed, NotAnApprover):  # or they have given their voice away
                await answer_approval(world.engine, person, row["id"], approve=True, comment=None)


async def _work(world: World, worker: Worker, cases: Mapping[UUID, Case]) -> None:
    while claims := await world.claims(worker, 50):
        ended = [end for held in claims if (end := await _execute(world, held, cases.get(held.run_id)))]
        await complete(world.engine, worker, [end for end in ended if end.mechanical], claim=0)
        for end in ended:
            if not end.mechanical:
                await end_attempt(world.engine, worker, end, claim=0)


async def _execute(world: World, held: Claim, case: Case | None) -> Ended | None:
    if held.type == "approval":
        return await _approval(world, held)
    if held.type in ("map", "workflow", "wait"):
        done = await execute(world.runtime(), held, Trust.since(monotonic(), 60))
        return done if isinstance(done, Ended) else None
    if case is not None and held.key == "spare" and "spare" in case.questions:
        # What it asked about is not done, whatever the answer: its question is withdrawn with it.
        return Ended(held, StepStatus.FAILED, error={"code": "given-up", "message": "nobody does it"})
    calls = _CALLS.get(held.key, 0) if case is not None else 0
    for seq in range(1, calls + 1):
        assert case is not None
        if not await _call(world, held, case, seq):
            return None
    return Ended(held, StepStatus.SUCCEEDED, output={"by": "driver"})


async def _approval(world: World, held: Claim) -> Ended | None:
    answer = await ask(world.engine, held, question(held))
    if answer["status"] == "pending":
        await wait_for_approvals(world.engine, held, [UUID(answer["approval_id"])])
        return None
    status = StepStatus.SUCCEEDED if answer["status"] == "approved" else StepStatus.FAILED
    return Ended(held, status, output={"is": answer["status"]}, error={"code": answer["status"]})


async def _call(world: World, held: Claim, case: Case, seq: int) -> bool:
    """Take one call through the gate; False if the step may not go on."""
    (verdict,) = await prepared(world, held, case.proposal(seq))
    if verdict["verdict"] == "uncertain":
        await advance_run(world.engine, held.run_id)
        return False
    if verdict["verdict"] == "send":
        case.sent[verdict["call_id"]] += 1
        await record(world.engine, held.lease, [result(verdict["call_id"], cost=COST)])
    return True


Kept = Mapping[str, Callable[[Case, Any], Awaitable[str | None]]]
"""By caller, what checks that the answer it saw has stayed true."""


async def wrong(case: Case, kept: Kept) -> list[str]:
    """Return what turned out otherwise than somebody was told, and effects that happened too often."""
    found = []
    for who, said in case.said.items():
        if broken := await kept[who](case, said):
            found.append(f"{case.name}: {who} was told otherwise: {broken}")
    runs = [case.run_id] + ([case.beside.run_id] if case.beside else [])
    rows = await case.world.database.pool.fetch("SELECT id, sends FROM calls WHERE run_id = ANY ($1)", runs)
    sends = {str(row["id"]): row["sends"] for row in rows}
    for call_id, times in case.sent.items():
        allowed = 1 if case.effect_class == "unsafe" else sends.get(call_id, 0)
        if times > allowed:
            found.append(f"{case.name}: a call left {times} times, on record {sends.get(call_id)}")
    return found
