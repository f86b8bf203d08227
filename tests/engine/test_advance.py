"""The database's own advance and the pure `decide` agree: random graphs, executed step by step on both."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkops.core.ids import new_id
from sparkops.core.json import dumps
from sparkops.domains.runs.state import StepStatus
from sparkops.domains.workflows.definition import parse_definition
from sparkops.engine.claim import Claim
from sparkops.engine.complete import Ended, complete
from sparkops.engine.context import Worker
from sparkops.engine.decide import FailInline, FinishInline, FinishRun, MakeReady, Skip, StepState, decide
from sparkops.engine.graph import Graph, compile_graph
from tests.engine.acts import fail, succeed
from tests.engine.conftest import World

LATE = """
version: 1
name: late
steps:
  - {id: a, type: tool, tool: noop}
  - {id: b, type: tool, tool: noop, if: "${{ false }}"}
  - {id: d, type: tool, tool: noop, needs: [a, b]}
output: {a: "${{ steps.a.output }}", d: "${{ steps.d.status }}"}
"""


@st.composite
def workflows(draw: st.DrawFn) -> dict[str, Any]:
    """A workflow of up to 15 tools and transforms, some of them conditional, some of which cannot be evaluated."""
    steps: list[dict[str, Any]] = []
    for place in range(draw(st.integers(1, 15))):
        earlier = [f"s{n}" for n in range(place)]
        needs = draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        step: dict[str, Any] = {"id": f"s{place}", "type": "tool", "tool": "noop", "needs": needs}
        if draw(st.integers(0, 4)) == 0:
            value = f"${{{{ steps.{needs[0]}.output.n + 1 }}}}" if needs else 1
            step = {"id": f"s{place}", "type": "transform", "needs": needs, "with": {"value": value}}
        if needs and draw(st.integers(0, 3)) == 0:
            step["if"] = f"${{{{ steps.{needs[-1]}.output.n > {draw(st.integers(0, 5))} }}}}"
        steps.append(step)
    output = {"output": {"first": "${{ steps.s0.status }}"}} if draw(st.booleans()) else {}
    return {"version": 1, "steps": steps, **output}


@dataclass
class Reference:
    """What `decide` makes of the run, from the statuses and outputs alone."""

    graph: Graph
    run_id: str
    states: dict[str, StepState] = field(default_factory=dict)
    end: FinishRun | None = None

    def __post_init__(self) -> None:
        self.states = {node.key: StepState(StepStatus.PENDING) for node in self.graph.nodes}
        self.follow()

    def follow(self) -> None:
        """Apply everything that can be decided; a second look finds nothing more."""
        self._apply(decide(self.graph, self.states, {}, self.run_id))
        again = decide(self.graph, self.states, {}, self.run_id)
        assert all(isinstance(command, FinishRun) for command in again)

    def _apply(self, commands: Sequence[Any]) -> None:
        for command in commands:
            match command:
                case MakeReady(key):
                    self.states[key] = StepState(StepStatus.READY)
                case Skip(key, _):
                    self.states[key] = StepState(StepStatus.SKIPPED)
                case FinishInline(key, output):
                    self.states[key] = StepState(StepStatus.SUCCEEDED, output)
                case FailInline(key, error):
                    self.states[key] = StepState(StepStatus.FAILED, None, error)
                case FinishRun():
                    self.end = command

    def statuses(self) -> dict[str, str]:
        return {key: str(state.status) for key, state in self.states.items()}


async def agrees(world: World, run_id: UUID, reference: Reference) -> None:
    """Check that the database stands where the reference does; a step in a worker's hands counts as ready."""
    rows = {key: step["status"] for key, step in (await world.steps(run_id)).items()}
    assert {key: "ready" if status == "running" else status for key, status in rows.items()} == reference.statuses()
    run = await world.row(run_id)
    if reference.end is None:
        assert run["status"] == "running"
    else:
        assert (run["status"], run["output"], run["error"]) == (
            str(reference.end.status),
            reference.end.output,
            reference.end.error,
        )


async def end_one(world: World, worker: Worker, claim: Claim, reference: Reference, output: dict[str, int]) -> None:
    """End one attempt: an output of more than 7 stands for a failure."""
    if output["n"] > 7:
        error = {"code": "broken", "message": "it is broken"}
        reference.states[claim.key] = StepState(StepStatus.FAILED, None, error)
        await fail(world, worker, claim)
    else:
        reference.states[claim.key] = StepState(StepStatus.SUCCEEDED, output)
        await succeed(world, worker, claim, output)
    reference.follow()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(workflow=workflows(), seed=st.integers(0, 2**32))
async def test_the_database_and_decide_agree_after_every_step(
    world: World, workflow: dict[str, Any], seed: int
) -> None:
    random = Random(seed)
    source = dumps({**workflow, "name": f"w-{new_id().hex}"}).decode()
    run_id = await world.run(await world.workflow(source))
    reference = Reference(compile_graph(parse_definition(source, agents=None, tools=None)), str(run_id))
    await agrees(world, run_id, reference)
    worker, held = await world.worker(), list[Claim]()
    while reference.end is None:
        held += await world.claims(worker, random.randint(0, 4))
        if held:
            claim = held.pop(random.randrange(len(held)))
            await end_one(world, worker, claim, reference, {"n": random.randint(0, 8)})
        await agrees(world, run_id, reference)
    assert held == []


async def test_a_run_whose_last_step_leaves_only_skipped_ones_still_has_its_output(world: World) -> None:
    run_id = await world.run(await world.workflow(LATE))
    worker, held = await world.claimed(run_id)
    await succeed(world, worker, held, {"n": 1})
    run = await world.row(run_id)
    assert (run["status"], run["output"]) == ("succeeded", {"a": {"n": 1}, "d": "skipped"})


async def test_ends_of_several_runs_in_one_transaction_each_advance_their_own(world: World) -> None:
    name = await world.workflow("version: 1\nname: pair\nsteps:\n" + PAIR)
    runs = [await world.run(name) for _ in range(3)]
    worker = await world.worker()
    claims = await world.claims(worker, 3)
    lost = claims[1]
    await world.lapse(lost.lease.step_id)
    await world.sql("UPDATE steps SET claim_token = gen_random_uuid() WHERE id = $1", lost.lease.step_id)
    done = await complete(
        world.engine, worker, [Ended(each, StepStatus.SUCCEEDED, output=1) for each in reversed(claims)], claim=1
    )
    assert done.closed == {each.lease.step_id for each in claims if each is not lost}
    assert [each.key for each in done.claims] == ["b"]
    seconds = [(await world.steps(run_id))["b"]["status"] for run_id in runs if run_id != lost.run_id]
    assert sorted(seconds) == ["ready", "running"]
    assert (await world.steps(lost.run_id))["b"]["status"] == "pending"


PAIR = "  - {id: a, type: tool, tool: noop}\n  - {id: b, type: tool, tool: noop, needs: [a]}\n"
