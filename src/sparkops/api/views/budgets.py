"""Budgets: what was defined, how far each of their windows is, and what a run has cost."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from sparkops.api.views.base import Ref, Slug, View
from sparkops.domains.budgets.definition import Action, Admission, AdmissionBy, NewBudget, Period, Scope, Terms

Kind = Literal["money", "tokens", "calls", "runs"]


class NewBudgetBody(NewBudget):
    """A budget to be defined. `project` of None: of the installation."""

    project: Slug | None = None


class BudgetTerms(Terms):
    """What a budget allows from now on."""


class BudgetLimits(View):
    """How much a budget allows; null: any amount."""

    money_micros: int | None
    tokens: int | None
    calls: int | None
    runs: int | None


class BudgetThreshold(View):
    percent: int
    action: Action


class SpendForecast(View):
    """Where the spending ends if it goes on as it did on average since the period began."""

    micros: int
    exhausted_at: datetime | None
    """When the limit is reached; null: not in this period."""
    method: str


class BudgetWindow(View):
    """One period of a budget, for one member of its scope."""

    id: UUID
    member: Ref | None
    """The project, workflow, agent, user or run; null: the installation, or what is gone."""
    starts_at: datetime | None
    ends_at: datetime | None
    """When it begins anew; null: no time ends it."""
    limits: BudgetLimits
    spent_micros: int
    held_micros: int
    """What calls that are under way may cost at most."""
    spent_tokens: int
    held_tokens: int
    calls: int
    runs: int
    forecast: SpendForecast | None
    """Null: there is no limit of money, no end, or the period has only begun."""


class Budget(View):
    id: UUID
    project: str | None
    """None: it is of the installation."""
    name: str
    scope: Scope
    target: Ref | None
    """None: each member of the scope has a budget of its own."""
    period: Period
    time_zone: str
    limits: BudgetLimits
    thresholds: list[BudgetThreshold]
    admission: Admission | None
    admission_by: AdmissionBy
    waiting: int
    """How many steps wait for it."""
    windows: list[BudgetWindow]
    """Those that are going on, the fullest ten."""
    members: int
    """How many are going on."""
    may_change: bool
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


class BudgetList(View):
    items: list[Budget]
    next_cursor: str | None


class BudgetWindowList(View):
    items: list[BudgetWindow]
    next_cursor: str | None


class CoursePoint(View):
    """What had been spent at a moment since the window began."""

    at: datetime
    micros: int
    tokens: int


class BudgetCourse(View):
    """How the spending of one window went, in at most 60 points."""

    window: BudgetWindow
    points: list[CoursePoint]


class BudgetNotice(View):
    """A threshold was reached for the first time in a window, or (`forecast`) its spending leads beyond the limit."""

    id: UUID
    window_id: UUID
    member: Ref | None
    kind: Kind
    percent: int
    action: Action | Literal["forecast"]
    run_id: UUID | None
    """The run that reached it, or was charged last; null: it is not of this project."""
    at: datetime


class BudgetNoticeList(View):
    items: list[BudgetNotice]
    next_cursor: str | None


class RunForecast(View):
    """What a run of a workflow version can be expected to cost, with all runs below it."""

    workflow: Ref
    version: int
    runs: int
    """How many past runs tell that: the last 50 at most."""
    median_micros: int | None
    p95_micros: int | None
    method: str


class CostLine(View):
    """What the calls of one step to one model or tool have cost."""

    step_key: str
    step_type: str
    agent: str | None
    kind: Literal["llm", "tool"]
    name: str
    calls: int
    cost_micros: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    """Of the input, those that came from the provider's cache."""
    reasoning_tokens: int
    """Of the output."""


class CostPoint(View):
    at: datetime
    micros: int


class RunBudgetUse(View):
    """A budget that the run counts against, as it stands now."""

    budget_id: UUID | None
    """None: the run's own."""
    name: str
    period: Period
    ends_at: datetime | None
    limit_micros: int | None
    spent_micros: int
    held_micros: int
    by_this_run_micros: int


class RunCosts(View):
    """What a run has cost, and where."""

    cost_micros: int
    """Of its own calls."""
    below_micros: int
    """Of the runs below it."""
    presumed_micros: int
    """Of both, what was charged at its bound, because the answer was lost."""
    lines: list[CostLine]
    """The dearest 500."""
    points: Annotated[list[CostPoint], Field(max_length=500)]
    """What the calls of the run had cost at a moment."""
    budgets: list[RunBudgetUse]
