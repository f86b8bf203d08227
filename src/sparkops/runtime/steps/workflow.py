"""Steps of type `workflow`: a run of another workflow."""

from uuid import UUID

from sparkops.core.errors import Invalid, Unavailable
from sparkops.core.json import Json
from sparkops.domains.runs.state import RunStatus
from sparkops.engine.accept import ConcurrencyFull
from sparkops.engine.children import Child, accept_child, child_of, made_of
from sparkops.engine.document import InputTooLarge
from sparkops.engine.judging import DeniedByPolicy
from sparkops.engine.pins import workflow_ref
from sparkops.engine.wait import wait_for_child
from sparkops.runtime.effects import StepFailed
from sparkops.runtime.steps.base import Attempt, reason_of, went_on

CHILD_FAILED = "child-failed"


async def run_workflow(attempt: Attempt) -> Json:
    """Start the run; wait until it has ended; return its output, or fail as it did.

    Where the retry policy of the step names `child-failed`, another run is started in its place.
    """
    child = await child_of(attempt.engine, attempt.step_id) if attempt.claim.lease.attempt > 1 else None
    if child is None:
        await _start(attempt)
    went_on(await wait_for_child(attempt.engine, attempt.claim))
    ended = await child_of(attempt.engine, attempt.step_id, await made_of(attempt.engine, _version_id(attempt)))
    assert ended is not None, "it was waited for"
    return await _output(attempt, ended)


async def _start(attempt: Attempt) -> None:
    inputs, labels = dict(attempt.params), attempt.gate.labels.seen
    try:
        await accept_child(attempt.engine, attempt.claim, _version_id(attempt), inputs, labels=labels)
    except (Invalid, InputTooLarge, DeniedByPolicy) as invalid:
        raise StepFailed(invalid.code, invalid.detail) from None
    except (ConcurrencyFull, Unavailable) as later:
        raise StepFailed(later.code, later.detail, retryable=True) from None


def _version_id(attempt: Attempt) -> UUID:
    ref = workflow_ref(attempt.node.name or "", attempt.node.version)
    return UUID(attempt.claim.pins["workflows"][ref])


async def _output(attempt: Attempt, child: Child) -> Json:
    match child.status:
        case RunStatus.SUCCEEDED:
            attempt.gate.labels.hand_out(child.labels)
            return await attempt.engine.payloads.load(attempt.claim.project_id, child.output)
        case RunStatus.CANCELLED:
            raise StepFailed("child-cancelled", f"Run {child.run_id} of {attempt.node.name} was cancelled.")
        case _:
            reason = reason_of(child.error)
            raise StepFailed(
                CHILD_FAILED,
                f"Run {child.run_id} of {attempt.node.name} failed: {reason}",
                retryable=attempt.node.retry.names(CHILD_FAILED),
            )
