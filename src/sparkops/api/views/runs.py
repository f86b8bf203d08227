"""Runs and everything below them: steps, attempts, calls, events, artifacts."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue

from sparkops.api.views.base import Body, Ref, Slug, VersionNumber, View
from sparkops.core.labels import LabelList
from sparkops.domains.effects.state import CallKind, CallStatus, EffectClass
from sparkops.domains.runs.state import AttemptOutcome, RunStatus, SourceKind, StepStatus
from sparkops.domains.workflows.options import JoinRule

MAX_MICROS = 2**53 - 1
"""What a JavaScript number can hold exactly."""


Priority = Literal["high", "normal", "low"]
"""Which steps are claimed first, and which queued runs go on first."""


class WorkflowRef(View):
    """Which version of which workflow."""

    id: UUID
    name: str
    version: int


class Failure(View):
    """Why something failed: a stable code and a sentence."""

    code: str
    message: str


class TokenCount(View):
    input: int
    output: int


class RunBudget(View):
    """What the run may spend, has spent, and holds for calls in flight."""

    limit_micros: int
    spent_micros: int
    reserved_micros: int


class RunSource(View):
    """The run that a run was made from, and how."""

    run_id: UUID
    kind: SourceKind


class RunParent(View):
    """The step that started a run as its sub-workflow, and waits for it."""

    run_id: UUID
    step_id: UUID
    step_key: str


class RunConcurrency(View):
    """What a run counts with: so many runs of its workflow with this key go on at once."""

    key: str
    limit: int


QueuedBehind = Literal["pause", "project", "workflow", "concurrency", "budget"]
"""What leaves no room for a run: the pause of its workflow, the limit of one of these, or budgets that limit runs."""


class QueuedBudget(View):
    """A budget that a run waits for: `percent` of `limit_runs` may begin before others wait, and `used_runs` did."""

    id: UUID
    name: str
    limit_runs: int
    used_runs: int
    percent: int
    resets_at: datetime | None
    """null: it never resets."""


class RunSummary(View):
    """A run as lists show it."""

    id: UUID
    project: str
    workflow: WorkflowRef
    status: RunStatus
    trigger: str
    error: Failure | None
    created_by: Ref | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    priority: Priority
    paused_at: datetime | None
    paused_by: Ref | None
    """Who paused this run alone; null while it is paused with its workflow, or not at all."""
    cancel_requested_at: datetime | None
    cost_micros: int
    tokens: TokenCount
    budget: RunBudget | None
    steps_total: int
    last_seq: int
    """The sequence number of its newest event."""
    scripted: bool
    """A declared script stands in for a model somewhere in this run."""
    source: RunSource | None


class RunList(View):
    items: list[RunSummary]
    next_cursor: str | None


class Run(RunSummary):
    """A run whole."""

    input: JsonValue
    output: JsonValue
    steps_by_status: dict[StepStatus, int]
    deadline_at: datetime | None
    """When it is cancelled if it still goes on; the time that it is held is given back to it. Moves on while it
    is halted."""
    ends_as: Literal["failed", "cancelled"] | None
    """While it takes its effects back: what it will have ended as."""
    parent: RunParent | None
    concurrency: RunConcurrency | None
    queued_behind: QueuedBehind | None
    """Why a queued run does not go on; null: it is about to, or is not queued."""
    queued_budgets: list[QueuedBudget]
    """Those that limit runs and have no room for it, where it waits for budgets."""
    log_removed_at: datetime | None
    """When its log was removed, because the project keeps logs no longer; null: it is there."""
    values_removed_at: datetime | None
    """As above, of what it worked with: input, output, requests, answers, files. It cannot be done again then."""


class NewRun(Body):
    """What to run; `version` of None is the latest one."""

    project: Slug
    workflow: Annotated[str, Field(min_length=1, max_length=100)]
    version: VersionNumber | None = None
    input: JsonValue = None
    budget_micros: Annotated[int, Field(ge=0, le=MAX_MICROS)] | None = None
    priority: Priority | None = None
    """None: as the workflow says."""
    labels: LabelList = ()
    """Of the input: `untrusted:mail` for what strangers wrote, `private:customer` for what concerns somebody."""

    model_config = Body.model_config | {"str_strip_whitespace": False}


class FrameCounts(View):
    """How far a map or loop is that has begun. `total` of None: a loop, whose passes come one by one."""

    total: int | None
    concurrency: int
    stop_on_error: bool
    expanded: int
    """Items or passes that have their steps."""
    started: int
    ended: int
    failed: int


class ChildRun(View):
    """The run of a sub-workflow."""

    run_id: UUID
    workflow: WorkflowRef
    status: RunStatus


class Step(View):
    """One step of a run, without its output.

    A step of a body has `parent_id`, its map or loop, and `frame_no`, which item (from 0) or which pass (from 1).
    """

    id: UUID
    key: str
    path: str
    type: str
    position: int
    needs: list[str]
    join: JoinRule
    join_count: int | None
    """How its needs count, and for `at_least` how many."""
    name: str | None
    """The tool, the agent or the model that it uses."""
    status: StepStatus
    attempt: int
    failures: int
    crashes: int
    ready_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    waiting_for: dict[str, JsonValue] | None
    error: Failure | None
    cost_micros: int
    copied_from: UUID | None
    """The step of the source run whose result this is; it was not attempted in this run."""
    parent_id: UUID | None
    frame_no: int | None
    undo_of: UUID | None
    """The step whose effect it takes back."""
    held: bool
    """It may not start, because its run is paused or queued."""
    not_before: datetime
    """A step that is ready is not attempted earlier: the pause before another attempt."""
    fails_at: datetime | None
    """When its deadline is over; null: it has none, or was never ready. Moves on while it is halted."""
    wake_at: datetime | None
    """When a wait is over."""
    chosen: list[str] | None
    """Of a branch that has decided: the steps that it chose."""
    frames: FrameCounts | None
    child: ChildRun | None


class StepList(View):
    items: list[Step]
    next_cursor: str | None


class Worker(View):
    """The worker process that held an attempt."""

    id: UUID
    host: str
    pid: int


class Attempt(View):
    """One try at a step."""

    attempt: int
    worker: Worker | None
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None
    error: Failure | None


class StepDetail(Step):
    """A step whole."""

    output: JsonValue
    attempts: list[Attempt]
    skipped_because: str | None
    """`condition`, `upstream`, `branch` (it chose others) or `no-error` (there was no failure to handle)."""


FrameStatus = Literal["waiting", "open", "succeeded", "failed", "cancelled"]


class Frame(View):
    """One item of a map or one pass of a loop. `value` is the beginning of the JSON text of what its steps are given:
    the item, or the output of the pass before."""

    no: int
    status: FrameStatus
    value: str | None
    error: Failure | None
    finished_at: datetime | None


class FrameList(View):
    """`next_cursor` is the `after` to go on with."""

    items: list[Frame]
    next_cursor: str | None


class Decision(View):
    """What the policy said to a call, and which rule said it; None: no rule matched."""

    id: UUID
    outcome: Literal["allow", "deny", "require_approval"]
    rule: str | None
    reason: str | None
    policy_version: int


class CallEdit(View):
    """What an approver made of the request of a call: this is what goes out, or has."""

    request: JsonValue
    by: Ref
    at: datetime


class Call(View):
    """One effect of a step: intent, decision, outcome and cost. `attempt` 0: a copy from the source run, not sent.

    `request` is what the step asked for. `edit` of None: that, as it is, goes out if anything does.
    """

    id: UUID
    step_id: UUID
    step_key: str
    seq: int
    kind: CallKind
    name: str
    effect_class: EffectClass
    status: CallStatus
    request: JsonValue
    response: JsonValue
    error: Failure | None
    usage: dict[str, JsonValue] | None
    cost_micros: int
    sends: int
    attempt: int
    proposed_at: datetime
    prepared_at: datetime | None
    finished_at: datetime | None
    decision: Decision | None
    approval_id: UUID | None
    edit: CallEdit | None


class CallList(View):
    items: list[Call]
    next_cursor: str | None


class Event(View):
    """One line of a run's log."""

    seq: int
    at: datetime
    kind: str
    step_id: UUID | None
    data: dict[str, JsonValue]


class EventList(View):
    """`next_cursor` is the `since` to go on with; None: this is the newest."""

    items: list[Event]
    next_cursor: str | None


class Artifact(View):
    """One version of one file of a run."""

    id: UUID
    name: str
    version: int
    media_type: str
    size_bytes: int
    sha256: str
    step_id: UUID
    created_at: datetime


class ArtifactList(View):
    items: list[Artifact]
    next_cursor: str | None
