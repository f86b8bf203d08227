"""Runs made from other runs: what they keep and repeat, and how they are asked for."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, JsonValue

from sparkops.api.views.base import Body, VersionNumber, View
from sparkops.api.views.runs import MAX_MICROS, TokenCount
from sparkops.core.labels import LabelList
from sparkops.domains.effects.state import CallStatus, EffectClass
from sparkops.domains.runs.state import RunStatus, SourceKind, StepStatus
from sparkops.engine.kept import Why

StepKey = Annotated[str, Field(min_length=1, max_length=100, examples=["fetch"])]
Budget = Annotated[int, Field(ge=0, le=MAX_MICROS)]


class PlannedStep(View):
    """What happens to one step. `calls`, `cost_micros` and `tokens` are those of the source alone.

    `why` of None: it is kept. `because` names the steps that it is behind, or the inputs that are others now.
    `last_status` of None: the source has no such step. `tokens` of None: none were recorded.
    """

    key: str
    type: str
    name: str | None
    kept: bool
    why: Why | None
    because: list[str]
    explanation: str
    last_status: StepStatus | None
    calls: int
    cost_micros: int
    tokens: TokenCount | None
    inputs: list[str]
    """The inputs that it may read: with another value it runs again."""
    kept_calls: int
    """Recorded calls from which it is answered when it runs again."""
    repeats: int
    """Side effects that it repeats."""


class RepeatedEffect(View):
    """A call that changed something outside and would be made again; a sub-workflow's has another `run_id`."""

    call_id: UUID
    run_id: UUID
    step_id: UUID
    key: str
    name: str
    effect_class: EffectClass
    status: CallStatus
    arguments: str
    """The beginning of their JSON text."""
    request_hash: str
    at: datetime | None


class PlanTotals(View):
    """Sums over the steps. What runs again cost so much last time; it may cost something else this time."""

    kept_steps: int
    kept_cost_micros: int
    again_steps: int
    again_calls: int
    again_cost_micros: int
    kept_calls: int
    repeats: int


class RerunPlan(View):
    """What a new run made from this one would keep and do again. `effects` are the first of `totals.repeats`."""

    run_id: UUID
    kind: SourceKind
    start: str | None
    version: int
    labels: list[str]
    """Those of the input of the new run."""
    source_status: RunStatus
    steps: list[PlannedStep]
    gone: list[str]
    """Steps of the source that the version does not have."""
    effects: list[RepeatedEffect]
    totals: PlanTotals


class _OwnInput(Body):
    """The input of the new run and its labels."""

    input: JsonValue = None
    labels: LabelList | None = None

    model_config = Body.model_config | {"str_strip_whitespace": False}

    @property
    def same_input(self) -> bool:
        return "input" not in self.model_fields_set

    @property
    def stated_labels(self) -> frozenset[str] | None:
        return None if self.labels is None else frozenset(self.labels)


class Retry(Body):
    """`keep_calls`: what is done again is answered from the calls that are on record as done, and not bought anew.

    `repeat_doubtful`: calls of which nobody knows whether they happened may be made again, although they must not
    happen twice.

    `budget_micros` of None: what the source was allowed.
    """

    keep_calls: bool = True
    repeat_doubtful: bool = False
    budget_micros: Budget | None = None


class Rerun(_OwnInput):
    """Everything again. Without `version` and `input` under those of the source; `input` of null is no input.

    `labels` are those of the input. Left out or null: those of the input of the source, also where the input is
    another. What a person states takes their place; what a key states is added to them.

    `repeat_doubtful` as for a retry.
    """

    version: VersionNumber | None = None
    repeat_doubtful: bool = False
    budget_micros: Budget | None = None


class Fork(Rerun):
    """From this step on, by its id in the definition: it and all behind it run again."""

    start: StepKey = Field(alias="from")


class PlanQuestion(_OwnInput):
    """What a plan is asked for: as the request that would start the run, and its kind. `start` is for a fork alone."""

    kind: SourceKind
    start: StepKey | None = Field(default=None, alias="from")
    version: VersionNumber | None = None
    keep_calls: bool = True
