"""Transactions of maps, waits, events and sub-workflows: whoever parks, and whoever brings what is awaited."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sparkops.core.errors import NotFound
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.children import accept_child
from sparkops.engine.complete import Ended, complete, end_attempt
from sparkops.engine.context import Engine
from sparkops.engine.errors import Fenced
from sparkops.engine.events import NewEvent, receive_event
from sparkops.engine.expand import expand_map
from sparkops.engine.wait import wait_for_child, wait_for_event, wait_for_frames, wait_seconds
from sparkops.engine.wake import wake_due
from tests.crash.interleavings.cases import Case
from tests.crash.interleavings.transaction import Transaction, status_of, was_cancelled

HOUR = timedelta(hours=1)


async def _accept_child(engine: Engine, case: Case) -> UUID:
    held = case.claims["sub"]
    return await accept_child(engine, held, UUID(held.pins["workflows"]["below"]), {})


async def _is_its_child(case: Case, said: UUID) -> str | None:
    found = await case.value("SELECT id FROM runs WHERE parent_step_id = $1", case.claims["sub"].lease.step_id)
    return None if found == said else f"accepted {said}, found {found}"


async def with_child(case: Case) -> None:
    """`sub` has its run, whose only step is in a worker's hands."""
    if "work" in case.claims:
        return
    child = await _accept_child(case.world.engine, case)
    queue = f"child of {case.run_id}"
    await case.world.sql("UPDATE steps SET queue = $2 WHERE run_id = $1", child, queue)
    for held in await case.claim_from(queue, 1):  # nobody can where people have to let it begin
        case.claims["work"] = held


async def _await_child(engine: Engine, case: Case) -> None:
    await wait_for_child(engine, case.claims["sub"])


async def _end_child(engine: Engine, case: Case) -> None:
    if "work" not in case.claims:
        raise NotFound("Nobody has begun with it.")
    await complete(engine, case.first, [Ended(case.claims["work"], StepStatus.SUCCEEDED)], claim=0)


async def _sleeps(case: Case) -> None:
    """`nap` waits, and its time has come."""
    if await status_of(case, "nap") == "running":
        await wait_seconds(case.world.engine, case.claims["nap"], HOUR)
    await case.sql(
        "UPDATE steps SET wake_at = clock_timestamp() - interval '1 millisecond', "
        "started_at = clock_timestamp() - interval '1 day' "
        "WHERE run_id = $1 AND node_key = 'nap' AND status = 'waiting'"
    )


async def _wake(engine: Engine, case: Case) -> None:
    await wake_due(engine)


def _event(case: Case) -> NewEvent:
    return NewEvent(f"event of {case.run_id}", "paid", {"run": str(case.run_id)})


async def _receive(engine: Engine, case: Case) -> None:
    await receive_event(engine, case.world.ada, case.world.project_id, _event(case))


async def _was_heard(case: Case, said: None) -> str | None:
    if await was_cancelled(case):
        return None
    output = await case.value("SELECT output FROM steps WHERE run_id = $1 AND path = 'paid'", case.run_id)
    return None if output is not None and output["id"] == _event(case).event_id else f"an event gave {output}"


async def _await_event(engine: Engine, case: Case) -> None:
    await wait_for_event(engine, case.claims["paid"], "paid", after=None, within=HOUR)


async def _expand(engine: Engine, case: Case) -> None:
    held = case.claims["each"]
    graph = await engine.graphs.get(engine.database.pool, held.workflow_version_id)
    await expand_map(engine, held, graph.find("each"), [0, 1], 0)


async def _almost_done(case: Case) -> None:
    """`each` has two frames; the step of the first has ended, that of the second is in a worker's hands."""
    if "touch" in case.claims:
        return
    await _expand(case.world.engine, case)
    queue = f"frames of {case.run_id}"
    await case.world.sql(
        "UPDATE steps SET queue = $2 WHERE run_id = $1 AND parent_id IS NOT NULL AND node_key = 'touch'",
        case.run_id,
        queue,
    )
    for held in await case.claim_from(queue, 2):
        if "touch" in case.claims:
            await end_attempt(case.world.engine, case.first, Ended(held, StepStatus.SUCCEEDED), claim=0)
        else:
            case.claims["touch"] = held


async def _await_frames(engine: Engine, case: Case) -> None:
    await wait_for_frames(engine, case.claims["each"])


async def _end_frame(engine: Engine, case: Case) -> None:
    await end_attempt(engine, case.first, Ended(case.claims["touch"], StepStatus.SUCCEEDED), claim=0)


async def _close_frame(engine: Engine, case: Case) -> None:
    """As a worker ends the step of a plain body: the database ends the frame."""
    touch = case.claims["touch"]
    done = await complete(engine, case.first, [Ended(touch, StepStatus.SUCCEEDED)], claim=0)
    if touch.lease.step_id not in done.closed:
        raise Fenced("taken over")


async def _frames_are_there(case: Case, said: Any) -> str | None:
    count = await case.value("SELECT count(*) FROM frames WHERE parent_id = $1", case.claims["each"].lease.step_id)
    return None if count == 2 else f"an expanded map has {count} frames"


DYNAMIC: Sequence[Transaction] = (
    Transaction("CHILD", _accept_child, repeats=True, kept=_is_its_child),
    Transaction("AWAIT CHILD", _await_child, repeats=False, ready=with_child),
    Transaction("END CHILD", _end_child, repeats=True, ready=with_child),
    Transaction("WAKE", _wake, repeats=True, ready=_sleeps),
    Transaction("EVENT", _receive, repeats=True, kept=_was_heard),
    Transaction("AWAIT EVENT", _await_event, repeats=False),
    Transaction("EXPAND", _expand, repeats=True, kept=_frames_are_there),
    Transaction("AWAIT FRAMES", _await_frames, repeats=False, ready=_almost_done),
    Transaction("END FRAME", _end_frame, repeats=True, ready=_almost_done),
    Transaction("CLOSE FRAME", _close_frame, repeats=True, ready=_almost_done),
)
