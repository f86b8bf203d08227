"""Questions to people, and what they say to them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue

from sparkops.api.views.base import Body, Ref, View
from sparkops.api.views.runs import WorkflowRef
from sparkops.domains.approvals.state import ApprovalStatus
from sparkops.domains.effects.state import EffectClass

Answer = Literal["approve", "reject"]
SubjectKind = Literal["run", "step", "call"]


Comment = Annotated[str, Field(max_length=2_000)]
Digest = Annotated[str, Field(min_length=1, max_length=200)]


class Demands(View):
    """What consent takes: of each group of `approvers` (roles and e-mail addresses) somebody, `quorum` people in all.

    No groups: any member who did not start the run. `escalate_to` may answer as well once it is escalated.
    """

    approvers: list[list[str]]
    quorum: int
    escalate_to: list[str]
    may_edit: bool


class Vote(View):
    """What one person said. `current`: to what is asked about now; an approver may have changed the request since."""

    by: Ref
    vote: Answer
    comment: str | None
    at: datetime
    current: bool


class Approval(View):
    """One question, bound to the digest of one exact action.

    `request_hash` is the digest of what is asked about now: the proposed request, or what an approver made of it.
    Whoever approves sends it back, so that nobody agrees to what they have not seen.
    """

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
    name: str | None
    """The tool or the model; None where a workflow asks."""
    proposed_request: JsonValue
    request_hash: str
    edited_request: JsonValue | None
    edited_by: Ref | None
    edited_at: datetime | None
    demands: Demands
    votes: list[Vote]
    agreed: int
    """How many people have agreed to what is asked about now, and may still answer."""
    missing: list[list[str]]
    """The groups of which nobody has agreed yet."""
    may_answer: bool
    """Whether the rules let the caller answer."""
    escalate_at: datetime | None
    escalated_at: datetime | None
    reminder: bool
    """Half of the time has passed without an answer."""
    at_stake_micros: int | None
    """What the call may cost at most; None where that is not known."""
    link: str
    """The path of a signed link for mail and chat, which still asks for a sign-in."""
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
    comment: Comment | None = None
    request_hash: Digest | None = None
    """Of the request that was shown; None: the one that was proposed."""


class EditAndApprove(Body):
    arguments: dict[str, JsonValue]
    """Of the tool, in place of those that were shown."""
    comment: Comment | None = None
    request_hash: Digest | None = None
    """Of the request that was shown and has been changed; None: the one that was proposed."""


class Message(View):
    """What somebody asked or told about a question."""

    id: UUID
    by: Ref
    text: str
    at: datetime


class MessageList(View):
    items: list[Message]


class NewMessage(Body):
    text: Annotated[str, Field(min_length=1, max_length=4_000)]


class Answered(View):
    """A question of the same kind that was answered before: about the same tool or model, held by the same rule."""

    id: UUID
    run_id: UUID
    title: str
    request: JsonValue
    """What was approved or rejected: with what an approver made of it."""
    edited: bool
    status: ApprovalStatus
    decided_by: Ref | None
    decided_at: datetime | None
    comment: str | None


class PolicyRef(View):
    id: UUID
    name: str
    version: int


class Preview(View):
    """What will go out if people agree, and what they need to decide. Nothing of it is sent before."""

    kind: Literal["llm", "tool"] | None
    """None: a workflow asks, and nothing goes out."""
    name: str | None
    description: str | None
    effect_class: EffectClass | None
    idempotency_key: UUID | None
    """What the target gets, so that sending twice has one effect; None: it is not told apart."""
    request: JsonValue
    request_hash: str
    parameters: JsonValue | None
    """The JSON Schema of the tool's arguments."""
    tool_changed: bool
    """The tool is another one than was asked about: an approval would not be used."""
    policy: PolicyRef | None
    severity: str | None
    facts: dict[str, JsonValue]
    """What the rule saw when it decided, without the arguments."""
    last_approved: Answered | None
    earlier: list[Answered]
    """The newest that were answered, of the same kind."""


class Reject(Body):
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]
