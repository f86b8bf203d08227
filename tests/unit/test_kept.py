"""What a run made from another keeps: on random graphs against a plain reading of the rule, and case by case."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.domains.effects.state import CallKind, CallStatus
from sparkops.domains.runs.state import TERMINAL_STEP, SourceKind, StepStatus
from sparkops.domains.workflows.definition import Definition
from sparkops.engine.decide import Compensate, FinishRun, StepState, decide
from sparkops.engine.graph import Graph, compile_graph
from sparkops.engine.kept import (
    Change,
    Fate,
    Past,
    PastCall,
    Why,
    asks,
    changed_inputs,
    explain,
    fates,
    inputs_read,
    may_reuse_calls,
    parts_of,
    reusable,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KINDS = (SourceKind.RETRY, SourceKind.FORK, SourceKind.RERUN)
NAMES = ("x", "y", "z")


def graph_of(*steps: dict[str, Any]) -> Graph:
    properties = {name: {"type": "integer", "default": 1} for name in NAMES}
    document = {"version": 1, "name": "g", "input": {"properties": properties}, "steps": list(steps)}
    return compile_graph(Definition.from_document(document))


def step(key: str, *needs: str, **given: Any) -> dict[str, Any]:
    return {"id": key, "type": "tool", "tool": "noop", "needs": list(needs), "with": given}


def question(key: str, *needs: str) -> dict[str, Any]:
    return {"id": key, "type": "approval", "needs": list(needs), "with": {"title": "May I?"}}


def ended(status: StepStatus = StepStatus.SUCCEEDED, **more: Any) -> Past:
    return Past(new_id(), status, started_at=NOON, finished_at=NOON + timedelta(seconds=1), **more)


def all_ended(graph: Graph, **others: Past) -> dict[str, Past]:
    return {node.key: others.get(node.key, ended()) for node in graph.nodes}


def whys(graph: Graph, past: Mapping[str, Past], change: Change, before: Graph | None = None) -> dict[str, Why | None]:
    found = fates(graph, parts_of((before or graph).definition), past, change)
    return {key: fate.why for key, fate in found.items()}


# Random graphs

DRAWN = st.lists(
    st.tuples(
        st.lists(st.integers(0, 30), max_size=3),
        st.sampled_from([*StepStatus, *[StepStatus.SUCCEEDED] * 20, *[StepStatus.SKIPPED] * 4]),
        st.sampled_from([*[None] * 6, *NAMES]),
        st.sampled_from([*["same"] * 10, "asks", "asks", "changed", "new", "undone"]),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(DRAWN, st.sampled_from(KINDS), st.sets(st.sampled_from(NAMES)), st.integers())
def test_exactly_what_the_rule_says_is_kept(drawn: list[Any], kind: SourceKind, inputs: set[str], seed: int) -> None:
    random = Random(seed)
    keys = [f"s{index}" for index in range(len(drawn))]
    needs = {
        key: list(dict.fromkeys(keys[index - 1 - back % index] for back in one[0] if index))
        for index, (key, one) in enumerate(zip(keys, drawn, strict=True))
    }
    now, before, past = {}, {}, {}
    for key, (_, status, name, how) in zip(keys, drawn, strict=True):
        given: dict[str, Any] = {"n": f"${{{{ input.{name} }}}}"} if name else {}
        now[key] = question(key, *needs[key]) if how == "asks" else step(key, *needs[key], **given)
        if how == "asks":
            before[key], past[key] = now[key], ended(status)
        elif how != "new":
            before[key] = step(key, *needs[key], **given, **({"was": 1} if how == "changed" else {}))
            past[key] = ended(status, undone=how == "undone")
    shuffled = random.sample(keys, len(keys))
    chosen = random.choice(keys) if kind is SourceKind.FORK else None
    found = fates(graph_of(*(now[key] for key in shuffled)), before, past, Change(kind, chosen, frozenset(inputs)))

    def plainly_kept(reopened: set[str]) -> set[str]:
        kept: set[str] = set()
        for key, (_, status, name, how) in zip(keys, drawn, strict=True):
            well = how in ("same", "asks") and status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED)
            reads = how == "same" and name in inputs
            if well and key not in reopened | {chosen} and not reads and kept.issuperset(needs[key]):
                kept.add(key)
        return kept

    expected = set() if kind is SourceKind.RERUN else plainly_kept(set())
    if kind is SourceKind.FORK:
        reopened: set[str] = set()
        for _ in keys:
            above = {need for key in keys if key not in expected for need in all_needs(key, needs)}
            asked = {key for key in expected & above if now[key]["type"] == "approval"}
            reopened |= {key for key in asked if past[key].status is StepStatus.SUCCEEDED}
            expected = plainly_kept(reopened)
    assert {key for key, fate in found.items() if fate.kept} == expected
    assert list(found) == shuffled
    for key, fate in found.items():
        assert (fate.why is Why.BEHIND) <= bool(set(fate.because) & set(needs[key]))
        assert explain(fate, past.get(key)).endswith(".")


def all_needs(key: str, needs: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    for _ in needs:
        found = found.union(needs[key], *(needs[need] for need in found))
    return found


@settings(max_examples=150, deadline=None)
@given(DRAWN, st.sampled_from(KINDS[:2]), st.integers())
def test_what_is_kept_stays_as_it_is_and_the_rest_comes_to_an_end(
    drawn: list[Any], kind: SourceKind, seed: int
) -> None:
    """A run that begins with copies is decided like any other: nothing about them, and all others in their turn."""
    random = Random(seed)
    keys = [f"s{index}" for index in range(len(drawn))]
    graph = graph_of(
        *(
            step(key, *dict.fromkeys(keys[index - 1 - back % index] for back in one[0] if index))
            for index, (key, one) in enumerate(zip(keys, drawn, strict=True))
        )
    )
    # A past that can have been: what needs a step that was lost was skipped or never ended.
    past: dict[str, Past] = {}
    for node, (_, status, _, _) in zip(graph.nodes, drawn, strict=True):
        fine = all(past[need].status is StepStatus.SUCCEEDED for need in node.needs)
        past[node.key] = ended(status if fine else StepStatus.SKIPPED)
    change = Change(kind, random.choice(keys) if kind is SourceKind.FORK else None)
    kept = {key for key, fate in fates(graph, parts_of(graph.definition), past, change).items() if fate.kept}
    states = {
        key: StepState(past[key].status, 1) if key in kept else StepState(StepStatus.PENDING) for key in graph.by_key
    }
    for _ in range(len(keys) + 1):
        commands = decide(graph, states, dict.fromkeys(NAMES, 1), "run-1")
        told = {command.key for command in commands if not isinstance(command, FinishRun | Compensate)}
        assert not told & kept
        for key in told:
            skipped = any(states[need].status is StepStatus.SKIPPED for need in graph.by_key[key].needs)
            states[key] = StepState(StepStatus.SKIPPED if skipped else StepStatus.SUCCEEDED, 1)
    assert all(state.status in TERMINAL_STEP for state in states.values())


# The rule, case by case


def test_a_change_of_type_counts_although_the_values_compare_equal() -> None:
    before, now = graph_of(step("a", n=1)), graph_of(step("a", n=1.0))
    assert whys(now, all_ended(now), Change(SourceKind.FORK, "b"), before) == {"a": Why.CHANGED}


def test_a_step_that_failed_runs_again_although_the_run_could_do_without_it() -> None:
    graph = graph_of(step("a"), step("b", "a"), step("c"))
    past = all_ended(graph, a=ended(StepStatus.FAILED))
    assert whys(graph, past, Change(SourceKind.RETRY)) == {"a": Why.FAILED, "b": Why.BEHIND, "c": None}


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("${{ input.x + 1 }}", ("x",)),
        ("${{ input . y }}", ("y",)),
        ("${{ input['x'] }}", ("x", "y")),
        ("${{ input }}", ("x", "y")),
        ("${{ input.z }}", ()),
        ("${{ inputs.x + my_input.x }}", ()),
    ],
)
def test_which_inputs_a_step_may_read(text: str, reads: tuple[str, ...]) -> None:
    assert inputs_read(step("a", value=text), {"x", "y"}) == reads
    assert inputs_read(step("a", value=text), ()) == ()


def test_the_condition_a_body_and_what_undoes_a_step_read_inputs_too() -> None:
    for part in (
        {"id": "a", "if": "input.x > 1"},
        {"id": "a", "steps": [step("b", n="${{ input.x }}")]},
        {"id": "a", "undo": step("b", n="${{ input.x }}")},
    ):
        assert inputs_read(part, {"x"}) == ("x",)
    assert inputs_read({"id": "input", "with": {"input": 1}}, {"x"}) == ("x",), "an id may be read as well"


def test_inputs_are_compared_by_value_and_type_and_by_being_there() -> None:
    before: dict[str, Json] = {"a": 1, "b": None, "c": [1], "d": 1}
    now: dict[str, Json] = {"a": 1.0, "c": [1], "d": 1, "e": None}
    assert changed_inputs(before, now) == {"a", "b", "e"}


def test_a_question_in_a_body_counts_as_a_question() -> None:
    assert asks(question("a"))
    assert asks({"id": "a", "type": "map", "steps": [{"id": "b", "type": "loop", "steps": [question("c")]}]})
    assert not asks({"id": "a", "type": "map", "steps": [step("b")]})


# Calls that answer a retry


def calls(*made: str) -> list[PastCall]:
    """Calls of a step in words: `llm done`, `tool failed`; a number before it is its place."""
    found = []
    for place, words in enumerate(made, start=1):
        kind, status = words.split()
        found.append(PastCall(new_id(), place, CallKind(kind), CallStatus(status)))
    return found


@pytest.mark.parametrize(
    ("made", "failed", "count"),
    [
        ((), True, 0),
        (("tool done",), True, 1),
        (("llm done", "tool done", "llm done"), True, 2),
        (("llm done", "tool done", "llm done"), False, 3),
        (("llm done", "tool failed", "llm done"), False, 1),
        (("llm done", "tool failed", "llm done"), True, 1),
        (("llm done", "tool done", "llm failed"), True, 2),
        (("llm unknown", "llm done"), True, 0),
        (("tool denied",), False, 0),
    ],
)
def test_a_step_is_answered_from_the_calls_before_the_first_that_is_not_done(
    made: tuple[str, ...], failed: bool, count: int
) -> None:
    given = calls(*made)
    assert reusable(given, failed=failed) == given[:count]


def test_a_gap_in_the_record_ends_what_can_be_reused() -> None:
    first, second = calls("tool done", "tool done")
    assert reusable([second], failed=False) == []
    assert reusable([first, second], failed=False) == [first, second]


READER = graph_of(step("a"), step("b", "a", n="${{ steps.a.output }}"))
LATE = Past(new_id(), StepStatus.SUCCEEDED, NOON, NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("changed", "may"),
    [
        ({}, True),
        ({"b": ended(StepStatus.FAILED, error_code="non-deterministic")}, False),
        ({"b": ended(StepStatus.SUCCEEDED, undone=True)}, False),
        ({"b": Past(new_id(), StepStatus.CANCELLED)}, False),
        ({"a": LATE}, False),
        ({"a": ended(StepStatus.FAILED)}, False),
    ],
)
def test_when_a_step_would_ask_for_the_same_calls(changed: dict[str, Past], may: bool) -> None:
    past = {
        "a": Past(new_id(), StepStatus.SUCCEEDED, NOON - timedelta(hours=1), NOON),
        "b": ended(StepStatus.FAILED),
        **changed,
    }
    decided = fates(READER, parts_of(READER.definition), past, Change(SourceKind.RETRY))
    part = parts_of(READER.definition)["b"]
    assert may_reuse_calls(READER.by_key["b"], part, decided, past, SourceKind.RETRY) is may
    assert not may_reuse_calls(READER.by_key["b"], part, decided, past, SourceKind.FORK)


def test_a_kept_step_says_how_it_stays() -> None:
    assert explain(Fate("a"), ended()) == "Keeps its result."
    assert explain(Fate("a"), ended(StepStatus.SKIPPED)) == "Stays skipped."
    assert explain(Fate("a", Why.BEHIND, ("b", "c")), None) == "It needs what runs again: b, c."
