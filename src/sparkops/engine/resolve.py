"""T_RESOLVE: a person says what became of an effect whose outcome nobody knows, and the step goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sparkops.core.errors import Conflict, Invalid, NotFound, TooLarge
from sparkops.core.json import Json, canonical
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.core.storable import storable, storable_text
from sparkops.engine.advance import advance_locked, go_on, lock_run
from sparkops.engine.advancing import Advanced
from sparkops.engine.context import Engine, Ring, call
from sparkops.engine.wake import wake_parents

MAX_RESPONSE_BYTES = 64_000
"""What a person may hand in as the response of a call; more belongs into a file that the response names."""

_VISIBLE = """
SELECT s.project_id FROM steps s JOIN memberships m ON m.project_id = s.project_id AND m.user_id = $3
 WHERE s.run_id = $1 AND s.id = $2 AND s.project_id = ANY ($4)
"""


class NotUncertain(Conflict):
    code, title = "not-uncertain", "Nothing here is in doubt"


class Answer(StrEnum):
    """What a person found out about an effect that was sent and whose answer was lost."""

    HAPPENED = "happened"
    """It took place, with the response that is given; the step goes on with it and nothing is sent again."""
    DID_NOT_HAPPEN = "did_not_happen"
    """It did not take place: a tool step makes a new call; an agent is told that its call failed, and decides."""
    FAIL = "fail"
    """Nobody will ever know: the step fails, with all its calls that are in doubt."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a person says about a step that is uncertain, and how they know.

    `call_id` names the call in doubt that they looked at: the step may have gone on since, and be in doubt about
    another. `output` is the response of a call that happened, None where it has none.
    """

    answer: Answer
    evidence: str
    call_id: UUID
    output: Json = None


async def resolve_step(
    engine: Engine, principal: Principal, run_id: UUID, step_id: UUID, resolution: Resolution
) -> None:
    """Record the answer with its evidence. The step goes on when this returns, unless other calls of it are in doubt.

    Also who started the run may say so: it is a finding, not an approval. Where the run was asked to stop, the step
    is cancelled whatever the answer. What was charged for the call stays charged, also if it did not happen: ledger
    lines never change, and the bound of a call that was sent may have been spent.

    Raises:
        NotFound: there is no such step in a project of theirs, or no such call in the step.
        Invalid: an output for something else than `happened`.
        TooLarge: the output has more than `MAX_RESPONSE_BYTES`.
        NotUncertain: it has been answered, cancelled, or was never in doubt; `status_now` says how it stands.
        Unavailable: a large value is needed and the object storage does not answer; nothing was written.
    """
    _check_output(resolution)
    project_id = await engine.database.pool.fetchval(
        _VISIBLE, run_id, step_id, principal.user_id, principal.reach(Permission.RUN_RESOLVE)
    )
    if project_id is None:
        raise NotFound("There is no such step in your projects.")
    document = {
        "run_id": str(run_id),
        "step_id": str(step_id),
        "user_id": str(principal.user_id),
        "answer": resolution.answer,
        "call_id": str(resolution.call_id),
        "response": (await engine.payloads.store(project_id, storable(resolution.output))).text,
        "evidence": storable_text(resolution.evidence),
    }
    desk = engine.payloads.desk()

    async def act() -> tuple[Mapping[str, Any], Advanced, Sequence[Ring]]:
        async with engine.database.pool.acquire() as connection, connection.transaction():
            run = await lock_run(connection, run_id)
            resolved = await call(connection, "resolve", document)
            _refuse(resolved)
            advanced = await advance_locked(engine, connection, run, desk)
            return resolved, advanced, await call(connection, "emit", [*resolved["events"], *advanced.events])

    resolved, advanced, rings = await desk.decide(act)
    engine.bell.log_grew(rings)
    if resolved["status"] == "ready" or advanced.ready:
        engine.bell.work("run")
    await wake_parents(engine, advanced.parents)
    await go_on(engine, run_id, advanced)


def _check_output(resolution: Resolution) -> None:
    if resolution.output is None:
        return
    if resolution.answer is not Answer.HAPPENED:
        raise Invalid("An output belongs to a call that happened.")
    size = len(canonical(resolution.output))
    if size > MAX_RESPONSE_BYTES:
        raise TooLarge(f"The output has {size} bytes; at most {MAX_RESPONSE_BYTES} are taken.")


def _refuse(resolved: Mapping[str, Any]) -> None:
    """Raise why nothing was written, if nothing was."""
    match resolved["result"]:
        case "closed":
            status = resolved["status"]
            raise NotUncertain(f"The step is not uncertain: it is {status} now.", status_now=status)
        case "call_closed":
            status = resolved["status"]
            raise NotUncertain(f"This call is not in doubt: it is {status} now.", status_now=status)
        case "no_call":
            raise NotFound("This step has no such call.")
