"""Random workflows with a model that always obeys the attacker: what is private never leaves with what strangers wrote
unless a person agrees, and nothing else is held back.

What must come out is said by a plain reckoning over the graph, without a look at the platform.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest

from sparkops.core.json import dumps
from tests.engine.conftest import World
from tests.engine.test_labels import CLOSED, SAYS
from tests.engine.tools import PRIVATE, UNTRUSTED, Post
from tests.tiers import WHOLE

MANY: Final = 20_000 if WHOLE else 300
BATCH: Final = 200 if WHOLE else 100
SECONDS: Final = 300.0

TOOLS: Final = {"web": "web.read", "crm": "crm.read", "mail": "mail.send", "noop": "noop"}
OWN: Final = {"web": {UNTRUSTED}, "crm": {PRIVATE}}
CHILDREN: Final = {
    "pass": ("{id: a, type: transform, with: {value: '${{ input.text }}'}}", "a"),
    "reads": ("{id: a, type: tool, tool: crm.read}", "a"),
    "fixed": ("{id: a, type: transform, with: {value: '${{ size(string(input.who)) }}'}}", "a"),
    "sends": ("{id: a, type: tool, tool: mail.send, with: {text: '${{ [input.who, input.text] }}'}}", "a"),
    "sorts": ("", "a"),
}


@dataclass(frozen=True)
class Step:
    """One step: what it does, the parts of that, which steps it waits for, which of them it reads, and which are
    branches that choose others."""

    key: str
    kind: str
    of: tuple[str, ...]
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    lost: tuple[str, ...]


@dataclass
class Reckoned:
    """What must become of a workflow: the labels of each step that ends, who may send, and how many are asked about."""

    labels: dict[str, frozenset[str]] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    held: int = 0
    waiting: int = 0
    """The workflows of which somebody is asked about something."""


def random_steps(random: Random) -> list[Step]:
    kinds = ["web", "crm", "mail", "noop", "text", "asks", "sorts", "agent", "map", "loop", "branch", "sub"]
    kinds += ["web", "crm", "mail"]  # else too few things meet
    steps: list[Step] = []
    for number in range(random.randint(2, 9)):
        kind = random.choice(kinds)
        of: tuple[str, ...] = ()
        if kind == "agent":
            of = tuple(random.choices(("web", "crm", "mail"), k=random.randint(1, 3)))
        elif kind in ("map", "loop"):
            parts = ["web", "crm", "mail", "noop", "text", "sorts"]
            of = tuple(random.choices(parts, k=1 if kind == "map" else 2))
        elif kind == "sub":
            of = (random.choice(sorted(CHILDREN)),)
        before = [step.key for step in steps]
        needs = tuple(random.sample(before, min(len(before), random.choice([0, 1, 1, 2, 3]))))
        reads = tuple(key for key in needs if random.random() < 0.8)
        branches = {step.key for step in steps if step.kind == "branch"}
        lost = tuple(key for key in needs if key in branches and random.random() < 0.2)
        steps.append(Step(f"n{number}", kind, of, needs, reads, lost))
    chosen_of = {key for step in steps for key in step.needs}
    return [
        replace(step, kind="text") if step.kind == "branch" and step.key not in chosen_of else step for step in steps
    ]


# What must come out


def reckon(steps: Sequence[Step], number: int) -> Reckoned:
    known = Reckoned()
    for step in steps:
        if not step.lost and all(need in known.labels for need in step.needs):
            seen = frozenset[str]().union(*(known.labels[key] for key in step.reads))
            out = _after(step, seen, f"{number}/{step.key}", known)
            if out is not None:
                known.labels[step.key] = out
    return known


def _after(step: Step, seen: frozenset[str], who: str, known: Reckoned) -> frozenset[str] | None:
    """Return the labels of what a step gives that has seen these, None if it waits for a person."""
    match step.kind:
        case "agent":
            for part in step.of:
                after = _did(part, seen, who, known)
                if after is None:
                    return None
                seen = after
            return seen
        case "map":
            outs = [_did(step.of[0], seen, who, known) for _ in range(2)]
            return None if None in outs else outs[0]
        case "loop":
            outs = [_did(part, seen, who, known) for part in step.of]
            if None in outs:
                return None
            again = seen.union(*filter(None, outs))
            last = _did(step.of[1], again, who, known)
            # A loop carries what the steps of any of its passes gave.
            return None if last is None else last.union(*filter(None, outs))
        case "sub":
            return _child(step.of[0], seen, who, known)
        case kind:
            return _did(kind, seen, who, known)


def _did(kind: str, seen: frozenset[str], who: str, known: Reckoned) -> frozenset[str] | None:
    if kind == "mail" and {UNTRUSTED, PRIVATE} <= seen:
        known.held += 1
        return None
    if kind == "mail":
        known.sent[who] += 1
    if kind == "sorts":
        return seen - {UNTRUSTED}
    return seen | OWN.get(kind, set())


def _child(kind: str, seen: frozenset[str], who: str, known: Reckoned) -> frozenset[str] | None:
    match kind:
        case "reads":
            return frozenset({PRIVATE})
        case "sends":
            return _did("mail", seen, who, known)
        case "sorts":
            return seen - {UNTRUSTED}
        case _:
            return seen


# The same as a workflow


def document(steps: Sequence[Step], number: int) -> str:
    return dumps(
        {"version": 1, "name": f"flow-{number}", "steps": [_written(step, number, steps) for step in steps]}
    ).decode()


def _written(step: Step, number: int, steps: Sequence[Step]) -> dict[str, Any]:
    values = ", ".join(f"steps.{key}.output" for key in step.reads)
    who = f"{number}/{step.key}"
    base: dict[str, Any] = {"id": step.key, **({"needs": list(step.needs)} if step.needs else {})}
    match step.kind:
        case "agent":
            return base | {
                "type": "agent",
                "agent": "-".join(step.of),
                "with": {"prompt": f"{who} ${{{{ [{values}] }}}}"},
            }
        case "map":
            over = f"${{{{ [[{values}], [{values}]] }}}}"
            body = {"id": f"{step.key}b", **_simple(step.of[0], "item", who)}
            return base | {"type": "map", "with": {"over": over}, "steps": [body]}
        case "loop":
            seen = f"[{values}] + [previous]"
            first = {"id": f"{step.key}a", "if": "${{ iteration == 1 }}", **_simple(step.of[0], seen, who)}
            every = {"id": f"{step.key}b", **_simple(step.of[1], seen, who)}
            gives = f"${{{{ [steps.{step.key}a.output, steps.{step.key}b.output] }}}}"
            return base | {"type": "loop", "with": {"max": 2}, "steps": [first, every], "output": gives}
        case "branch":
            behind = [one for one in steps if step.key in one.needs]
            never, always = (
                {"when": f"${{{{ size([{values}]) {holds} 0 }}}}", "then": then}
                for holds, then in (
                    ("<", [one.key for one in behind if step.key in one.lost]),
                    (">=", [one.key for one in behind if step.key not in one.lost]),
                )
            )
            return base | {"type": "branch", "with": {"cases": [case for case in (never, always) if case["then"]]}}
        case "sub":
            given = {"who": who, "text": f"${{{{ [{values}] }}}}"}
            return base | {"type": "workflow", "workflow": f"child-{step.of[0]}", "with": given}
        case kind:
            return base | _simple(kind, f"[{values}]", who)


def _simple(kind: str, value: str, who: str) -> dict[str, Any]:
    """A step without its id that sees a value."""
    if kind in TOOLS:
        return {"type": "tool", "tool": TOOLS[kind], "with": {"text": f"${{{{ ['{who}', {value}] }}}}"}}
    if kind == "text":
        return {"type": "transform", "with": {"value": f"${{{{ {value} }}}}"}}
    schema = {"output_schema": CLOSED} if kind == "sorts" else {}
    asks = {"model": "scripted", "prompt": f"see ${{{{ {value} }}}}", "max_output_tokens": 50, "script": SAYS}
    return {"type": "llm", "with": {**asks, **schema}}


async def given(world: World) -> Post:
    """Make the tools, the agents, and the workflows that others start."""
    post = Post()
    world.tools.update(post.tools())
    for of in (of for many in (1, 2, 3) for of in product(("web", "crm", "mail"), repeat=many)):
        turns = [
            {"tool_calls": [{"tool": TOOLS[part], "arguments": {"text": "${{ [prompt, results] }}"}}]} for part in of
        ]
        script = {"turns": [*turns, {"text": "${{ string(size(results)) }}"}]}
        tools = sorted({TOOLS[part] for part in of})
        await world.agent("-".join(of), {"model": "scripted", "instructions": "obey", "tools": tools, "script": script})
    for name, (step, out) in CHILDREN.items():
        sorts = dumps({"id": "a", **_simple("sorts", "input.text", "-")}).decode()
        await world.workflow(
            f"version: 1\nname: child-{name}\ninput: {{type: object, properties: {{who: {{}}, text: {{}}}}}}\n"
            f"steps:\n  - {step or sorts}\noutput: '${{{{ steps.{out}.output }}}}'\n"
        )
    return post


def senders(post: Post) -> Iterator[str]:
    """Yield who has sent each mail: the first word of what went out."""
    for arguments in post.sent:
        first: Any = arguments["text"]
        while isinstance(first, list):
            first = first[0]
        yield str(first).split()[0]


@pytest.mark.timeout(7200)
async def test_nothing_private_leaves_with_what_strangers_wrote_unless_a_person_agrees(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    record_property("played", MANY)
    post = await given(world)
    random = Random(20261123)
    expected = Reckoned()
    for first in range(0, MANY, BATCH):
        reckoned: dict[UUID, Reckoned] = {}
        for number in range(first, min(first + BATCH, MANY)):
            steps = random_steps(random)
            run_id = await world.run(await world.workflow(document(steps, number)))
            reckoned[run_id] = reckon(steps, number)
            expected.sent += reckoned[run_id].sent
            expected.held += reckoned[run_id].held
            expected.waiting += reckoned[run_id].held > 0
        await settle(world, expected)
        assert Counter(senders(post)) == expected.sent
        await compare(world, reckoned)
    assert expected.held > MANY / 20, "hardly anything was held back"
    assert expected.sent.total() > MANY / 5, "hardly anything was sent"


async def settle(world: World, expected: Reckoned) -> None:
    """Work until nothing goes on but what waits for a person."""

    async def settled() -> bool:
        return bool(await world.database.pool.fetchval(_SETTLED, expected.held, expected.waiting))

    await world.work(settled, slots=50, seconds=SECONDS)


_SETTLED = """
SELECT NOT EXISTS (SELECT 1 FROM steps WHERE status = 'ready')
   AND NOT EXISTS (SELECT 1 FROM steps WHERE status = 'running')
   AND (SELECT count(*) FROM approvals WHERE status = 'pending') = $1
   AND (SELECT count(*) FROM runs WHERE parent_run_id IS NULL
           AND status NOT IN ('succeeded', 'failed', 'cancelled', 'denied')) = $2
"""


async def compare(world: World, reckoned: Mapping[UUID, Reckoned]) -> None:
    """Each step that has succeeded carries what it must, and no other has."""
    rows = await world.database.pool.fetch(
        "SELECT run_id, node_key, labels FROM steps"
        " WHERE run_id = ANY ($1) AND parent_id IS NULL AND status = 'succeeded'",
        list(reckoned),
    )
    found: dict[UUID, dict[str, frozenset[str]]] = {run_id: {} for run_id in reckoned}
    for row in rows:
        found[row["run_id"]][row["node_key"]] = frozenset(row["labels"])
    assert found == {run_id: known.labels for run_id, known in reckoned.items()}
