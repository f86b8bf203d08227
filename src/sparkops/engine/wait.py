"""T_WAIT and T_WAKE: a step lets go of its worker until what it awaits is there, and goes on when it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sparkops.core.failpoints import failpoint
from sparkops.engine.advance import advance_soon
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine, call


@dataclass(frozen=True, slots=True)
class Wait:
    """What became of the wish to wait.

    `waiting`: the step is parked. `there`: nothing was written, the attempt goes on. `ready`: parked, and to be
    attempted again. `cancelled`: the run was asked to stop, and the step has ended. `until` is when a timer or the
    wait for an event is over, `due_in` how long that still takes; None where no time ends it.
    """

    status: Literal["waiting", "there", "ready", "cancelled"]
    until: datetime | None
    due_in: timedelta | None


async def wait_for_approvals(
    engine: Engine, claim: Claim, approvals: Sequence[UUID], looked: Mapping[UUID, str] | None = None
) -> None:
    """Park the step until one of these is answered; an answer that is there already makes it ready at once.

    `looked`: of those about which people were told what would happen, the digest of the request that it was told of. An
    approver who changes one of these requests makes the step ready, too, so that it is told again.

    Raises:
        Fenced: another attempt has the step.
    """
    told = {"looked": {str(approval): request for approval, request in looked.items()}} if looked else {}
    await _wait(engine, claim, {"kind": "approval", "approvals": [str(one) for one in approvals], **told})


async def wait_for_budget(engine: Engine, claim: Claim, budget: Mapping[str, Any]) -> Wait:
    """Park the step until a budget has room for it, as its PREPARE said; room that is there already makes it ready.

    Raises:
        Fenced: another attempt has the step.
    """
    return await _wait(engine, claim, budget)


async def wait_until(engine: Engine, claim: Claim, moment: datetime) -> Wait:
    """Park the step until a moment; one that has come lets the attempt go on.

    Raises:
        Fenced: another attempt has the step.
    """
    return await _wait(engine, claim, {"kind": "timer", "until": moment.isoformat()})


async def wait_seconds(engine: Engine, claim: Claim, duration: timedelta) -> Wait:
    """Park the step until this long after its first attempt began, however often it is attempted.

    Raises:
        Fenced: another attempt has the step.
    """
    return await _wait(engine, claim, {"kind": "timer", "seconds": duration.total_seconds()})


async def wait_for_event(engine: Engine, claim: Claim, name: str, *, after: datetime | None, within: timedelta) -> Wait:
    """Park the step until an event fits; one that came after those which the attempt has seen lets it go on.

    `after`: when the last event was received that it has seen, None if it has seen none. `within` counts from the
    first attempt; once it is over the attempt goes on, too.

    Raises:
        Fenced: another attempt has the step.
    """
    seen = after.isoformat() if after is not None else None
    wanted = {"kind": "event", "event": name, "after": seen, "seconds": within.total_seconds()}
    return await _wait(engine, claim, wanted)


async def wait_for_child(engine: Engine, claim: Claim) -> Wait:
    """Park the step until its sub-workflow has ended.

    Raises:
        Fenced: another attempt has the step.
    """
    return await _wait(engine, claim, {"kind": "run"})


async def wait_for_frames(engine: Engine, claim: Claim) -> Wait:
    """Park a `map` or `loop` step until it has something to do again.

    Raises:
        Fenced: another attempt has the step.
    """
    return await _wait(engine, claim, {"kind": "frames"})


async def _wait(engine: Engine, claim: Claim, wanted: Mapping[str, Any]) -> Wait:
    failpoint("before_wait")
    answer = await call(engine.database.pool, "wait", {**claim.lease.to_json(), "for": wanted})
    failpoint("after_wait")
    engine.bell.log_grew(answer["rings"])
    if answer["status"] == "ready":
        engine.bell.work("run")
    elif answer["status"] == "cancelled":
        await advance_soon(engine, claim.run_id)
    until = answer["until"]
    return Wait(
        answer["status"],
        datetime.fromisoformat(until) if until is not None else None,
        timedelta(seconds=answer["due_seconds"]) if until is not None else None,
    )


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
