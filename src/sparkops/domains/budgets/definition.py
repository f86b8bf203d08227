"""What a person states when they define a budget: checked once, here."""

from enum import StrEnum
from typing import Annotated, Final, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_AMOUNT: Final = 1_000_000_000_000_000
"""A thousand million dollars, or as many tokens, calls or runs: nobody means more."""
MAX_THRESHOLDS: Final = 20
MAX_PERCENT: Final = 1_000
AT_LIMIT: Final = 100


class Scope(StrEnum):
    """Whom a budget is for."""

    INSTALLATION = "installation"
    PROJECT = "project"
    WORKFLOW = "workflow"
    AGENT = "agent"
    API_KEY = "api_key"
    USER = "user"
    RUN = "run"
    """A run with all runs below it."""


class Period(StrEnum):
    """After what time it begins anew."""

    RUN = "run"
    """For each run with all runs below it."""
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"
    """Never."""


class Action(StrEnum):
    """What is done where a threshold is reached (`notify`), or would be gone beyond (the others)."""

    NOTIFY = "notify"
    REQUIRE_APPROVAL = "require_approval"
    PAUSE = "pause"
    DENY = "deny"


class Admission(StrEnum):
    """What is done with a run whose forecast cost does not fit."""

    ASK = "ask"
    REFUSE = "refuse"


class AdmissionBy(StrEnum):
    """Which forecast has to fit."""

    MEDIAN = "median"
    P95 = "p95"


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("must be the name of a time zone, such as Europe/Berlin")
    return name


TimeZone = Annotated[str, AfterValidator(_zone)]
Amount = Annotated[int, Field(ge=0, le=MAX_AMOUNT)]


class Threshold(BaseModel):
    """What is done at so many percent of a limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    percent: Annotated[int, Field(ge=1, le=MAX_PERCENT)]
    action: Action


class Terms(BaseModel):
    """What may be changed later: how much, and what happens on the way there."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    limit_micros: Amount | None = None
    limit_tokens: Amount | None = None
    limit_calls: Amount | None = None
    limit_runs: Amount | None = None
    """Of runs that stand for themselves: a sub-workflow belongs to the run at the top."""
    thresholds: Annotated[list[Threshold], Field(max_length=MAX_THRESHOLDS)] = []
    """Without one at 100 percent or above that does more than notify, nothing goes beyond the limit."""
    admission: Admission | None = None
    admission_by: AdmissionBy = AdmissionBy.P95

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        limits = (self.limit_micros, self.limit_tokens, self.limit_calls, self.limit_runs)
        if all(limit is None for limit in limits):
            raise ValueError("state a limit: of money, tokens, calls or runs")
        if self.admission is not None and self.limit_micros is None:
            raise ValueError("a forecast is of money, so `admission` needs `limit_micros`")
        if len({(one.percent, one.action) for one in self.thresholds}) < len(self.thresholds):
            raise ValueError("a threshold stands there twice")
        return self


class NewBudget(Terms):
    """A budget as it is defined. `target` None: each member of the scope has a budget of its own.

    Whom it is for and for how long never change: another budget does that.
    """

    scope: Scope
    target: UUID | None = None
    """The workflow, the agent, the API key or the user, if it is for one alone."""
    period: Period
    time_zone: TimeZone | None = None
    """None: that of the project, or UTC for the installation."""

    @model_validator(mode="after")
    def _fits_its_scope(self) -> Self:
        if self.target is not None and self.scope not in (Scope.WORKFLOW, Scope.AGENT, Scope.API_KEY, Scope.USER):
            raise ValueError(f"a budget of the scope {self.scope} has no target")
        if self.limit_runs is not None and self.scope in (Scope.AGENT, Scope.RUN):
            raise ValueError(f"how many runs there are cannot be limited for the scope {self.scope}")
        if self.limit_runs is not None and self.period is Period.RUN:
            raise ValueError("how many runs there are cannot be limited for each run")
        if self.admission is not None and self.scope is Scope.AGENT:
            raise ValueError("a forecast is of a run, which is not of one agent, so the scope agent has no `admission`")
        return self
