"""Steps of type `approval`: a question to a person."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sparkops.core.durations import parse_duration
from sparkops.core.ids import new_id
from sparkops.core.json import Json, digest
from sparkops.domains.approvals.state import ApprovalStatus
from sparkops.engine.wait import ask
from sparkops.runtime.effects import StepFailed
from sparkops.runtime.gate import Parked
from sparkops.runtime.steps.base import Attempt

DEFAULT_QUESTION_SECONDS = 24 * 3600


async def run_approval(attempt: Attempt) -> Json:
    """Ask once; wait until a person has answered; then go on with the answer, or fail with a refusal.

    What the answer gives on is what the person said, and what they have vouched for: nothing of it carries a label.
    """
    request = {"title": attempt.params["title"], "show": _shown(attempt.params)}
    show = await attempt.engine.payloads.store(attempt.claim.project_id, request["show"])
    expires = attempt.params.get("expires")
    seconds = parse_duration(expires).total_seconds() if expires else DEFAULT_QUESTION_SECONDS
    answer = await ask(
        attempt.engine,
        attempt.claim,
        {
            "approval_id": str(new_id()),
            "title": request["title"],
            "request": {**request, "show": show.text},
            "request_hash": digest(request),
            "seconds": seconds,
            "demands": _demands(attempt.params),
        },
    )
    match ApprovalStatus(answer["status"]):
        case ApprovalStatus.PENDING:
            raise Parked([UUID(answer["approval_id"])])
        case ApprovalStatus.APPROVED:
            attempt.gate.labels.hand_out(())
            vouched = {"value": attempt.params["vouch"]} if "vouch" in attempt.params else {}
            return {"approved": True, "by": answer["decided_by"], "comment": answer["comment"], **vouched}
        case ApprovalStatus.REJECTED:
            raise StepFailed("rejected", f"A person rejected this: {answer['comment'] or 'no reason given'}")
        case _:
            raise StepFailed("approval-expired", "Nobody answered in time.")


def _demands(params: Mapping[str, Any]) -> dict[str, Json]:
    """Return what consent takes; a workflow names one group at most, and what it shows cannot be changed."""
    after = params.get("escalate_after")
    return {
        "approvers": [_lower(params["approvers"])] if params.get("approvers") else [],
        "quorum": params.get("quorum", 1),
        "escalate_after_seconds": parse_duration(after).total_seconds() if after else None,
        "escalate_to": _lower(params.get("escalate_to") or ()),
        "may_edit": False,
    }


def _lower(people: Sequence[str]) -> list[Json]:
    """Return roles and e-mail addresses as the accounts have them."""
    return [each.lower() for each in people]


def _shown(params: Mapping[str, Json]) -> Json:
    """Return what the person sees: also what they vouch for, so that nobody does unseen."""
    if "vouch" not in params:
        return params.get("show")
    return {**({"show": params["show"]} if "show" in params else {}), "vouch": params["vouch"]}
