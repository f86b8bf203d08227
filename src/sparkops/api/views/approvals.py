"""Questions to people, and what they say to them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue

from sparkops.api.views.base import Body, Kept, Ref, View
from sparkops.api.views.runs import WorkflowRef
from sparkops.domains.approvals.state import ApprovalStatus
from sparkops.domains.effects.state import EffectClass

Answer = Literal["approve", "reject"]
SubjectKind = Literal["run", "step", "call", "output"]


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


class AskingBudget(View):
    """A budget that people are asked about before a run begins: it has had so many runs already (`runs`), or less left
    than such a run can be expected to cost (`forecast`); or before a call leaves, that would go beyond it (`call`).
    Figures of the other kinds are None."""

    budget_id: UUID
    name: str
    about: Literal["runs", "forecast", "call"]
    reason: str
    """In one sentence, as it stood when the question was put."""
    resets_at: datetime | None
    """When its period turns; None: never."""
    limit_runs: int | None = None
    used_runs: int | None = None
    percent: int | None = None
    """Of the limit, up to which nobody is asked."""
    room_micros: int | None = None
    """What is left of it; negative where it is overdrawn."""
    expected_micros: int | None = None
    """What has to fit: the median or the p95, as the budget says."""
    median_micros: int | None = None
    p95_micros: int | None = None
    runs: int | None = None
    """How many past runs of this version tell what one costs."""


class Vote(View):
    """What one person said. `current`: to what is asked about now; an approver may have changed the request since."""

    by: Ref
    vote: Answer
    comment: str | None
    at: datetime
    current: bool


class Reassigned(View):
    """Somebody let another person, or a role, answer in their place."""

    by: Ref
    to: str
    """A role or an e-mail address, as in `demands`."""
    at: datetime
    comment: str | None


class Approval(View):
    """One question, bound to the digest of one exact action.

    `request_hash` is the digest of what is asked about now: the proposed request, or what an approver made of it.
    Whoever approves sends it back, so that nobody agrees to what they have not seen.
    """

    id: UUID
    project: str
    run_id: UUID
    step_id: UUID | None
    """None where the question is about the run itself."""
    workflow: WorkflowRef
    step_key: str | None
    subject_kind: SubjectKind
    """`run`: whether it begins; `output`: whether its output is handed out; else one of its steps asks."""
    title: str
    reason: str | None
    rule: str | None
    name: str | None
    """The tool or the model, or the workflow of a run that is asked about; None where a workflow asks."""
    proposed_request: JsonValue
    request_hash: str
    edited_request: JsonValue | None
    edited_by: Ref | None
    edited_at: datetime | None
    demands: Demands
    budgets: list[AskingBudget]
    """Those that ask whether the run may begin, or the call leave; consent lets it pass these, and no others."""
    reassigned: list[Reassigned]
    """In order; who is named by `by` does not answer any more."""
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
    reminded_at: datetime | None
    """When the run's log said so (`approval.reminded`), once; None: it did not."""
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
    arguments: dict[str, Kept]
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


class Touched(View):
    """How many rows a call would touch: counted (`exact`), as its target expects (`estimated`), or not known."""

    count: int | None
    basis: Literal["exact", "estimated", "unknown"]
    why: str | None


class Outlook(View):
    """What a call would do, as its target told without doing any of it when the question was put."""

    what: str
    rows: Touched
    besides: list[str]
    """What else may happen, in sentences."""
    plan: list[str]
    """The target's own plan, line by line."""
    made_at: datetime
    request_hash: str
    """Of the request that this is about; an approver may have changed it since."""


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
    outlook: Outlook | None
    """None: the tool tells nothing beforehand, or its target is still being asked."""
    facts: dict[str, JsonValue]
    """What the rule saw when it decided, without the arguments."""
    last_approved: Answered | None
    earlier: list[Answered]
    """The newest that were answered, of the same kind."""


class Reassign(Body):
    to: Annotated[str, Field(min_length=1, max_length=320)]
    """A role, or the e-mail address of a member."""
    comment: Comment | None = None


class Reject(Body):
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]
