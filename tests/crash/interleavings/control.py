"""Transactions that hold work back, let it go on, and decide what nobody knows."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sparkops.core.ids import new_id
from sparkops.domains.budgets.definition import NewBudget, Period, Terms
from sparkops.domains.budgets.definition import Scope as BudgetScope
from sparkops.domains.runs.state import SourceKind
from sparkops.engine.budgets import change_budget, define_budget
from sparkops.engine.cancel import cancel_overdue
from sparkops.engine.claim import claim_isolated
from sparkops.engine.context import Engine, Worker, call
from sparkops.engine.draft import Rerun
from sparkops.engine.give_back import release_session
from sparkops.engine.halts import HaltOrder, Kind, Scope, order_halt, release_halt
from sparkops.engine.pause import pause_run, resume_run
from sparkops.engine.put_back import put_back
from sparkops.engine.rerun import start_rerun
from sparkops.engine.resolve import Answer, Resolution, resolve_step
from sparkops.engine.sweep import expire_steps
from tests.crash.interleavings.cases import COST, Case
from tests.crash.interleavings.transaction import Transaction, status_of, was_cancelled
from tests.engine.acts import prepared, proposal, result


async def _pause(engine: Engine, case: Case) -> None:
    await pause_run(engine, case.world.ada, case.run_id)


async def _paused(case: Case) -> None:
    await _pause(case.world.engine, case)


async def _resume(engine: Engine, case: Case) -> None:
    await resume_run(engine, case.world.ada, case.run_id)


async def _queued(case: Case) -> None:
    """There was no room for it when it was to go on; now there is."""
    limit = "UPDATE projects SET max_running_runs = $2 WHERE id = $1"
    await _pause(case.world.engine, case)
    await case.world.sql(limit, case.world.project_id, 0)
    await _resume(case.world.engine, case)
    await case.world.sql(limit, case.world.project_id, None)


async def _admit(engine: Engine, case: Case) -> bool:
    return bool((await call(engine.database.pool, "admit_run", case.run_id))["admitted"])


async def _is_admitted(case: Case, said: bool) -> str | None:
    query = "SELECT count(*) FROM events WHERE run_id = $1 AND kind = 'run.resumed'"
    return "a run that was let go on is not on record" if said and not await case.value(query, case.run_id) else None


async def _stop(engine: Engine, case: Case) -> UUID:
    order = HaltOrder(Kind.STOP, Scope.PROJECT, case.world.project_id, "because")
    return (await order_halt(engine, case.world.ada, order)).halt_id


async def _stopped(case: Case) -> None:
    case.halt_id = await _stop(case.world.engine, case)


async def _release(engine: Engine, case: Case) -> None:
    assert case.halt_id is not None, "it was ordered before"
    await release_halt(engine, case.world.ada, case.halt_id)


async def _put_back(engine: Engine, case: Case) -> None:
    await put_back(engine, case.held, [result(case.call_id, cost=COST)], "halted")


async def _call_is_recorded(case: Case, said: Any) -> str | None:
    status = await case.value("SELECT status FROM calls WHERE id = $1::text::uuid", case.call_id)
    return None if status == "done" else f"a recorded call is {status}"


async def _in_doubt(case: Case) -> None:
    """`spare` has sent what must not be repeated, and its worker is gone."""
    if await status_of(case, "spare") != "ready":
        return
    queue = f"spare of {case.run_id}"
    third = Worker(new_id(), case.first.epoch, (queue,))
    await case.world.sql(
        "UPDATE steps SET queue = $2, not_before = '-infinity' WHERE run_id = $1 AND node_key = 'spare'",
        case.run_id,
        queue,
    )
    for held in await case.world.claims(third, 1):
        await prepared(case.world, held, proposal(effect_class="unsafe"))
    await release_session(case.world.engine, third.session_id, crashed=True)


async def _resolve(engine: Engine, case: Case) -> None:
    step_id = await case.value("SELECT id FROM steps WHERE run_id = $1 AND path = 'spare'", case.run_id)
    call_id = await case.value("SELECT id FROM calls WHERE step_id = $1", step_id)
    seen = Resolution(Answer.HAPPENED, "it is in the books", call_id, output={"seen": True})
    await resolve_step(engine, case.world.ada, case.run_id, step_id, seen)


async def _is_resolved(case: Case, said: None) -> str | None:
    status = await status_of(case, "spare")
    return None if status == "succeeded" or await was_cancelled(case) else f"a resolved step is {status}"


async def _fork(engine: Engine, case: Case) -> UUID:
    request = Rerun(SourceKind.FORK, start="last", idem_key=f"fork-{case.run_id}")
    return (await start_rerun(engine, case.world.ada, case.run_id, request)).run_id


async def _is_that_fork(case: Case, said: UUID) -> str | None:
    found = await case.value("SELECT id FROM runs WHERE idem_key = $1", f"fork-{case.run_id}")
    return None if found == said else f"forked {said}, found {found}"


async def _too_late(case: Case) -> None:
    """The deadline of `free`, which is ready, and of `asks`, which waits, is over."""
    await case.sql(
        "UPDATE steps SET fails_at = clock_timestamp(), deadline = interval '1 second' "
        "WHERE run_id = $1 AND node_key IN ('free', 'asks') AND finished_at IS NULL"
    )


async def _expire(engine: Engine, case: Case) -> None:
    await expire_steps(engine)


async def _stood(case: Case) -> None:
    """The run stood under a halt for an hour and would be late if that counted."""
    await case.sql(
        "WITH h AS (INSERT INTO halts (id, scope, scope_id, project_id, kind, created_at, released_at) "
        "  SELECT gen_random_uuid(), 'project', project_id, project_id, 'pause', clock_timestamp() - interval '1 hour',"
        "         clock_timestamp() FROM runs WHERE id = $1) "
        "UPDATE runs SET started_at = started_at - interval '2 hours', "
        "deadline_at = clock_timestamp() - interval '30 minutes' WHERE id = $1 AND started_at IS NOT NULL"
    )


async def _give_time(engine: Engine, case: Case) -> None:
    await cancel_overdue(engine, 100)


async def _alone(case: Case) -> None:
    await case.sql("UPDATE steps SET isolate = true WHERE run_id = $1 AND node_key = 'free' AND status = 'ready'")


async def _claim_alone(engine: Engine, case: Case) -> int:
    return len(await claim_isolated(engine, case.second, limit=8, empty=True))


async def _displace(engine: Engine, case: Case) -> Any:
    """The platform cancels a run whose time is over."""
    error = {"code": "timeout", "message": "too long"}
    return await call(engine.database.pool, "cancel", case.run_id, None, error)


async def _is_stopped(case: Case, said: Any) -> str | None:
    status = await case.world.status(case.run_id)
    return None if status == "cancelled" else f"a run that was stopped is {status}"


async def _budgeted(case: Case) -> None:
    """A budget of the project against which the calls of the run are held; it may be there already."""
    if await case.value("SELECT 1 FROM budget_definitions WHERE name = $1", f"b {case.run_id}"):
        return
    stated = NewBudget(name=f"b {case.run_id}", scope=BudgetScope.PROJECT, period=Period.DAY, limit_micros=1_000_000)
    await define_budget(case.world.engine, case.world.ada, case.world.project_id, stated)


async def _given_up(case: Case) -> None:
    """Nothing of the cases that come counts against it."""
    await case.sql("UPDATE budget_definitions SET archived_at = clock_timestamp() WHERE name = 'b ' || $1::uuid")


async def _change_budget(engine: Engine, case: Case) -> None:
    budget_id = await case.value("SELECT id FROM budget_definitions WHERE name = $1", f"b {case.run_id}")
    await change_budget(engine, case.world.ada, budget_id, Terms(name=f"b {case.run_id}", limit_micros=2_000_000))


async def _is_changed(case: Case, said: None) -> str | None:
    limit = await case.value("SELECT limit_micros FROM budget_definitions WHERE name = $1", f"b {case.run_id}")
    return None if limit == 2_000_000 else f"the limit is {limit}"


async def _period_over(case: Case) -> None:
    """The budget of the project is for a day that is over."""
    await _budgeted(case)
    await case.sql(
        "INSERT INTO budgets (id, project_id, definition_id, scope, scope_id, period, window_key, starts_at, ends_at, "
        "limit_micros) SELECT gen_random_uuid(), project_id, id, scope, project_id, period, 'then', "
        "clock_timestamp() - interval '2 days', clock_timestamp() - interval '1 day', limit_micros "
        "FROM budget_definitions WHERE name = 'b ' || $1::uuid",
    )


async def _turn(engine: Engine, case: Case) -> None:
    await call(engine.database.pool, "turn_windows", 100)


async def _is_turned(case: Case, said: None) -> str | None:
    left = await case.value(
        "SELECT count(*) FROM budget_definitions d WHERE d.name = 'b ' || $1::uuid AND NOT EXISTS "
        "(SELECT 1 FROM budgets b WHERE b.definition_id = d.id AND b.ends_at > clock_timestamp())",
        case.run_id,
    )
    return f"{left} budgets have no window of today" if left else None


async def _foresee(engine: Engine, case: Case) -> None:
    """Whatever was charged is told of, as if it led beyond the limit."""
    rows = await engine.database.pool.fetch("SELECT id FROM budgets WHERE definition_id IS NOT NULL")
    beyond = [{"id": str(row["id"]), "micros": 2_000_000, "method": "average"} for row in rows]
    await call(engine.database.pool, "foresee", beyond)


CONTROL: Sequence[Transaction] = (
    Transaction("PAUSE", _pause, repeats=True),
    Transaction("RESUME", _resume, repeats=True, ready=_paused, late=True),
    Transaction("ADMIT", _admit, repeats=True, ready=_queued, kept=_is_admitted, late=True),
    Transaction("STOP", _stop, repeats=True),
    Transaction("GO ON", _release, repeats=True, ready=_stopped, late=True),
    Transaction("PUT BACK", _put_back, repeats=False, kept=_call_is_recorded),
    Transaction("RESOLVE", _resolve, repeats=True, ready=_in_doubt, kept=_is_resolved),
    Transaction("FORK", _fork, repeats=True, kept=_is_that_fork),
    Transaction("DEADLINE", _expire, repeats=True, ready=_too_late),
    Transaction("GIVE TIME", _give_time, repeats=True, ready=_stood),
    Transaction("ALONE", _claim_alone, repeats=True, ready=_alone),
    Transaction("BUDGET", _change_budget, repeats=True, ready=_budgeted, kept=_is_changed, after=_given_up),
    Transaction("TURN", _turn, repeats=True, ready=_period_over, kept=_is_turned, after=_given_up),
    Transaction("FORESEE", _foresee, repeats=True, ready=_budgeted, after=_given_up),
    Transaction("OVERDUE", _displace, repeats=True, kept=_is_stopped),
)
