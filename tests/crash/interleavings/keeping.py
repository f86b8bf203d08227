"""Transactions of what is kept and removed: seals, secrets, deletions, retention; and of consent by several people."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from sparkops.core.errors import NotFound, SparkOpsError
from sparkops.core.ids import new_id
from sparkops.core.json import as_part, dumps
from sparkops.domains.audit.seals import Anchor, SealKeys
from sparkops.domains.identity.models import Membership
from sparkops.domains.policies.models import PolicyStamp
from sparkops.domains.projects.models import Project
from sparkops.domains.secrets.reference import Reference
from sparkops.engine.answer import Edit, answer_approval
from sparkops.engine.context import Engine, Worker, call
from sparkops.engine.removal import ask_deletion, cancel_deletion, claim_removal, end_removal, remove_some
from sparkops.engine.seals import seal_some
from sparkops.engine.secrets import Use, use_secret
from sparkops.engine.wait import ask, wait_for_approvals
from tests.crash.interleavings.cases import Case, question, second_approver
from tests.crash.interleavings.transaction import Transaction, status_of, was_cancelled
from tests.engine.acts import prepared, proposal
from tests.engine.conftest import person_of
from tests.engine.secretly import put

SEAL_KEYS = SealKeys(["a" * 32])
LINES = 20
"""Of one seal: fewer than there are, so that the next one has some."""
WEEK = timedelta(days=7)
OLD_RUNS = 3
"""So many runs at once are retired or thinned."""
ASKS = """
version: 1
name: asks
steps:
  - {id: asks, type: approval, with: {title: "Go on?"}}
