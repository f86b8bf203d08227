"""What must become of a run, kept in memory: the states of its steps under everything that can happen to them.

What follows from ended steps is the plain interpreter's word (`tests/unit/reference.py`); the rest is here, in the
words of the protocol and without a look at the database functions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from tests.unit.reference import PENDING, Fate, Plan, run_status, settle

MAX_CRASHES = 3
OPEN = ("pending", "ready", "running", "waiting", "uncertain")


def without_undo(plan: Plan) -> Plan:
    """The plan of a step whose effect nobody takes back."""
    return replace(plan, undo=False)


@dataclass
class Step:
    """One step that workers attempt."""

    asks: bool
    unsafe: bool
    status: str = "ready"
    attempt: int = 0
    crashes: int = 0
    isolate: bool = False
    lapsed: bool = False
    stop: bool = False
    """It runs and was asked to stop."""
    call: str | None = None
    """Its effect: prepared, done, unknown, or not there yet."""
    question: str | None = None
    asked: UUID | None = None
    session: UUID | None = None

    @property
    def lost_effect(self) -> bool:
        return self.unsafe and self.call in ("prepared", "unknown")


@dataclass
class Run:
    """A run as it must be. `steps` holds those that have been ready; the others stand in `fates` only."""

    plans: list[Plan]
    fates: dict[str, Fate] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.fates = {plan.key: PENDING for plan in self.plans}
        self.follow()

    def follow(self) -> None:
        """Let everything follow that follows from what has ended."""
        if not self.cancelled:
            seen = {
                key: Fate(step.status) if step.status in OPEN else self.fates[key] for key, step in self.steps.items()
            }
            self.fates = settle(self.plans, self.fates | seen)
        for plan in self.plans:
            if self.fates[plan.key].status == "ready" and plan.key not in self.steps:
                self.steps[plan.key] = Step(asks=plan.number == 3, unsafe=plan.number % 2 == 0)

    def statuses(self) -> dict[str, str]:
        own = {key: step.status for key, step in self.steps.items()}
        return {key: fate.status for key, fate in self.fates.items()} | own

    def end(self, key: str, status: str, output: Any = None) -> None:
        """A step has ended without giving up its effect: what it asked or had out is closed."""
        step = self.steps[key]
        step.status = status
        step.stop = step.lapsed = False
        if status not in OPEN:
            self.fates[key] = Fate(status, output)
            step.call = "unknown" if step.call == "prepared" else step.call
            step.question = "withdrawn" if step.question in ("pending", "approved") else step.question
        elif status == "uncertain":
            step.call = "unknown" if step.call == "prepared" else step.call
        self.follow()

    def close(self, key: str, wanted: str, output: Any = None) -> None:
        """A worker that holds the step ends its attempt."""
        step = self.steps[key]
        if step.lost_effect and (step.stop or wanted != "succeeded"):
            self.end(key, "uncertain")
        elif step.stop:
            self.end(key, "cancelled")
        else:
            self.end(key, wanted, output)

    def give_back(self, key: str, *, crashed: bool) -> None:
        """The worker of a step is gone."""
        step = self.steps[key]
        step.crashes += crashed
        if step.lost_effect:
            self.end(key, "uncertain")
        elif step.stop:
            self.end(key, "cancelled")
        elif crashed and step.isolate and step.crashes >= MAX_CRASHES:
            self.end(key, "failed")
        else:
            self.end(key, "ready")
        step.isolate = step.isolate or crashed

    def cancel(self) -> None:
        """Asked to stop: what does not run is cancelled; a repeat lets go of what is uncertain."""
        if self.status() not in ("running", "cancelling"):
            return
        self.cancelled = True
        for step in self.steps.values():
            step.question = "withdrawn" if step.question in ("pending", "approved") else step.question
        for key, status in self.statuses().items():
            if status == "running":
                self.steps[key].stop = True
            elif status in OPEN:
                self.fates[key] = Fate("cancelled")
                if key in self.steps:
                    self.end(key, "cancelled")

    def status(self) -> str:
        """How the run stands; an uncertain step may make `running` read `attention` in the database."""
        statuses = self.statuses()
        if any(status in OPEN for status in statuses.values()):
            return "cancelling" if self.cancelled else "running"
        if self.cancelled:
            return "cancelled"
        return str(run_status(self.plans, {key: self.fates[key] for key in statuses}))


def in_status(runs: Mapping[UUID, Run], *statuses: str) -> Iterable[tuple[Run, str, Step]]:
    """Every step of every run that stands there."""
    return [(run, key, step) for run in runs.values() for key, step in run.steps.items() if step.status in statuses]
