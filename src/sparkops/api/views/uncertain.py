"""Steps with an effect that may or may not have happened, and what a person says about it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, JsonValue

from sparkops.api.views.base import Body, Kept, View
from sparkops.api.views.runs import Worker, WorkflowRef
from sparkops.domains.effects.state import CallKind, CallStatus
from sparkops.domains.runs.state import AttemptOutcome, RunStatus
from sparkops.engine.resolve import Answer

MAX_EVIDENCE_CHARS = 4_000


class DoubtfulCall(View):
    """An effect whose outcome nobody knows. `sent_at` is when it was allowed to leave."""

    id: UUID
    seq: int
    kind: CallKind
    name: str
    status: CallStatus
    request: JsonValue
    request_hash: str
    sent_at: datetime | None
    attempt: int
    outcome: AttemptOutcome | None
    """How that attempt ended."""
    worker: Worker | None
    """Who held that attempt."""
    why: str
    """Why nobody knows."""
    cost_micros: int
    """What is presumed to be spent."""


class Consequence(View):
    """What one answer would do."""

    answer: Answer
    effect: str


class UncertainStep(View):
    """A step that goes on only after a person has said what became of its calls."""

    id: UUID
    project: str
    run_id: UUID
    run_status: RunStatus
    workflow: WorkflowRef
    key: str
    path: str
    type: str
    since: datetime | None
    calls: list[DoubtfulCall]
    answers: list[Consequence]


class UncertainList(View):
    items: list[UncertainStep]
    next_cursor: str | None


class Resolve(Body):
    """What a person found out, and how. `call_id` is the call in doubt that they looked at, one of the step's.

    `output` is the response of a call that happened.
    """

    answer: Answer
    evidence: Annotated[str, Field(min_length=1, max_length=MAX_EVIDENCE_CHARS)]
    call_id: UUID
    output: Kept = None
