"""The transactions that are let loose on each other. A new transaction is one entry of `TRANSACTIONS`.

Here stand those of workers, of who looks after them, and of people; in `control.py`, `dynamic.py`, `clearing.py` and
`keeping.py` the others.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sparkops.core.ids import new_id
from sparkops.core.json import digest
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.accept import accept_run
from sparkops.engine.advance import advance_run
from sparkops.engine.answer import answer_approval, discuss, reassign
from sparkops.engine.cancel import cancel_run
from sparkops.engine.claim import claim, heartbeat
from sparkops.engine.complete import Ahead, Ended, complete, end_attempt
from sparkops.engine.context import Engine, call
from sparkops.engine.effects import judge_step, record
from sparkops.engine.errors import Fenced
from sparkops.engine.wait import ask
from tests.crash.interleavings.cases import COST, Case, question, stand_in
from tests.crash.interleavings.clearing import CLEARING
from tests.crash.interleavings.control import CONTROL
from tests.crash.interleavings.dynamic import DYNAMIC
from tests.crash.interleavings.keeping import KEEPING
from tests.crash.interleavings.transaction import Transaction, was_cancelled
from tests.engine.acts import prepared, result

# Workers


async def _claim(engine: Engine, case: Case) -> int:
    return len(await claim(engine, case.second, limit=3))


async def _heartbeat(engine: Engine, case: Case) -> int:
    leases = [case.claims[key].lease for key in ("held", "asking", "new")]
    return len((await heartbeat(engine, case.first, leases)).kept)


async def _prepare(engine: Engine, case: Case) -> Any:
    return (await prepared(engine, case.held, case.proposal(2)))[0]


async def _prepare_next(engine: Engine, case: Case) -> Any:
    """What `held` has out has come back, and is recorded with what it does next."""
    return (await prepared(engine, case.held, case.proposal(2), results=[_outcome(case)]))[0]


async def _another_run(case: Case) -> None:
    if case.beside is None:
        run_id = await case.world.run("below")
        await case.world.sql("UPDATE steps SET queue = $2 WHERE run_id = $1", run_id, str(run_id))
        (case.beside,) = await case.claim_from(str(run_id), 1)


async def _prepare_together(engine: Engine, case: Case) -> list[Any]:
    """Steps of two runs share a transaction, as they do where their turns gather in a worker. Rules that changed
    meanwhile are asked again, as workers do; nothing is written before that."""
    assert case.beside is not None, "made ready before"
    while True:
        stamp = await case.stamp()
        turns = [
            {**held.lease.to_json(), "policy_version": stamp, "again": False, "sent_before": None, "calls": [one]}
            for held, one in ((case.held, case.proposal(2)), (case.beside, case.proposal(1)))
        ]
        answers = (await call(engine.database.pool, "prepare", turns))["answers"]
        if not any("policy_version" in each for each in answers):
            return [verdict for each in answers for verdict in each["verdicts"]]


async def _send_both(case: Case, verdicts: Sequence[Any]) -> None:
    for verdict in verdicts:
        await _send(case, verdict)


async def _calls_exist(case: Case, verdicts: Sequence[Any]) -> str | None:
    wrong = [await _call_exists(case, verdict) for verdict in verdicts]
    return next(filter(None, wrong), None)


async def _went_on(case: Case, verdict: Any) -> str | None:
    return await _call_exists(case, verdict) or await _is_recorded(case, verdict)


async def _send(case: Case, verdict: Any) -> None:
    if verdict["verdict"] == "send":
        case.sent[verdict["call_id"]] += 1


async def _call_exists(case: Case, verdict: Any) -> str | None:
    found = await case.value("SELECT count(*) FROM calls WHERE id = $1::text::uuid", verdict["call_id"])
    return None if found == 1 else "a prepared call is not on record"


def _outcome(case: Case) -> dict[str, Any]:
    return result(case.call_id, cost=COST)


async def _record(engine: Engine, case: Case) -> None:
    await record(engine, case.held.lease, [_outcome(case)])


async def _is_recorded(case: Case, said: Any) -> str | None:
    status = await case.value("SELECT status FROM calls WHERE id = $1::text::uuid", case.call_id)
    return None if status == "done" else f"a recorded call is {status}"


def _ended(case: Case) -> Ended:
    return Ended(case.held, StepStatus.SUCCEEDED, output={"by": "first"}, results=[_outcome(case)])


async def _complete(engine: Engine, case: Case) -> None:
    done = await complete(engine, case.first, [_ended(case)], claim=1)
    if case.held.lease.step_id not in done.closed:
        raise Fenced("taken over")


def _noted(case: Case, seq: int) -> dict[str, Any]:
    """A call that stayed in its process."""
    return {**case.proposal(seq), "status": "done", "response": {"seq": seq}, "error": None, "seconds": 0.001}


async def _complete_ahead(engine: Engine, case: Case) -> None:
    """`after`, which needs only `held`, was run in memory while `held` was."""
    ahead = Ahead("after", {"by": "first"}, [_noted(case, 1)], 0.001)
    ended = replace(_ended(case), noted=[_noted(case, 3)], policy_version=await case.stamp(), ahead=[ahead])
    done = await complete(engine, case.first, [ended], claim=1)
    if case.held.lease.step_id not in done.closed:
        raise Fenced("taken over, or to be judged anew")


async def _finish(engine: Engine, case: Case) -> None:
    await end_attempt(engine, case.first, _ended(case), claim=1)


async def _has_result(case: Case, said: Any) -> str | None:
    row = await _held_row(case)
    if row["status"] == "succeeded" and row["output"] == {"by": "first"}:
        return None
    return None if await was_cancelled(case) else f"a completed step is {row['status']} with {row['output']}"


async def _fail(engine: Engine, case: Case) -> None:
    error = {"code": "broken", "message": "it is broken"}
    await end_attempt(engine, case.first, Ended(case.held, StepStatus.FAILED, error=error), claim=0)


async def _has_failed(case: Case, said: Any) -> str | None:
    status = (await _held_row(case))["status"]
    if case.effect_class == "unsafe" or await was_cancelled(case):
        return None  # then an effect that nobody knows about decides
    return None if status == "failed" else f"a failed step is {status}"


async def _retry(engine: Engine, case: Case) -> None:
    error = {"code": "broken", "message": "it is broken"}
    await end_attempt(engine, case.first, Ended(case.held, StepStatus.READY, error=error), claim=0)


async def _failure_counts(case: Case, said: Any) -> str | None:
    failures = (await _held_row(case))["failures"]
    return None if failures == 1 else f"one failed attempt counts as {failures}"


async def _ask(engine: Engine, case: Case) -> Any:
    held = case.claims["new"]
    return await ask(engine, held, question(held))


async def _judge(engine: Engine, case: Case) -> Any:
    """A rule asks for consent before a step starts that has just been claimed; later there is no such rule any more."""
    asked = {"start": "nap", "type": "wait"}
    decision = {"subject": "step.start", "outcome": "require_approval", "rule": "look", "facts": {}}
    question = {"request": asked, "request_hash": digest(asked), "title": "may I", "approval_seconds": 3600}
    judged = {**decision, **question, "approval_id": str(new_id()), "policy_version": await case.stamp()}
    return await judge_step(engine, case.claims["nap"].lease, judged)


async def _wait(engine: Engine, case: Case) -> Any:
    wanted = {"kind": "approval", "approvals": [str(case.questions["asking"])]}
    return await call(engine.database.pool, "wait", {**case.claims["asking"].lease.to_json(), "for": wanted})


async def _advance_cancelled(case: Case, said: Any) -> None:
    if said["status"] == "cancelled":
        await advance_run(case.world.engine, case.run_id)


# Those who look after workers


async def _release(engine: Engine, case: Case) -> Any:
    return await call(engine.database.pool, "give_back_each", case.first.session_id, True, 100)


async def _reap(engine: Engine, case: Case) -> Any:
    return await call(engine.database.pool, "give_back_each", None, True, 100)


async def _advance_all(case: Case, said: Any) -> None:
    for run_id in set(said["runs"]):
        await advance_run(case.world.engine, UUID(run_id))


async def _lapse(case: Case) -> None:
    await case.sql("UPDATE steps SET lease_expires_at = '-infinity' WHERE run_id = $1 AND status = 'running'")


async def _expire(engine: Engine, case: Case) -> None:
    await call(engine.database.pool, "expire_approvals", 100)


async def _too_late(case: Case) -> None:
    await case.sql(
        "UPDATE approvals SET expires_at = clock_timestamp() "
        "WHERE run_id = $1 OR run_id IN (SELECT id FROM runs WHERE parent_run_id = $1)"
    )


async def _advance(engine: Engine, case: Case) -> None:
    await advance_run(engine, case.run_id)


async def _miss_an_advance(case: Case) -> None:
    """As if somebody had died between giving `free` up and advancing: it has failed, nobody skipped `last`."""
    await case.sql(
        "WITH a AS (UPDATE steps SET status = 'running', attempt = 1, claim_token = gen_random_uuid(), "
        "lease_expires_at = '-infinity' WHERE run_id = $1 AND node_key = 'free' RETURNING *) "
        "INSERT INTO step_attempts (run_id, step_id, attempt, project_id, claim_token, worker_session, started_at) "
        "SELECT run_id, id, attempt, project_id, claim_token, gen_random_uuid(), clock_timestamp() FROM a"
    )
    await case.sql(
        "WITH a AS (UPDATE steps SET status = 'failed', claim_token = NULL, lease_expires_at = NULL, "
        "finished_at = clock_timestamp() WHERE run_id = $1 AND node_key = 'free' RETURNING *) "
        "UPDATE step_attempts t SET ended_at = clock_timestamp(), outcome = 'failed' FROM a "
        "WHERE t.run_id = a.run_id AND t.step_id = a.id"
    )


async def _heirs_know(case: Case, said: Any) -> str | None:
    status = await case.value("SELECT status FROM steps WHERE run_id = $1 AND node_key = 'last'", case.run_id)
    return None if status in ("skipped", "cancelled") else f"after a failure what needs it is {status}"


# People


async def _answer(engine: Engine, case: Case, *, approve: bool) -> None:
    question = case.questions["asks"]
    await answer_approval(engine, case.world.ben, question, approve=approve, comment=None)


async def _yes(engine: Engine, case: Case) -> None:
    await _answer(engine, case, approve=True)


async def _no(engine: Engine, case: Case) -> None:
    await _answer(engine, case, approve=False)


def _answered(*statuses: str) -> Callable[[Case, Any], Awaitable[str | None]]:
    async def kept(case: Case, said: Any) -> str | None:
        status = await case.value("SELECT status FROM approvals WHERE id = $1", case.questions["asks"])
        error = await case.value("SELECT error ->> 'code' FROM steps WHERE run_id = $1 AND path = 'asks'", case.run_id)
        too_late = error == "deadline" or await was_cancelled(case)
        allowed = (*statuses, "withdrawn") if too_late else statuses
        return None if status in allowed else f"an answered question is {status}"

    return kept


async def _escalate(engine: Engine, case: Case) -> None:
    await call(engine.database.pool, "escalate_approvals", 100)


async def _too_long(case: Case) -> None:
    await case.sql("UPDATE approvals SET escalate_at = clock_timestamp() WHERE run_id = $1")


async def _remind(engine: Engine, case: Case) -> None:
    await call(engine.database.pool, "remind_approvals", 100)


async def _half_over(case: Case) -> None:
    await case.sql(
        "UPDATE approvals SET requested_at = clock_timestamp() - (expires_at - clock_timestamp()) WHERE run_id = $1"
    )


async def _discuss(engine: Engine, case: Case) -> UUID:
    return await discuss(engine, case.world.ben, case.questions["asks"], "Which one?")


async def _reassign(engine: Engine, case: Case) -> None:
    await reassign(engine, case.world.ben, case.questions["asks"], to=stand_in(case.world).email)


async def _was_given(case: Case, said: None) -> str | None:
    query = "SELECT count(*) FROM approvals WHERE id = $1 AND jsonb_array_length(reassigned) = 1"
    found = await case.value(query, case.questions["asks"])
    return None if found == 1 else "a voice that was given away is back"


async def _was_said(case: Case, said: UUID) -> str | None:
    found = await case.value("SELECT count(*) FROM approval_messages WHERE id = $1", said)
    return None if found == 1 else "a message that was sent is gone"


async def _cancel(engine: Engine, case: Case) -> None:
    await cancel_run(engine, case.world.ada, case.run_id)


async def _is_cancelled(case: Case, said: Any) -> str | None:
    status = await case.world.status(case.run_id)
    return None if status == "cancelled" else f"a cancelled run is {status}"


async def _accept(engine: Engine, case: Case) -> UUID:
    return (await accept_run(engine, case.world.ada, case.request())).run_id


async def _is_that_run(case: Case, said: UUID) -> str | None:
    found = await case.value("SELECT id FROM runs WHERE idem_key = $1", case.key)
    return None if found == said else f"accepted {said}, found {found}"


async def _held_row(case: Case) -> Any:
    query = "SELECT status, output, failures FROM steps WHERE id = $1"
    return await case.world.database.pool.fetchrow(query, case.held.lease.step_id)


TRANSACTIONS: Sequence[Transaction] = (
    Transaction("CLAIM", _claim, repeats=True),
    Transaction("HEARTBEAT", _heartbeat, repeats=True),
    Transaction("PREPARE", _prepare, repeats=False, then=_send, kept=_call_exists),
    Transaction("PREPARE NEXT", _prepare_next, repeats=False, then=_send, kept=_went_on),
    Transaction(
        "PREPARE TOGETHER", _prepare_together, repeats=False, then=_send_both, kept=_calls_exist, ready=_another_run
    ),
    Transaction("RECORD", _record, repeats=False, kept=_is_recorded),
    Transaction("COMPLETE", _complete, repeats=True, kept=_has_result),
    Transaction("AHEAD", _complete_ahead, repeats=True, kept=_has_result),
    Transaction("FINISH", _finish, repeats=True, kept=_has_result),
    Transaction("FAIL", _fail, repeats=True, kept=_has_failed),
    Transaction("RETRY", _retry, repeats=True, kept=_failure_counts),
    Transaction("ASK", _ask, repeats=False),
    Transaction("JUDGE", _judge, repeats=False),
    Transaction("WAIT", _wait, repeats=False, then=_advance_cancelled),
    Transaction("RELEASE", _release, repeats=False, then=_advance_all),
    Transaction("REAP", _reap, repeats=True, then=_advance_all, ready=_lapse),
    Transaction("EXPIRE", _expire, repeats=True, ready=_too_late),
    Transaction("ADVANCE", _advance, repeats=True, ready=_miss_an_advance, kept=_heirs_know),
    Transaction("YES", _yes, repeats=True, kept=_answered("approved", "consumed", "expired")),
    Transaction("NO", _no, repeats=True, kept=_answered("rejected")),
    Transaction("ESCALATE", _escalate, repeats=True, ready=_too_long),
    Transaction("REMIND", _remind, repeats=True, ready=_half_over),
    Transaction("DISCUSS", _discuss, repeats=False, kept=_was_said),
    Transaction("REASSIGN", _reassign, repeats=False, kept=_was_given),
    Transaction("CANCEL", _cancel, repeats=True, kept=_is_cancelled),
    Transaction("ACCEPT", _accept, repeats=True, kept=_is_that_run),
    *CONTROL,
    *DYNAMIC,
    *CLEARING,
    *KEEPING,
)
