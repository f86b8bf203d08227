"""A run that people were asked about, the one that `sub` has started, goes on: it begins, or hands its output out."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sparkops.core.errors import NotFound
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.advance import advance_run
from sparkops.engine.complete import Ended, end_attempt
from sparkops.engine.context import Engine, call
from tests.crash.interleavings.cases import Case
from tests.crash.interleavings.dynamic import with_child
from tests.crash.interleavings.transaction import Transaction

_CHILD = "SELECT child_run_id FROM steps WHERE run_id = $1 AND path = 'sub'"
_QUESTION = "SELECT id FROM approvals WHERE run_id = $1 AND step_id IS NULL AND status = 'pending'"
_UNUSED = """
SELECT subject_kind || ' ' || status FROM approvals
 WHERE run_id = $1 AND step_id IS NULL AND status IN ('pending', 'approved')
"""


async def _asked(case: Case, subject: str) -> None:
    """From now on people are asked about the runs of `below`."""
    rule = {"name": "look", "on": [subject], "workflows": ["below"], "effect": "require_approval"}
    await case.world.rules(rule)


async def _agreed(case: Case) -> None:
    """Somebody has let it go on, and died before they did more."""
    child = await case.value(_CHILD, case.run_id)
    question = await case.value(_QUESTION, child)
    if question is None:
        return
    given = {"approval_id": str(question), "user_id": str(case.world.ben.user_id), "vote": "approve"}
    more = {"reach": [str(case.world.project_id)], "comment": None, "request_hash": None, "edited": None}
    said = await call(case.world.engine.database.pool, "answer", {**given, **more})
    assert said["result"] in ("ok", "closed"), said  # closed: it has expired already


async def _may_begin(case: Case) -> None:
    await _asked(case, "run.create")
    await with_child(case)
    await _agreed(case)


async def _may_hand_out(case: Case) -> None:
    await with_child(case)
    await _asked(case, "output")
    if "work" in case.claims and await case.value(_QUESTION, await case.value(_CHILD, case.run_id)) is None:
        await end_attempt(case.world.engine, case.first, Ended(case.claims["work"], StepStatus.SUCCEEDED), claim=0)
    await _agreed(case)


async def _clear(engine: Engine, case: Case) -> UUID:
    child: UUID | None = await case.value(_CHILD, case.run_id)
    if child is None:
        raise NotFound("It has no run.")
    await advance_run(engine, child)
    return child


async def _is_answered(case: Case, said: UUID) -> str | None:
    left = await case.value(_UNUSED, said)
    return None if left is None else f"a run that was let go on is asked about: {left}"


async def _nobody_is_asked(case: Case) -> None:
    await case.world.rules()


def _clearing(name: str, ready: Any) -> Transaction:
    return Transaction(name, _clear, repeats=True, ready=ready, kept=_is_answered, after=_nobody_is_asked, late=True)


CLEARING: Sequence[Transaction] = (_clearing("CLEAR RUN", _may_begin), _clearing("CLEAR OUTPUT", _may_hand_out))
