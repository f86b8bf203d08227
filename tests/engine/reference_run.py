"""What must become of a run, kept in memory: the states of its steps under everything that can happen to them.

What follows from ended steps is the plain interpreter's word (`tests/unit/reference.py`); the rest is here, in the
words of the protocol and without a look at the database functions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from tests.unit.reference import PENDING, Fate, Plan, run_status, settle

MAX_CRASHES = 4
ALONE = 3
"""After so many deaths a step runs alone; isolated, but in company, after one less."""
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


BEFORE = Plan("before", (), "none", "worker", "succeeded", 1)
EACH = Plan("each", ("before",), "none", "worker", "succeeded", 1)
"""The steps around a body: `tests/unit/reference.py` makes such a document."""
ITEMS = 3


@dataclass
class Run:
    """A run as it must be. `steps` holds those that have been ready; the others stand in `fates` only.

    With `body` its second step is a map with these plans for each of three items, which all start at once. `levels`
    holds the plans of the workflow itself, and those of each frame once there are frames, by what their paths begin
    with.
    """

    plans: list[Plan]
    body: list[Plan] | None = None
    levels: dict[str, list[Plan]] = field(default_factory=dict)
    fates: dict[str, Fate] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    cancelled: bool = False

    def __post_init__(self) -> None:
        self._add("", self.plans)
        self.follow()

    def _add(self, prefix: str, plans: list[Plan]) -> None:
        self.levels[prefix] = plans
        self.fates |= {prefix + plan.key: PENDING for plan in plans}

    def plan(self, path: str) -> Plan:
        return next(plan for prefix, plans in self.levels.items() for plan in plans if prefix + plan.key == path)

    def is_map(self, path: str) -> bool:
        return self.body is not None and path == EACH.key

    def expand(self) -> None:
        """The map has begun: every frame starts."""
        if len(self.levels) == 1 and self.body is not None:
            for item in range(ITEMS):
                self._add(f"{EACH.key}[{item}].", self.body)
            self.follow()

    def frames(self) -> list[dict[str, Fate]]:
        """Where the steps of each frame stand, by their keys."""
        now = {path: Fate(status, self.fates[path].output) for path, status in self.statuses().items()}
        levels = [(prefix, plans) for prefix, plans in self.levels.items() if prefix]
        return [{plan.key: now[prefix + plan.key] for plan in plans} for prefix, plans in levels]

    def frames_ended(self) -> bool:
        return all(fate.status not in OPEN for frame in self.frames() for fate in frame.values())

    def map_output(self) -> list[Any] | None:
        """What the map gives once its frames have ended; None: it fails."""
        assert self.body is not None
        if any(run_status(self.body, frame) == "failed" for frame in self.frames()):
            return None
        needed = {need for plan in self.body for need in plan.needs}
        leaves = [plan.key for plan in self.body if plan.key not in needed]
        if len(leaves) == 1:
            return [frame[leaves[0]].output for frame in self.frames()]
        return [
            {key: frame[key].output for key in leaves if frame[key].status == "succeeded"} for frame in self.frames()
        ]

    def is_dead(self, prefix: str) -> bool:
        """The step of this level's frames has ended without them."""
        return prefix != "" and self.steps[EACH.key].status not in OPEN

    def follow(self) -> None:
        """Let everything follow that follows from what has ended."""
        for prefix, plans in self.levels.items():
            if not self.cancelled and not self.is_dead(prefix):
                self._settle(prefix, plans)
            for plan in plans:
                path = prefix + plan.key
                if self.fates[path].status == "ready" and path not in self.steps:
                    own = plan.number == 3 and not self.is_map(path)
                    self.steps[path] = Step(asks=own, unsafe=plan.number % 2 == 0)
        if EACH.key in self.steps and self.steps[EACH.key].status == "waiting" and self.frames_ended():
            self.steps[EACH.key].status = "ready"

    def _settle(self, prefix: str, plans: list[Plan]) -> None:
        seen = {plan.key: self.fates[prefix + plan.key] for plan in plans}
        for plan in plans:
            step = self.steps.get(prefix + plan.key)
            if step is not None and step.status in OPEN:
                seen[plan.key] = Fate(step.status)
        self.fates |= {prefix + key: fate for key, fate in settle(plans, seen).items()}

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
        if self.is_map(key):
            self.abandon()
        self.follow()

    def abandon(self) -> None:
        """What is left of the frames of a map that has ended does not go on."""
        for prefix, plans in self.levels.items():
            for path in [prefix + plan.key for plan in plans if self.is_dead(prefix)]:
                status = self.statuses()[path]
                if status == "running":
                    self.steps[path].stop = True
                elif status in OPEN:
                    self.fates[path] = Fate("cancelled")
                    if path in self.steps:
                        self.end(path, "cancelled")

    def close(self, key: str, wanted: str, output: Any = None) -> None:
        """A worker that holds the step ends its attempt."""
        step = self.steps[key]
        if step.lost_effect and (step.stop or wanted != "succeeded"):
            self.end(key, "uncertain")
        elif step.stop and wanted != "succeeded":
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
        elif crashed and step.isolate and step.crashes > ALONE and step.crashes >= MAX_CRASHES:
            self.end(key, "failed")
        else:
            self.end(key, "ready")
        step.isolate = step.isolate or (crashed and step.crashes > 1)

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
            elif status in OPEN and (status != "pending" or "." not in key):  # those of frames go with their map
                self.fates[key] = Fate("cancelled")
                if key in self.steps and self.steps[key].status in OPEN:
                    self.end(key, "cancelled")

    def status(self) -> str:
        """How the run stands; an uncertain step may make `running` read `attention` in the database."""
        statuses = self.statuses()
        if any(status in OPEN for status in statuses.values()):
            return "cancelling" if self.cancelled else "running"
        if self.cancelled:
            return "cancelled"
        return str(run_status(self.plans, self.fates))


def in_status(runs: Mapping[UUID, Run], *statuses: str) -> Iterable[tuple[Run, str, Step]]:
    """Every step of every run that stands there."""
    return [(run, key, step) for run in runs.values() for key, step in run.steps.items() if step.status in statuses]
