"""T_ADVANCE: look at a run and apply what `decide` says. Safe to repeat; always under the run's lock."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import asyncpg
import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import SparkOpsError, Unavailable
from sparkops.core.failpoints import failpoint
from sparkops.core.json import Json
from sparkops.core.payloads import Desk
from sparkops.domains.runs.state import TERMINAL_RUN, RunStatus, StepStatus
from sparkops.engine.advancing import Advanced, Advancing, labels_in, split
from sparkops.engine.clearance import clear, judge_output
from sparkops.engine.compensate import end_unhappily
from sparkops.engine.compensation import begin_compensation, go_on_compensating
from sparkops.engine.context import Connection, Engine, Ring, call
from sparkops.engine.decide import Compensate, FinishRun, StepState, decide_cancelled, to_json
from sparkops.engine.errors import OverBudget
from sparkops.engine.frames import abandon_frames, advance_frame, repair_frames, start_more
from sparkops.engine.graph import Graph
from sparkops.engine.levels import Level, key_of, level_of
from sparkops.engine.wake import wake_parents

log = structlog.get_logger()

_LOCK_RUN = """
SELECT r.id, r.project_id, r.status, r.started_at, r.workflow_version_id, r.labels,
       engine.judges_output(r.project_id) AS judged,
       r.concurrency_limit IS NOT NULL
       OR EXISTS (SELECT 1 FROM projects p WHERE p.id = r.project_id AND p.max_running_runs IS NOT NULL)
       OR EXISTS (SELECT 1 FROM workflows w WHERE w.id = r.workflow_id AND w.max_running_runs IS NOT NULL) AS limited
  FROM runs r WHERE r.id = $1 FOR UPDATE
"""
_STATES = """
SELECT node_key, status, error, output IS NULL AS loaded, CASE WHEN labels <> '{}' THEN labels END AS labels
  FROM steps WHERE run_id = $1 AND path = ANY ($2)
"""
_STATES_OF_ALL = """
SELECT node_key, status, error, output IS NULL AS loaded, CASE WHEN labels <> '{}' THEN labels END AS labels
  FROM steps WHERE run_id = $1
"""
_ADVANCED = "DELETE FROM unadvanced WHERE run_id = $1"
_IS_OPEN = """
SELECT EXISTS (SELECT 1 FROM steps WHERE run_id = $1
                  AND status IN ('pending', 'ready', 'running', 'waiting', 'uncertain'))
"""
_IS_STUCK = """
SELECT EXISTS (SELECT 1 FROM steps WHERE run_id = $1 AND status = 'uncertain')
   AND NOT EXISTS (SELECT 1 FROM steps WHERE run_id = $1
                      AND (status IN ('ready', 'running')
                           OR status = 'waiting' AND waiting_for ->> 'kind' IS DISTINCT FROM 'frames'))
