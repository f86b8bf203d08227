"""A run in memory: applies commands as the database does, lets workers end steps, and asks `decide` in every way."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from sparkops.core.json import Json
from sparkops.domains.runs.state import STEP_MACHINE, TERMINAL_STEP, StepStatus
from sparkops.domains.workflows.definition import Definition
from sparkops.domains.workflows.scope import FrameView
from sparkops.engine.decide import (
    Command,
    Compensate,
    FailInline,
    FinishInline,
    FinishRun,
    MakeReady,
    Missing,
    Skip,
    StepState,
    decide,
)
from sparkops.engine.graph import Graph, compile_graph
from tests.unit.reference import Fate

INPUT: dict[str, Json] = {"yes": True}
_BECOMES = {MakeReady: StepStatus.READY, Skip: StepStatus.SKIPPED, FailInline: StepStatus.FAILED}


class Run:
    """The steps of one run, or of one frame of a body: then with what is around it."""

    def __init__(
        self, graph: Graph, *, frame: FrameView | None = None, outer: Mapping[str, StepState] | None = None
    ) -> None:
        self.graph, self.frame, self.outer = graph, frame, outer or {}
        self.states = {node.key: StepState(StepStatus.PENDING) for node in graph.nodes}
        self.finish: FinishRun | Compensate | None = None

    def decide(self, focus: Collection[str] | None = None, *, may_end: bool = True) -> list[Command]:
        return decide(
            self.graph,
            self.states,
            INPUT,
            "run-1",
            focus=focus,
            frame=self.frame,
            outer=self.outer,
            may_end=may_end,
        )

    def decide_loading(self, focus: Collection[str] | None = None) -> list[Command]:
        """Decide with nothing loaded, load what is missing, and ask again until it is enough."""
        states = {key: _unloaded(state) for key, state in self.states.items()}
        outer: dict[str, StepState] = {}
        inputs: dict[str, Json] | None = None
        frame: FrameView | None = None
        while True:
            try:
                return decide(self.graph, states, inputs, "run-1", focus=focus, frame=frame, outer=outer)
            except Missing as found:
                missing = found
            there = {key for key, state in (states | outer).items() if state.loaded}
            assert there.isdisjoint(missing.outputs), "nothing is asked for twice"
            assert missing.outputs or (missing.input and inputs is None) or (missing.frame and frame is None)
            states |= {key: self.states[key] for key in missing.outputs if key in states}
            outer |= {key: self.outer[key] for key in missing.outputs if key not in states}
            inputs = INPUT if missing.input else inputs
            frame = self.frame if missing.frame else frame

    def move(self, key: str, status: StepStatus, output: Json = None) -> None:
        assert status in STEP_MACHINE[self.states[key].status]
        error = {"code": "x", "message": "broke"} if status is StepStatus.FAILED else None
        self.states[key] = StepState(status, output, error)

    def apply(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case FinishRun() | Compensate():
                    assert self.finish is None
                    assert all(state.status in TERMINAL_STEP for state in self.states.values())
                    self.finish = command
                case FinishInline():
                    self.move(command.key, StepStatus.SUCCEEDED, command.output)
                case _:
                    self.move(command.key, _BECOMES[type(command)])
        for command in commands:
            self.check_reads(command)

    def check_reads(self, command: Command) -> None:
        """A step that starts says which of the steps it reads have ended, unless all have."""
        if isinstance(command, MakeReady):
            node = self.graph.by_key[command.key]
            states = {key: self.states.get(key) or self.outer[key] for key in node.reads}
            ended = tuple(key for key, state in states.items() if state.status in TERMINAL_STEP)
            assert command.reads == (None if ended == node.reads else ended)

    def ready(self) -> list[str]:
        return [key for key, state in self.states.items() if state.status is StepStatus.READY]

    def fates(self) -> dict[str, Fate]:
        return {key: Fate(state.status.value, state.output) for key, state in self.states.items()}


def _unloaded(state: StepState) -> StepState:
    return replace(state, output=None, loaded=False) if state.status is StepStatus.SUCCEEDED else state


def graph_of(steps: list[dict[str, Any]], **head: Any) -> Graph:
    return compile_graph(Definition.from_document({"version": 1, "name": "x", "steps": steps, **head}))


def tool(key: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "type": "tool", "tool": "noop", "needs": list(needs), **more}


def transform(key: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "type": "transform", "needs": list(needs), "with": {"value": 1}, **more}


def branch(key: str, *needs: str, cases: list[tuple[str, list[str]]], otherwise: list[str]) -> dict[str, Any]:
    given = [{"when": when, "then": then} for when, then in cases]
    return {"id": key, "type": "branch", "needs": list(needs), "with": {"cases": given, "else": otherwise}}
