"""A plain interpreter of workflow graphs, written apart from the engine: what must have happened, in a few loops.

It knows a graph as a list of plans and looks at everything again until nothing changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

Condition = Literal["none", "true", "false", "breaks", "even"]
Work = Literal["worker", "value", "copy", "breaks", "branch"]
Ending = Literal["succeeded", "failed", "cancelled"]
Join = Literal["all", "any", "none_failed", "ended", "some"]


@dataclass(frozen=True)
class Plan:
    """One step: what it needs, whether it wants to run, what it is, and how it ends if a worker runs it."""

    key: str
    needs: tuple[str, ...]
    condition: Condition
    work: Work
    ending: Ending
    number: int
    """The output, as {"n": number}; of a branch, which case holds: beyond the last one, none does."""
    join: Join = "all"
    enough: int = 1
    """How many needs must be met where the join is `some`."""
    goes_on: bool = False
    """Its failure is tolerated."""
    handler: str | None = None
    """The step that runs if it fails; then its failure is tolerated, too."""
    choices: tuple[tuple[str, ...], ...] = ()
    """What the cases of a branch choose; the last is for none of them."""
    reads: tuple[str, ...] = ()
    """Steps before it that a worker's step reads."""
    undo: bool = False


@dataclass(frozen=True)
class Fate:
    """Where a step stands, in words, and its output once it has succeeded."""

    status: str
    output: Any = None


PENDING = Fate("pending")
ENDED = ("succeeded", "failed", "skipped", "cancelled")


# Most steps want to run and most succeed, so that much of a graph is reached.
CONDITIONS: tuple[Condition, ...] = ("none", "none", "none", "none", "none", "none", "true", "false", "breaks", "even")
WORKS: tuple[Work, ...] = ("worker", "worker", "worker", "worker", "value", "copy", "breaks", "branch", "branch")
ENDINGS: tuple[Ending, ...] = ("succeeded", "succeeded", "succeeded", "succeeded", "failed", "failed", "cancelled")
JOINS: tuple[Join, ...] = ("all", "all", "all", "any", "none_failed", "ended", "some")


def random_plans(random: Random, count: int, *, in_body: bool = False) -> list[Plan]:
    """Return a random graph in a random order of definition."""
    plans = [_random_plan(random, index, in_body) for index in range(count)]
    plans = [_with_ways_out(random, plan, plans) for plan in plans]
    plans = [replace(plan, reads=_random_reads(random, plan, plans)) for plan in plans]
    random.shuffle(plans)
    return plans


def _random_plan(random: Random, index: int, in_body: bool) -> Plan:
    back = [random.randrange(8) for _ in range(random.choice([0, 1, 1, 1, 2, 3]))]
    needs = tuple(dict.fromkeys(f"s{index - 1 - distance % index}" for distance in back if index))
    work = random.choice(WORKS)
    join = random.choice(JOINS) if needs else "all"
    condition = random.choice(CONDITIONS)
    if join in ("any", "some"):  # what an open need looks like would depend on the order of things
        work = "value" if work == "copy" else work
        condition = "none" if condition == "even" else condition
    return Plan(
        f"s{index}",
        needs,
        condition,
        work,
        random.choice(ENDINGS),
        random.randrange(4),
        join=join,
        enough=random.randint(1, max(len(needs), 1)),
        goes_on=random.random() < 0.2,
        undo=work == "worker" and not in_body and random.random() < 0.3,
    )


def _with_ways_out(random: Random, plan: Plan, plans: list[Plan]) -> Plan:
    """Let a step fail over to one of those that need it, and a branch choose among the others."""
    behind = [other.key for other in plans if plan.key in other.needs]
    if behind and random.random() < 0.25:
        plan = replace(plan, handler=random.choice(behind), goes_on=True)
    if plan.work != "branch":
        return plan
    others = [key for key in behind if key != plan.handler]
    choices = [tuple(key for key in others if random.random() < 0.5) for _ in range(random.randint(2, 4))]
    return replace(plan, choices=tuple(choices))


def _random_reads(random: Random, plan: Plan, plans: list[Plan]) -> tuple[str, ...]:
    """Let a worker's step read some of the steps before it."""
    by_key = {other.key: other for other in plans}
    before: dict[str, None] = {}
    waiting = list(plan.needs)
    while waiting:
        key = waiting.pop()
        if key not in before:
            before[key] = None
            waiting += by_key[key].needs
    return tuple(key for key in before if plan.work == "worker" and random.random() < 0.2)


def settle(plans: list[Plan], fates: Mapping[str, Fate]) -> dict[str, Fate]:
    """Return the fates once everything that follows from them has been done: workers' steps end as `ready`."""
    now = dict(fates)
    by_key = {plan.key: plan for plan in plans}
    changed = True
    while changed:
        changed = False
        for plan in plans:
            after = _look(plan, by_key, now)
            if after != now[plan.key]:
                now[plan.key] = after
                changed = True
    return now