"""


_AFTER = {
    "attention": RunStatus.ATTENTION,
    "resume": RunStatus.RUNNING,
    "await": RunStatus.AWAITING_APPROVAL,
}


async def lock_run(on: Connection, run_id: UUID) -> asyncpg.Record:
    """Lock the run row and return it, None if there is none: the first statement of every transaction that may
    advance a run."""
    return await on.fetchrow(_LOCK_RUN, run_id)


async def advance_locked(
    engine: Engine, on: Connection, run: asyncpg.Record, desk: Desk, *, focus: str | None = None
) -> Advanced:
    """Apply everything that can be decided now. With `focus`, the path of a step that has ended, only what follows
    from that is looked at; without it the whole run is, and whatever was missed is repaired.

    Raises:
        NotAtHand: large values are needed first: roll back, let the desk provide them, try again.
    """
    if RunStatus(run["status"]) in TERMINAL_RUN:
        return Advanced()
    if run["status"] == RunStatus.AWAITING_APPROVAL and run["started_at"] is None:
        return await _clear(engine, on, run, desk)
    graph = await engine.graphs.get(on, run["workflow_version_id"])
    advancing = Advancing(engine, on, run, graph, desk)
    if focus is None:
        await _repair(advancing)
    else:
        await _follow(advancing, focus)
    return advancing.done


async def _clear(engine: Engine, on: Connection, run: asyncpg.Record, desk: Desk) -> Advanced:
    desk.project_id = run["project_id"]
    answer = await clear(engine, on, run["id"], desk)
    cleared = answer.get("status") == RunStatus.QUEUED
    return Advanced(cleared=cleared, parents=answer["parents"], events=answer["events"])


async def advance_run(engine: Engine, run_id: UUID) -> UUID | None:
    """Advance one run in transactions of their own: for reapers, waits that were cancelled, and the sweep's repair.

    Returns the project in which a place has become free because the run ended, or in which it queues since people have
    let it begin, for who admits there; or None. Where a large value is needed and the object storage does not answer,
    or a budget has filled up since it was looked at, the run is left to a later sweep.
    """
    desk = engine.payloads.desk()

    async def act() -> tuple[asyncpg.Record, Advanced, Sequence[Ring]]:
        async with engine.database.pool.acquire() as connection, connection.transaction():
            run = await lock_run(connection, run_id)
            advanced = Advanced() if run is None else await advance_locked(engine, connection, run, desk)
            if not advanced.unfinished:
                await connection.execute(_ADVANCED, run_id)
            rings = await call(connection, "emit", advanced.events) if advanced.events else []
            failpoint("mid_advance")
            return run, advanced, rings

    while True:
        failpoint("before_advance")
        try:
            run, advanced, rings = await desk.decide(act)
        except (Unavailable, OverBudget) as error:
            log.warning("advance.put_off", run_id=str(run_id), error=error.detail)
            return None
        failpoint("after_advance")
        engine.bell.log_grew(rings)
        if advanced.ready:
            engine.bell.work("run")
        await wake_parents(engine, advanced.parents)
        if not (advanced.more or advanced.unfinished):
            return run["project_id"] if advanced.cleared or (advanced.ended and run["limited"]) else None


async def advance_soon(engine: Engine, run_id: UUID) -> UUID | None:
    """Advance as `advance_run` does, for who has committed what is to be heeded, or has other runs to look at: what
    fails here is no failure of theirs, and is left to the sweep."""
    try:
        return await advance_run(engine, run_id)
    except (*LOST_CONNECTION, SparkOpsError) as error:
        log.warning("advance.put_off", run_id=str(run_id), error=str(error) or type(error).__name__)
        return None


async def go_on(engine: Engine, run_id: UUID, advanced: Advanced) -> UUID | None:
    """Do in transactions of their own what did not fit into the one that advanced the run.

    Never raises: what was committed before stays, and so does its answer; the sweep goes on if this could not.
    Returns as `advance_run` does.
    """
    freed = None
    try:
        if advanced.unfinished:
            freed = await advance_run(engine, run_id)
        paths = sorted(advanced.more)
        while paths:
            failpoint("before_start_more")
            paths = await _start_more(engine, run_id, paths)
    except (*LOST_CONNECTION, Unavailable) as error:
        log.warning("advance.failed", run_id=str(run_id), error=str(error) or type(error).__name__)
    return freed


async def _start_more(engine: Engine, run_id: UUID, paths: list[str]) -> list[str]:
    desk = engine.payloads.desk()

    async def act() -> tuple[Advanced, Sequence[Ring]]:
        async with engine.database.pool.acquire() as connection, connection.transaction():
            run = await lock_run(connection, run_id)
            graph = await engine.graphs.get(connection, run["workflow_version_id"])
            advancing = Advancing(engine, connection, run, graph, desk)
            if advancing.status is RunStatus.RUNNING:
                for path in paths:
                    await start_more(advancing, path)
            done = advancing.done
            return done, await call(connection, "emit", done.events) if done.events else []

    done, rings = await desk.decide(act)
    engine.bell.log_grew(rings)
    if done.ready:
        engine.bell.work("run")
    return sorted(done.more)


async def _follow(run: Advancing, path: str) -> None:
    level = level_of(run.graph, path)
    if run.status is RunStatus.CANCELLING:
        if run.graph.find(key_of(path)).body is not None:
            await abandon_frames(run)
        await _end_cancelled(run)
    elif level.parent is None:
        if run.graph.find(key_of(path)).body is not None:
            await abandon_frames(run)
        await _advance_root(run, [path])
    elif not await advance_frame(run, level, [key_of(path)]):
        await _advance_root(run, None)
    await _see_attention(run)


async def _repair(run: Advancing) -> None:
    if _has_bodies(run.graph):
        await abandon_frames(run)
    if run.status is RunStatus.CANCELLING:
        await _end_cancelled(run)
        return
    if _has_bodies(run.graph):
        await repair_frames(run)
    await _advance_root(run, None)
    await _see_attention(run)


async def _advance_root(run: Advancing, focus: Collection[str] | None) -> None:
    """Apply what can be decided about the steps of the workflow itself, and about its end."""
    if run.status is RunStatus.COMPENSATING:
        await go_on_compensating(run)
        return
    level = Level(run.graph)
    states = await _states(run)
    commands, end = split(level, await run.decide(level, states, focus=focus))
    if run.status is RunStatus.ATTENTION and (commands or end is not None):
        await _set_status(run, "resume")
    await run.apply(commands)
    if end is not None and not (_has_bodies(run.graph) and await run.on.fetchval(_IS_OPEN, run.run_id)):
        await _end(run, end)


async def _end_cancelled(run: Advancing) -> None:
    if await run.on.fetchval(_IS_OPEN, run.run_id):
        return
    for end in decide_cancelled(run.graph, await _states(run)):
        await _end(run, end)


async def _end(run: Advancing, end: FinishRun | Compensate) -> None:
    waits = run.status is RunStatus.AWAITING_APPROVAL
    if isinstance(end, FinishRun) and end.status is RunStatus.SUCCEEDED and (run.judged or waits):
        judged = await _judged_end(run, end, waits=waits)
        if judged is None:
            await _set_status(run, "await")
            return
        end = judged
    if isinstance(end, Compensate):
        await begin_compensation(run, end)
    else:
        await run.apply([to_json(end)])


async def _judged_end(run: Advancing, end: FinishRun, *, waits: bool) -> FinishRun | Compensate | None:
    """Return how a run ends that would succeed: as it would, or badly because its output may not be handed out; None:
    people are asked. `waits`: they have been."""
    whose = {"id": run.run_id, "project_id": run.project_id, "waits": waits}
    name = run.graph.definition.name
    answer = await judge_output(run.engine, run.on, whose, name, end.output, end.labels, run.desk)
    run.done.events += answer["events"]
    match answer["status"]:
        case "allowed":
            return end
        case "pending":
            return None
        case _:
            return end_unhappily(run.graph, await _states(run), RunStatus.FAILED, answer["error"])


async def _states(run: Advancing) -> dict[str, StepState]:
    """Return where the steps of the workflow itself stand; outputs are left in the database."""
    if _has_bodies(run.graph):
        keys = [node.key for node in run.graph.nodes]
        undo = [node.undo.key for node in run.graph.nodes if node.undo is not None]
        rows = await run.on.fetch(_STATES, run.run_id, [*keys, *undo])
    else:
        rows = await run.on.fetch(_STATES_OF_ALL, run.run_id)
    return {
        row["node_key"]: StepState(StepStatus(row["status"]), None, row["error"], row["loaded"], labels_in(row))
        for row in rows
    }


def _has_bodies(graph: Graph) -> bool:
    return any(node.body is not None for node in graph.nodes)


async def _see_attention(run: Advancing) -> None:
    """Say when a run can go on only after a person has resolved an uncertain step, and when it can again."""
    if run.done.parents or run.status not in (RunStatus.RUNNING, RunStatus.ATTENTION):
        return
    stuck = not run.done.ready and await run.on.fetchval(_IS_STUCK, run.run_id)
    if stuck and run.status is RunStatus.RUNNING:
        await _set_status(run, "attention")
    elif not stuck and run.status is RunStatus.ATTENTION:
        await _set_status(run, "resume")


async def _set_status(run: Advancing, op: str) -> None:
    command: Mapping[str, Json] = {"op": op}
    await run.apply([command])
    run.status = _AFTER[op]
