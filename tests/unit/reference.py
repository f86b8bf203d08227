"""A plain interpreter of workflow graphs, written apart from the engine: what must have happened, in a few loops.

It knows a graph as a list of plans and looks at everything again until nothing changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Condition = Literal["none", "true", "false", "breaks", "even"]
Work = Literal["worker", "value", "copy", "breaks"]
Ending = Literal["succeeded", "failed", "cancelled"]


@dataclass(frozen=True)
class Plan:
    """One step: what it needs, whether it wants to run, what it is, and how it ends if a worker runs it."""

    key: str
    needs: tuple[str, ...]
    condition: Condition
    work: Work
    ending: Ending
    number: int
    """The output, as {"n": number}."""


@dataclass(frozen=True)
class Fate:
    """Where a step stands, in words, and its output once it has succeeded."""

    status: str
    output: Any = None


PENDING = Fate("pending")
LOST = ("failed", "skipped", "cancelled")


# Most steps want to run and most succeed, so that much of a graph is reached.
CONDITIONS: tuple[Condition, ...] = ("none", "none", "none", "none", "none", "none", "true", "false", "breaks", "even")
WORKS: tuple[Work, ...] = ("worker", "worker", "worker", "worker", "value", "copy", "breaks")
ENDINGS: tuple[Ending, ...] = ("succeeded", "succeeded", "succeeded", "succeeded", "succeeded", "failed", "cancelled")


def plan(index: int, back: list[int], condition: Condition, work: Work, ending: Ending, number: int) -> Plan:
    """Return the step at this place; `back` says how far back stand the steps that it needs."""
    needs = dict.fromkeys(f"s{index - 1 - distance % index}" for distance in back if index)
    return Plan(f"s{index}", tuple(needs), condition, work, ending, number)


def random_plans(random: Random, count: int) -> list[Plan]:
    """Return a random graph in a random order of definition."""
    plans = [
        plan(
            index,
            [random.randrange(8) for _ in range(random.choice([0, 1, 1, 1, 2, 3]))],
            random.choice(CONDITIONS),
            random.choice(WORKS),
            random.choice(ENDINGS),
            random.randrange(4),
        )
        for index in range(count)
    ]
    random.shuffle(plans)
    return plans


def settle(plans: list[Plan], fates: Mapping[str, Fate]) -> dict[str, Fate]:
    """Return the fates once everything that follows from them has been done: workers' steps end as `ready`."""
    now = dict(fates)
    changed = True
    while changed:
        changed = False
        for plan in plans:
            after = _look(plan, now)
            if after != now[plan.key]:
                now[plan.key] = after
                changed = True
    return now


def _look(plan: Plan, now: Mapping[str, Fate]) -> Fate:
    needs = [now[key] for key in plan.needs]
    if now[plan.key] != PENDING:
        return now[plan.key]
    if any(need.status in LOST for need in needs):
        return Fate("skipped")
    if not all(need.status == "succeeded" for need in needs):
        return PENDING
    wants = {"none": True, "true": True, "false": False, "breaks": None, "even": _even(needs)}[plan.condition]
    if wants is None:
        return Fate("failed")
    if not wants:
        return Fate("skipped")
    if plan.work == "worker":
        return Fate("ready")
    if plan.work == "breaks":
        return Fate("failed")
    return Fate("succeeded", {"n": plan.number} if plan.work == "value" or not needs else needs[0].output)


def _even(needs: list[Fate]) -> bool:
    return not needs or needs[0].output["n"] % 2 == 0


def run_status(fates: Mapping[str, Fate]) -> str | None:
    """Return how the run has ended, or None while anything is open."""
    statuses = {fate.status for fate in fates.values()}
    if statuses - {*LOST, "succeeded"}:
        return None
    return "failed" if "failed" in statuses else "succeeded"


def document(plans: list[Plan]) -> dict[str, Any]:
    """Return the workflow that does what the plans say."""
    return {
        "version": 1,
        "name": "random",
        "input": {"properties": {"yes": {"type": "boolean", "default": True}}},
        "steps": [_step(plan) for plan in plans],
    }


def _step(plan: Plan) -> dict[str, Any]:
    first = f"steps.{plan.needs[0]}.output" if plan.needs else "{'n': 0}"
    condition = {
        "none": None,
        "true": "input.yes",
        "false": "!input.yes",
        "breaks": "1 / 0 == 1",
        "even": f"${{{{ {first}.n % 2 == 0 }}}}",
    }[plan.condition]
    own: Any = {"n": plan.number}
    value = {
        "value": own,
        "copy": f"${{{{ {first} }}}}" if plan.needs else own,
        "breaks": "${{ 1 / 0 }}",
        "worker": None,
    }
    step: dict[str, Any] = {"id": plan.key, "needs": list(plan.needs)}
    if condition is not None:
        step["if"] = condition
    if plan.work == "worker":
        return {**step, "type": "tool", "tool": "noop", "with": {"n": plan.number}}
    return {**step, "type": "transform", "with": {"value": value[plan.work]}}