"""
SECRET = "key"


async def _seal(engine: Engine, case: Case) -> Anchor | None:
    return await seal_some(engine, SEAL_KEYS, LINES)


async def _is_sealed(case: Case, said: Anchor | None) -> str | None:
    if said is None:
        return None
    mac = await case.value("SELECT mac FROM audit_seals WHERE number = $1", said.number)
    waiting = await case.value(
        "SELECT count(*) FROM audit_unsealed u JOIN audit_seals s ON u.audit_id = ANY (s.ids) WHERE s.number = $1",
        said.number,
    )
    return None if (mac, waiting) == (said.mac, 0) else f"seal {said.number} is {mac}, {waiting} of its lines wait"


async def _has_secret(case: Case) -> None:
    if not await case.value("SELECT count(*) FROM secrets"):
        await put(case.world, SECRET, "a-value-that-is-kept")


async def _use_secret(engine: Engine, case: Case) -> Any:
    use = Use(case.world.project_id, case.run_id, case.held.lease.step_id, UUID(case.call_id))
    found = await use_secret(engine.database, use, "project", Reference(SECRET))
    if found is None:
        raise NotFound("There is no such secret.")
    return found


async def _use_is_on_record(case: Case, said: Any) -> str | None:
    uses = await case.value("SELECT count(*) FROM secret_uses WHERE run_id = $1", case.run_id)
    lines = await case.value(
        "SELECT count(*) FROM audit WHERE action = 'secret.read' AND detail ->> 'run_id' = $1::text", str(case.run_id)
    )
    return None if 0 < uses == lines else f"a secret was handed out; {uses} uses and {lines} lines are on record"


# Deletion


async def _owned(case: Case) -> None:
    await case.world.sql("UPDATE memberships SET role = 'owner' WHERE user_id = $1", case.world.ada.user_id)


async def _ask_deletion(engine: Engine, case: Case) -> UUID:
    world = case.world
    return await ask_deletion(engine, world.ada, project_id=world.project_id, reason="because", delay=WEEK)


async def _is_asked(case: Case, said: UUID) -> str | None:
    status = await case.value("SELECT status FROM project_deletions WHERE id = $1", said)
    return None if status in ("asked", "cancelled") else f"a deletion that was asked for is {status}"


async def _asked(case: Case) -> None:
    await _owned(case)
    await _ask_deletion(case.world.engine, case)


async def _take_back(engine: Engine, case: Case) -> None:
    await cancel_deletion(engine, case.world.ada, project_id=case.world.project_id)


async def _taken_back(case: Case) -> None:
    with suppress(SparkOpsError):  # it is already, or nobody has asked
        await _take_back(case.world.engine, case)


async def _other_removed(case: Case) -> None:
    """Another project, with a run that waits for an answer which comes too late, is being removed."""
    if case.removal is not None:
        return
    project_id = new_id()
    ada = person_of("ada", project_id, user_id=case.world.ada.user_id)
    world = replace(case.world, project_id=project_id, ada=ada)
    async with world.database.sessions.begin() as session:
        await session.execute(insert(Project).values(id=world.project_id, slug=f"p-{world.project_id}", name="Gone"))
        await session.execute(
            insert(Membership).values(project_id=world.project_id, user_id=world.ada.user_id, role="owner")
        )
        await session.execute(insert(PolicyStamp).values(scope_id=world.project_id, version=1))
    run_id = await world.run(await world.workflow(ASKS))
    await world.sql("UPDATE steps SET queue = $2 WHERE run_id = $1", run_id, str(run_id))
    (held,) = await world.claims(Worker(new_id(), case.first.epoch, (str(run_id),)), 1)
    answer = await ask(world.engine, held, question(held))
    await wait_for_approvals(world.engine, held, [UUID(answer["approval_id"])])
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp() WHERE run_id = $1", run_id)
    await ask_deletion(
        world.engine, world.ada, project_id=world.project_id, reason="because", delay=timedelta(seconds=-1)
    )
    case.removal = await claim_removal(world.engine)
    assert case.removal is not None


async def _remove(engine: Engine, case: Case) -> str:
    assert case.removal is not None, "it was claimed before"
    return await remove_some(engine, case.removal)


async def _all_removed(case: Case) -> None:
    """What is left of the other project goes too."""
    if case.removal is None:
        return
    engine = case.world.engine
    while await remove_some(engine, case.removal) != "empty":
        pass
    assert await end_removal(engine, engine.payloads, case.removal)
    case.removal = None


# Retention


async def _old(case: Case) -> None:
    """The project keeps things for a day, and a run ended long ago; it is as if it had had no steps."""
    await case.world.sql(
        "UPDATE projects SET keep_runs_days = 1, keep_log_days = 1, keep_values_days = 1 WHERE id = $1",
        case.world.project_id,
    )
    old = new_id()
    await case.world.sql(
        "INSERT INTO runs SELECT o.* FROM runs r, jsonb_populate_record(r, jsonb_build_object("
        "'id', $2::uuid, 'status', 'succeeded', 'idem_key', NULL, 'idem_hash', NULL, 'step_count', 0, "
        "'finished_at', clock_timestamp() - interval '2 days')) o WHERE r.id = $1",
        case.run_id,
        old,
    )
    await case.world.sql("INSERT INTO run_counters (run_id, project_id) VALUES ($1, $2)", old, case.world.project_id)


async def _retire(engine: Engine, case: Case) -> Any:
    return await call(engine.database.pool, "retire_runs", case.world.project_id, None, OLD_RUNS)


async def _thin_values(engine: Engine, case: Case) -> Any:
    return await call(engine.database.pool, "thin_values", case.world.project_id, None, OLD_RUNS)


async def _thin_logs(engine: Engine, case: Case) -> Any:
    return await call(engine.database.pool, "thin_logs", case.world.project_id, None, OLD_RUNS)


async def _is_whole(case: Case, said: Any) -> str | None:
    """What goes on, or has just ended, keeps everything."""
    thinned = await case.value("SELECT count(*) FROM thinned_runs WHERE run_id = $1", case.run_id)
    log = await case.value("SELECT count(*) FROM events WHERE run_id = $1 AND seq = 1", case.run_id)
    return None if (thinned, log) == (0, 1) else "something was taken out of a run that was going on"


# Consent


async def _two_have_to_agree(case: Case) -> None:
    await case.world.sql(
        "UPDATE approvals SET demands = jsonb_set(demands, '{quorum}', '2') WHERE id = $1 AND status = 'pending'",
        case.questions["asks"],
    )


async def _vote(engine: Engine, case: Case) -> None:
    await answer_approval(engine, second_approver(case.world), case.questions["asks"], approve=True, comment=None)


async def _vote_counts(case: Case, said: None) -> str | None:
    votes = await case.value("SELECT count(*) FROM approval_votes WHERE approval_id = $1", case.questions["asks"])
    status = await case.value("SELECT status FROM approvals WHERE id = $1", case.questions["asks"])
    if votes == 0:
        return "a vote that was given is gone"
    return f"one of two has agreed, and it is {status}" if status == "approved" and votes < 2 else None


async def _call_asked_about(case: Case) -> None:
    """`spare` waits for an answer to a call that approvers may change."""
    if await status_of(case, "spare") != "ready":
        return
    queue = f"spare of {case.run_id}"
    await case.world.sql(
        "UPDATE steps SET queue = $2, not_before = '-infinity' WHERE run_id = $1 AND node_key = 'spare'",
        case.run_id,
        queue,
    )
    for held in await case.claim_from(queue, 1):
        demands = {"approvers": [], "quorum": 1, "escalate_after_seconds": None, "escalate_to": [], "may_edit": True}
        (verdict,) = await prepared(case.world, held, proposal(outcome="require_approval", demands=demands))
        case.questions["spare"] = UUID(verdict["approval_id"])
        await wait_for_approvals(case.world.engine, held, [case.questions["spare"]])


async def _edit(engine: Engine, case: Case) -> None:
    if "spare" not in case.questions:
        raise NotFound("Something else was done with the step.")
    request = {"tool": "noop", "arguments": {"seq": 7}}
    change = Edit(as_part(dumps(request)), "hash of what was changed", "v1")
    await answer_approval(engine, case.world.ben, case.questions["spare"], approve=True, comment=None, edit=change)


async def _is_edited(case: Case, said: None) -> str | None:
    row = await case.world.database.pool.fetchrow(
        "SELECT status, edited_hash FROM approvals WHERE id = $1", case.questions["spare"]
    )
    allowed = ("approved", "withdrawn") if not await was_cancelled(case) else ("approved", "withdrawn", "expired")
    return None if row["edited_hash"] and row["status"] in allowed else f"a changed question is {dict(row)}"


async def _overdue_violation(case: Case) -> None:
    """The other project, which may be removed meanwhile, has one too."""
    await case.world.sql(
        "INSERT INTO violations (id, project_id, run_id, decision_id, severity, monitored, subject, at) "
        "SELECT gen_random_uuid(), id, $1, gen_random_uuid(), 'high', false, 'tool.call', '2026-01-01' FROM projects",
        case.run_id,
    )


async def _follow_up(engine: Engine, case: Case) -> None:
    await call(engine.database.pool, "follow_up_violations", 100)


KEEPING: Sequence[Transaction] = (
    Transaction("SEAL", _seal, repeats=True, kept=_is_sealed),
    Transaction("USE SECRET", _use_secret, repeats=False, ready=_has_secret, kept=_use_is_on_record),
    Transaction("ASK DELETION", _ask_deletion, repeats=True, ready=_owned, kept=_is_asked, after=_taken_back),
    Transaction("TAKE BACK", _take_back, repeats=True, ready=_asked, late=True, after=_taken_back),
    Transaction("REMOVE", _remove, repeats=True, ready=_other_removed, after=_all_removed),
    Transaction("RETIRE", _retire, repeats=True, ready=_old, kept=_is_whole),
    Transaction("THIN VALUES", _thin_values, repeats=True, ready=_old, kept=_is_whole),
    Transaction("THIN LOGS", _thin_logs, repeats=True, ready=_old, kept=_is_whole),
    Transaction("VOTE", _vote, repeats=True, ready=_two_have_to_agree, kept=_vote_counts),
    Transaction("FOLLOW UP", _follow_up, repeats=True, ready=_overdue_violation),
    Transaction("EDIT", _edit, repeats=True, ready=_call_asked_about, kept=_is_edited),
)
