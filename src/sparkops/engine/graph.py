"""A definition compiled for runs: who waits for whom, what each step reads, and who may decide about it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from sparkops.core.expressions import Expression, ValueType, compile_expression, referenced
from sparkops.core.json import Json
from sparkops.core.model_spec import SCRIPTED
from sparkops.core.templates import CompiledValue, compile_value, mentioned, unwrap
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.workflows.definition import Definition, RetryPolicy, StepDefinition, StepType
from sparkops.domains.workflows.format import LITERAL_KEYS
from sparkops.domains.workflows.inputs import input_types
from sparkops.domains.workflows.scope import Scope, step_of


@dataclass(frozen=True)
class Node:
    """One step of the graph.

    `inline`: evaluated by the engine while it advances the run, never claimed. `mechanical`: may become ready without
    anything being evaluated. `hands_over`: its success needs no expression either, because every dependent is
    mechanical; true for a leaf, whose run may still have an output to evaluate (`Graph.simple_end`).
    `effect_class` is that of the step itself, which may always be attempted again: its calls carry their own.
    """

    key: str
    type: StepType
    position: int
    needs: tuple[str, ...]
    dependents: tuple[str, ...]
    reads: tuple[str, ...]
    """The steps that its expressions mention, in the order of the definition."""
    reads_input: bool
    inline: bool
    mechanical: bool
    hands_over: bool
    effect_class: EffectClass
    timeout: timedelta | None
    retry: RetryPolicy
    step: StepDefinition
    scope: Scope

    @property
    def name(self) -> str | None:
        """The tool, the agent or the model."""
        return self.step.name

    # Compiled when first used: most processes evaluate a few of a graph's expressions, some none.
    @cached_property
    def condition(self) -> Expression | None:
        """The `if`, or None where the step has none."""
        if self.step.condition is None:
            return None
        return compile_expression(unwrap(self.step.condition)[0], self.scope, result=ValueType.BOOL)

    @cached_property
    def parameters(self) -> CompiledValue:
        """The `with`, without the keys that are literal."""
        return compile_value(_evaluated(self.step), self.scope)

    @property
    def literals(self) -> dict[str, Json]:
        """The keys of `with` that are taken as they are."""
        return {key: value for key, value in self.step.parameters.items() if key in LITERAL_KEYS[self.type]}


@dataclass(frozen=True)
class Graph:
    """All nodes, in the order of the definition. Never changes, so one may serve a whole process."""

    definition: Definition
    nodes: tuple[Node, ...]
    scope: Scope
    """What the run's output sees."""

    @cached_property
    def by_key(self) -> Mapping[str, Node]:
        """The nodes by their keys."""
        return {node.key: node for node in self.nodes}

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """The steps that no other step needs."""
        return tuple(node.key for node in self.nodes if not node.dependents)

    @cached_property
    def agents(self) -> frozenset[str]:
        """The names of the agents that its steps run."""
        return frozenset(node.name for node in self.nodes if node.type is StepType.AGENT and node.name)

    @cached_property
    def scripted(self) -> bool:
        """True if one of its `llm` steps answers from a script instead of a model."""
        return any(node.type is StepType.LLM and node.name == SCRIPTED for node in self.nodes)

    @property
    def simple_end(self) -> bool:
        """True if the run's output is that of its leaves, for which nothing is evaluated."""
        return self.definition.output is None

    @cached_property
    def output(self) -> CompiledValue:
        """The run's output."""
        return compile_value(self.definition.output, self.scope)

    @cached_property
    def output_reads(self) -> frozenset[str]:
        """The steps that the run's output mentions."""
        return frozenset(_steps(mentioned(self.definition.output, self.scope)))


def compile_graph(definition: Definition) -> Graph:
    """Return the graph of a checked definition. Takes about 30 µs a step; expressions are compiled when first used."""
    inputs = input_types(definition.input_schema)
    order = {step.key: step.position for step in definition.steps}
    dependents: dict[str, list[str]] = {key: [] for key in order}
    for step in definition.steps:
        for need in dict.fromkeys(step.needs):
            dependents[need].append(step.key)
    # The scope of a checked step need not list its ancestors: what it mentions was found to be among them.
    scope = Scope(inputs, order.keys())
    mechanical = {step.key for step in definition.steps if _is_mechanical(step)}
    nodes = tuple(_node(step, dependents[step.key], mechanical, scope, order) for step in definition.steps)
    return Graph(definition, nodes, scope)


def _node(
    step: StepDefinition,
    dependents: Sequence[str],
    mechanical: Collection[str],
    scope: Scope,
    order: Mapping[str, int],
) -> Node:
    names = mentioned(_evaluated(step), scope)
    if step.condition is not None:
        names |= referenced(unwrap(step.condition)[0], scope)
    return Node(
        key=step.key,
        type=step.type,
        position=step.position,
        needs=tuple(dict.fromkeys(step.needs)),
        dependents=tuple(dependents),
        reads=tuple(sorted(_steps(names), key=order.__getitem__)),
        reads_input=any(name == "input" or name.startswith("input.") for name in names),
        inline=step.type is StepType.TRANSFORM,
        mechanical=step.key in mechanical,
        hands_over=all(key in mechanical for key in dependents),
        effect_class=EffectClass.PURE,
        timeout=step.timeout,
        retry=step.retry,
        step=step,
        scope=scope,
    )


def _is_mechanical(step: StepDefinition) -> bool:
    return step.type is not StepType.TRANSFORM and step.condition is None


def _evaluated(step: StepDefinition) -> dict[str, Json]:
    return {key: value for key, value in step.parameters.items() if key not in LITERAL_KEYS[step.type]}


def _steps(names: Collection[str]) -> set[str]:
    return {step for step in map(step_of, names) if step is not None}
