"""The engine's brain against a plain interpreter, on random graphs: whole workflows, and bodies of maps."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkops.core.json import dumps
from sparkops.domains.runs.state import StepStatus
from sparkops.domains.workflows.definition import parse_definition
from sparkops.domains.workflows.scope import map_frame
from sparkops.engine.decide import Command, Compensate, FinishRun, MakeReady, StepState
from sparkops.engine.graph import compile_graph
from tests.tiers import WHOLE
from tests.unit.in_memory import Run
from tests.unit.reference import PENDING, Fate, Plan, document, random_plans, run_status, settle

GRAPHS, BODIES = (20_000, 20_000) if WHOLE else (100, 50)


def whole(plans: list[Plan]) -> Run:
    return Run(compile_graph(parse_definition(dumps(document(plans)).decode(), agents=None, tools=None)))


def one_frame(plans: list[Plan]) -> Run:
    source = dumps(document(plans, in_body=True)).decode()
    body = compile_graph(parse_definition(source, agents=None, tools=None)).by_key["each"].body
    assert body is not None
    return Run(body, frame=map_frame(1, {"n": 1}), outer={"before": StepState(StepStatus.SUCCEEDED, {"n": 2})})


def run_randomly(random: Random, run: Run, plans: list[Plan]) -> None:
    """Let a random graph run in a random order and compare every moment with the plain interpreter."""
    by_key = {plan.key: plan for plan in plans}
    run.apply(run.decide())
    expected = settle(plans, {plan.key: PENDING for plan in plans})
    assert run.fates() == expected
    while run.finish is None:
        key = random.choice(run.ready())
        run.move(key, StepStatus.RUNNING)
        if random.random() < 0.1:
            run.move(key, StepStatus.WAITING)
            assert run.decide() == []
            run.move(key, StepStatus.READY)
            continue
        plan = by_key[key]
        succeeded = plan.ending == "succeeded"
        run.move(key, StepStatus(plan.ending), {"n": plan.number} if succeeded else None)
        follow(run, key)
        expected = settle(plans, {**expected, key: Fate(plan.ending, run.states[key].output)})
        assert run.fates() == expected
        assert run.decide(may_end=False) == [], "it has nothing to say twice"
    check_end(run, plans, expected)


def follow(run: Run, key: str) -> None:
    """Apply what follows from the end of a step, however it is asked."""
    focused, everything = run.decide([key]), run.decide()
    assert sorted(map(repr, focused)) == sorted(map(repr, everything))
    assert run.decide_loading([key]) == focused
    steps_only = [command for command in focused if not isinstance(command, FinishRun | Compensate)]
    assert run.decide([key], may_end=False) == steps_only
    if run.states[key].status is StepStatus.SUCCEEDED and run.graph.by_key[key].hands_over:
        assert steps_only == handed_over(run, key), "the database alone would do the same"
    run.apply(focused)


def handed_over(run: Run, key: str) -> list[Command]:
    """What `engine.hand_over` makes ready: mechanical steps whose needs have all succeeded."""
    behind = [run.graph.by_key[dependent] for dependent in run.graph.by_key[key].dependents]
    assert all(node.mechanical for node in behind)
    succeeded = {other for other, state in run.states.items() if state.status is StepStatus.SUCCEEDED}
    pending = [node for node in behind if run.states[node.key].status is StepStatus.PENDING]
    return [MakeReady(node.key) for node in pending if succeeded.issuperset(node.needs)]


def check_end(run: Run, plans: list[Plan], expected: dict[str, Fate]) -> None:
    status = run_status(plans, expected)
    undo = [plan.key for plan in plans if plan.undo and expected[plan.key].status == "succeeded"]
    if isinstance(run.finish, Compensate):
        assert run.finish.ends_as == status == "failed"
        assert set(run.finish.keys) == set(undo)
        places = {key: place for place, key in enumerate(run.finish.keys)}
        assert all(
            places[plan.key] < places.get(need, len(undo))
            for plan in plans
            if plan.key in places
            for need in plan.needs
        )
        return
    assert run.finish is not None
    assert run.finish.status == status
    assert status == "succeeded" or not undo
    if status == "failed":
        failed = [plan.key for plan in plans if not plan.goes_on and expected[plan.key].status == "failed"]
        assert run.finish.error is not None
        assert run.finish.error["step"] == failed[0]
    else:
        assert run.finish.output == default_output(run, plans, expected)


def default_output(run: Run, plans: list[Plan], fates: dict[str, Fate]) -> object:
    needed = {need for plan in plans for need in plan.needs}
    leaves = [plan.key for plan in plans if plan.key not in needed]
    if run.graph.parent and len(leaves) == 1:
        return fates[leaves[0]].output
    return {key: fates[key].output for key in leaves if fates[key].status == "succeeded"}


def play(examples: int, largest: int, *, in_body: bool) -> None:
    """Play so many random graphs of up to `largest` steps, and shrink the first that does not run as it should."""

    @settings(max_examples=examples, deadline=None)
    @given(st.integers(1, largest), st.integers())
    def one(count: int, seed: int) -> None:
        random = Random(seed)
        plans = random_plans(random, count, in_body=in_body)
        run_randomly(random, (one_frame if in_body else whole)(plans), plans)

    one()


@pytest.mark.timeout(3600)
def test_random_graphs_run_as_the_plain_interpreter_says(record_property: Callable[[str, object], None]) -> None:
    record_property("played", GRAPHS)
    play(GRAPHS, 60, in_body=False)


@pytest.mark.timeout(3600)
def test_random_bodies_run_as_the_plain_interpreter_says(record_property: Callable[[str, object], None]) -> None:
    record_property("played", BODIES)
    play(BODIES, 40, in_body=True)


@pytest.mark.parametrize("seed", range(60))
def test_many_more_random_graphs(seed: int) -> None:
    random = Random(seed)
    plans = random_plans(random, 60)
    run_randomly(random, whole(plans), plans)
