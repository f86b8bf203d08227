"""T_WAIT: a step lets go of its worker until a person has answered."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sparkops.core.failpoints import failpoint
from sparkops.engine.advance import advance_run
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine, call


async def wait_for_approvals(engine: Engine, claim: Claim, approvals: Sequence[UUID]) -> None:
    """Park the step until one of these is answered; an answer that is there already makes it ready at once.

    Raises:
        Fenced: another attempt has the step.
    """
    failpoint("before_wait")
    answer = await call(
        engine.database.pool,
        "wait",
        {**claim.lease.to_json(), "approvals": [str(approval) for approval in approvals]},
    )
    failpoint("after_wait")
    engine.bell.log_grew(answer["rings"])
    if answer["status"] == "ready":
        engine.bell.work("run")
    elif answer["status"] == "cancelled":
        await advance_run(engine, claim.run_id)


async def ask(engine: Engine, claim: Claim, question: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the question of an `approval` step, once, and return how it stands.

    The answer has `approval_id`, `status`, `decided_by` and `comment`.

    Raises:
        Fenced, CancelRequested, NonDeterministic: nothing was written.
    """
    failpoint("before_ask")
    answer: Mapping[str, Any] = await call(engine.database.pool, "ask", {**claim.lease.to_json(), **question})
    failpoint("after_ask")
    engine.bell.log_grew(answer["rings"])
    return answer
