"""Questions to people."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue

from sparkops.api.views.base import Body, Ref, View
from sparkops.api.views.runs import WorkflowRef
from sparkops.domains.approvals.state import ApprovalStatus

SubjectKind = Literal["run", "step", "call"]


class Approval(View):
    """One question, bound to the digest of one exact action."""

    id: UUID
    project: str
    run_id: UUID
    step_id: UUID
    workflow: WorkflowRef
    step_key: str
    subject_kind: SubjectKind
    title: str
    reason: str | None
    rule: str | None
    proposed_request: JsonValue
    status: ApprovalStatus
    requested_by: Ref | None
    """On whose behalf the run acts; this person may not answer."""
    requested_at: datetime
    expires_at: datetime
    decided_by: Ref | None
    decided_at: datetime | None
    comment: str | None
    money_micros: int | None
    """What the run has spent so far."""


class ApprovalList(View):
    items: list[Approval]
    next_cursor: str | None


class Approve(Body):
    comment: Annotated[str, Field(max_length=2_000)] | None = None


class Reject(Body):
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]
