"""What tests ask of runs that wait for people: their questions, and answers to them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sparkops.engine.advance import advance_run
from sparkops.engine.answer import answer_approval
from sparkops.engine.sweep import sweep
from tests.engine.conftest import World
from tests.engine.test_subjects import WITH_INPUT, rule

PLAIN = WITH_INPUT.replace("OUTPUT", "")
MIXED = """
version: 1
name: mixed
input: {type: object, properties: {n: {type: integer}}}
steps:
  - {id: before, type: transform, with: {value: "${{ input.n }}"}}
  - {id: act, type: tool, tool: noop, needs: [before]}
"""
UNDOES = """
version: 1
name: undoes
steps:
  - {id: a, type: tool, tool: noop, undo: {type: tool, tool: noop}}
"""
ONE_AT_A_TIME = """
version: 1
name: one-at-a-time
timeout: 1h
concurrency: {limit: 1}
steps:
  - {id: a, type: tool, tool: noop}
"""


def asks(subject: str, **more: Any) -> dict[str, Any]:
    return rule(subject, "require_approval", **more)


async def questions(world: World) -> list[Mapping[str, Any]]:
    return [dict(row) for row in await world.database.pool.fetch("SELECT * FROM approvals ORDER BY id")]


async def pending(world: World, run_id: UUID | None = None) -> UUID:
    """The open question, of this run where there are several."""
    found: UUID = await world.database.pool.fetchval(
        "SELECT id FROM approvals WHERE status = 'pending' AND coalesce(run_id = $1, true)", run_id
    )
    return found


async def answer(world: World, *, approve: bool = True, comment: str | None = None) -> None:
    await answer_approval(world.engine, world.ben, await pending(world), approve=approve, comment=comment)


async def lapse(world: World) -> None:
    await world.sql("UPDATE approvals SET expires_at = clock_timestamp() - interval '1 second'")


async def open_question(world: World) -> bool:
    return bool(await world.database.pool.fetchval("SELECT count(*) FROM approvals WHERE status = 'pending'"))


async def unheeded_answer(world: World, *, run_id: UUID | None = None, approve: bool = True) -> None:
    """Answer as somebody who dies right after the answer was recorded."""
    reach = [str(world.project_id)]
    asked = await pending(world, run_id)
    given = {"approval_id": str(asked), "user_id": str(world.ben.user_id), "reach": reach}
    vote = {"vote": "approve" if approve else "reject", "comment": None, "request_hash": None, "edited": None}
    said = await world.database.pool.fetchval("SELECT engine.answer($1)", {**given, **vote})
    assert said["result"] == "ok"


async def say_no(world: World, *, late: bool) -> None:
    """Reject the open question, or let its time go by; nobody has heeded that yet."""
    if late:
        await world.sql("UPDATE approvals SET status = 'expired' WHERE status = 'pending'")
    else:
        await unheeded_answer(world, approve=False)


async def advance_and_admit(world: World, run_id: UUID) -> None:
    await advance_run(world.engine, run_id)
    await sweep(world.engine, ("run",))