def _look(plan: Plan, by_key: Mapping[str, Plan], now: Mapping[str, Fate]) -> Fate:
    if now[plan.key] != PENDING:
        return now[plan.key]
    words = [_word(by_key[key], now[key], plan) for key in plan.needs]
    wanted = _may_start(plan, words)
    if wanted is None:
        return PENDING
    if not wanted:
        return Fate("skipped")
    needs = [now[key] for key in plan.needs]
    wants = {"none": True, "true": True, "false": False, "breaks": None, "even": _even(needs)}[plan.condition]
    if wants is None:
        return Fate("failed")
    if not wants:
        return Fate("skipped")
    return _work(plan, needs)


def _word(need: Plan, fate: Fate, plan: Plan) -> str:
    """Say in a word what a need means for a step: open, good, gone or bad."""
    if fate.status not in ENDED:
        return "open"
    named = any(plan.key in choice for choice in need.choices)
    if plan.key == need.handler:
        return "good" if fate.status == "failed" else "gone"
    if fate.status == "failed":
        if need.handler:
            return "gone"
        if need.goes_on:
            return "gone" if named else "good"
        return "bad"
    if fate.status != "succeeded":
        return "gone"
    return "good" if not named or plan.key in fate.output["chosen"] else "gone"


def _may_start(plan: Plan, words: list[str]) -> bool | None:
    done = "open" not in words
    good = words.count("good")
    match plan.join:
        case "all":
            return False if {"gone", "bad"} & set(words) else True if done else None
        case "any" | "some":
            enough = plan.enough if plan.join == "some" else 1
            if good >= enough:
                return True
            return None if good + words.count("open") >= enough else False
        case "none_failed":
            if "bad" in words:
                return False
            return good > 0 if done else None
        case "ended":
            return True if done else None


def _even(needs: list[Fate]) -> bool | None:
    if not needs:
        return True
    output = needs[0].output
    return output["n"] % 2 == 0 if isinstance(output, dict) and "n" in output else None


def _work(plan: Plan, needs: list[Fate]) -> Fate:
    match plan.work:
        case "worker":
            return Fate("ready")
        case "breaks":
            return Fate("failed")
        case "branch":
            case = plan.number if plan.number < len(plan.choices) - 1 else None
            return Fate("succeeded", {"case": case, "chosen": list(plan.choices[-1 if case is None else case])})
        case "copy" if needs:
            return Fate("succeeded", needs[0].output)
        case _:
            return Fate("succeeded", {"n": plan.number})


def run_status(plans: list[Plan], fates: Mapping[str, Fate]) -> str | None:
    """Return how the run has ended, or None while anything is open."""
    if any(fate.status not in ENDED for fate in fates.values()):
        return None
    return "failed" if any(fates[plan.key].status == "failed" and not plan.goes_on for plan in plans) else "succeeded"


def document(plans: list[Plan], *, in_body: bool = False) -> dict[str, Any]:
    """Return the workflow that does what the plans say, or one that does in the body of a map, for each item."""
    steps = [_step(plan) for plan in plans]
    if in_body:
        before = {"id": "before", "type": "tool", "tool": "noop"}
        each = {"id": "each", "type": "map", "needs": ["before"], "with": {"over": 3}, "steps": steps}
        steps = [before, each]
    return {
        "version": 1,
        "name": "random",
        "input": {"properties": {"yes": {"type": "boolean", "default": True}}},
        "steps": steps,
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
    step: dict[str, Any] = {"id": plan.key, "needs": list(plan.needs)}
    if condition is not None:
        step["if"] = condition
    if plan.join != "all":
        step["join"] = {"at_least": plan.enough} if plan.join == "some" else plan.join
    if plan.handler is not None:
        step["on_error"] = {"goto": plan.handler}
    elif plan.goes_on:
        step["on_error"] = "continue"
    if plan.undo:
        step["undo"] = {"type": "tool", "tool": "noop", "with": {"of": f"${{{{ steps.{plan.key}.output }}}}"}}
    return {**step, **_kind(plan, first)}


def _kind(plan: Plan, first: str) -> dict[str, Any]:
    own: Any = {"n": plan.number}
    match plan.work:
        case "worker":
            read = {key: f"${{{{ steps.{key}.output }}}}" for key in plan.reads}
            return {"type": "tool", "tool": "noop", "with": {**own, "read": read}}
        case "branch":
            *cases, otherwise = plan.choices
            when = ["input.yes" if number == plan.number else "!input.yes" for number in range(len(cases))]
            given = [{"when": one, "then": list(then)} for one, then in zip(when, cases, strict=True)]
            return {"type": "branch", "with": {"cases": given, "else": list(otherwise)}}
        case "breaks":
            value: Any = "${{ 1 / 0 }}"
        case "copy" if plan.needs:
            value = f"${{{{ {first} }}}}"
        case _:
            value = own
    return {"type": "transform", "with": {"value": value}}
