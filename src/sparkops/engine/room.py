"""Whether budgets have room for a run: how many there may be, and what one can be expected to cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sparkops.core.json import Json
from sparkops.core.money import format_usd
from sparkops.domains.budgets.definition import AT_LIMIT, Action, Admission
from sparkops.domains.policies.checks import BUDGET_RULE
from sparkops.engine.context import Connection
from sparkops.engine.errors import OverBudget

ENOUGH_RUNS: Final = 5
"""Fewer past runs say too little to hold one back for what they cost."""
_FORECAST = "SELECT runs, median, p95 FROM engine.run_forecast($1)"
_ROOM = "SELECT * FROM engine.budget_room($1, $2, $3, $4)"
_RUNS = "SELECT * FROM engine.budget_runs($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the last runs of a workflow version have cost, with all below them. `runs`: how many tell so."""

    runs: int
    median_micros: int | None
    p95_micros: int | None


@dataclass(frozen=True, slots=True)
class Counted:
    """Whom a run that stands for itself counts for. `key_id`: the API key that asked for it, if one did."""

    project_id: UUID
    workflow_id: UUID
    version_id: UUID
    user_id: UUID | None
    key_id: UUID | None


@dataclass(frozen=True, slots=True)
class Way:
    """A budget that is in the way of a run, for how many there are or for what it is expected to cost.

    `action` says what it wants: that people are asked, that the run waits until there is room, or that it is refused.
    `figures` say how far it goes beyond.
    """

    budget_id: UUID
    name: str
    about: Literal["runs", "forecast"]
    action: Action
    reason: str
    resets_at: datetime | None
    figures: Mapping[str, Json] = field(default_factory=dict)

    @property
    def asks(self) -> bool:
        """Whether people may let the run pass."""
        return self.action is Action.REQUIRE_APPROVAL

    @property
    def waits(self) -> bool:
        """Whether the run is accepted, and waits until it is in the way no more."""
        return self.action is Action.PAUSE

    def to_json(self) -> dict[str, Json]:
        """Return the form in which a question keeps it."""
        resets_at = self.resets_at.isoformat() if self.resets_at else None
        told: dict[str, Json] = {"name": self.name, "about": self.about, "reason": self.reason, "resets_at": resets_at}
        return {"budget_id": str(self.budget_id), **told, **self.figures}


async def forecast_of(on: Connection, version_id: UUID) -> Forecast:
    """Return what a run of this workflow version can be expected to cost."""
    row = await on.fetchrow(_FORECAST, version_id)
    return Forecast(row["runs"], row["median"], row["p95"])


async def ways_of(on: Connection, run: Counted, *, runs: bool, forecast: bool) -> list[Way]:
    """Return which budgets are in the way of this run now: of those that limit `runs`, of those that look at a
    `forecast`. Nothing is held: who counts the run looks again, under locks."""
    ways = await _runs(on, run) if runs else []
    return [*ways, *(await _forecasts(on, run) if forecast else [])]


def refuse(ways: Sequence[Way]) -> None:
    """Do nothing if people may let the run pass all of them, or it may wait for them.

    Raises:
        OverBudget: it may not; nothing was written.
    """
    for way in ways:
        if not (way.asks or way.waits):
            told = {name: value for name, value in way.to_json().items() if name != "reason"}
            raise OverBudget(way.reason, action=way.action, **told)


def under_budgets(decision: Mapping[str, Any], ways: Sequence[Way]) -> dict[str, Any]:
    """Return a decision that lets a run begin, or asks, as it is with these budgets in the way.

    What a rule asks people for stays what it asks; they are told of the budgets besides. For what a run waits for
    nobody is asked: `waits` says so.
    """
    refused = next((way for way in ways if not (way.asks or way.waits)), None)
    asking = [way for way in ways if way.asks]
    if decision["outcome"] == "deny" or not ways:
        return dict(decision)
    if refused is not None:
        return {**decision, **_BY_BUDGET, "outcome": "deny", "reason": refused.reason}
    if any(way.waits for way in ways):
        decision = {**decision, "waits": True}
    if not asking:
        return dict(decision)
    asked = {"budgets": [way.to_json() for way in asking]}
    if decision["outcome"] == "require_approval":
        return {**decision, **asked}
    reason = " ".join(way.reason for way in asking)
    return {**decision, **_BY_BUDGET, "outcome": "require_approval", "reason": reason, **asked}


_BY_BUDGET: Final[Mapping[str, Json]] = {
    "rule": BUDGET_RULE,
    "policy_id": None,
    "rule_version": None,
    "severity": None,
    "demands": None,
}


async def _runs(on: Connection, run: Counted) -> list[Way]:
    rows = await on.fetch(_RUNS, run.project_id, run.workflow_id, run.user_id, run.key_id)
    return [
        Way(
            row["definition_id"],
            row["name"],
            "runs",
            Action(row["action"]),
            f"The budget {row['name']} allows {_share(row['percent'])}{row['of']} runs, {row['used']} are used.",
            row["ends_at"],
            {"limit_runs": row["of"], "used_runs": row["used"], "percent": row["percent"]},
        )
        for row in rows
    ]


async def _forecasts(on: Connection, run: Counted) -> list[Way]:
    forecast = await forecast_of(on, run.version_id)
    if forecast.runs < ENOUGH_RUNS:
        return []
    rows = await on.fetch(_ROOM, run.project_id, run.workflow_id, run.user_id, run.key_id)
    return [way for row in rows if (way := _by_forecast(row, forecast)) is not None]


def _by_forecast(row: Mapping[str, Any], forecast: Forecast) -> Way | None:
    expected = forecast.median_micros if row["admission_by"] == "median" else forecast.p95_micros
    if expected is None or expected <= row["room"]:
        return None
    return Way(
        row["definition_id"],
        row["name"],
        "forecast",
        Action.REQUIRE_APPROVAL if row["admission"] == Admission.ASK else Action.DENY,
        f"The budget {row['name']} has {format_usd(max(row['room'], 0))} left, and such a run costs "
        f"{format_usd(expected)} ({row['admission_by']} of the last {forecast.runs} runs of this version).",
        row["ends_at"],
        {
            "room_micros": row["room"],
            "expected_micros": expected,
            "median_micros": forecast.median_micros,
            "p95_micros": forecast.p95_micros,
            "runs": forecast.runs,
        },
    )


def _share(percent: int) -> str:
    return "" if percent == AT_LIMIT else f"{percent} % of "
