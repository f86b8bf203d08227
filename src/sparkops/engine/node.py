"""One step of a compiled graph: its relations, what it reads, and its expressions, compiled when first used."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from sparkops.core.expressions import Expression, ValueType, compile_expression, referenced
from sparkops.core.json import Json
from sparkops.core.templates import CompiledValue, compile_value, mentioned, unwrap
from sparkops.domains.effects.state import EffectClass
from sparkops.domains.workflows.definition import RetryPolicy, StepDefinition, StepType
from sparkops.domains.workflows.format import LITERAL_KEYS
from sparkops.domains.workflows.options import (
    BranchOptions,
    ErrorKind,
    Join,
    LoopOptions,
    MapOptions,
    OnError,
    WaitOptions,
)
from sparkops.domains.workflows.scope import EVENT_NAMES, LOOP_NAMES, MAP_NAMES, Scope, reads_frame, step_of

if TYPE_CHECKING:
    from sparkops.engine.graph import Graph


@dataclass(frozen=True)
class Mentions:
    """The variables that some expressions mention, and what has to be loaded for them."""

    names: frozenset[str]

    @cached_property
    def steps(self) -> frozenset[str]:
        """The steps whose output or status is read."""
        return frozenset(step for step in map(step_of, self.names) if step is not None)

    @cached_property
    def outputs(self) -> frozenset[str]:
        """The steps whose output is read."""
        return frozenset(step for name in self.names if name.endswith(".output") and (step := step_of(name)))

    @property
    def input(self) -> bool:
        return any(name == "input" or name.startswith("input.") for name in self.names)

    @property
    def frame(self) -> bool:
        return reads_frame(self.names)


NOTHING: Final = Mentions(frozenset())


@dataclass(frozen=True)
class Node:
    """One step of the graph.

    `inline`: evaluated by the engine while it advances the run, never claimed. `mechanical`: may become ready without
    anything being evaluated. `hands_over`: its success needs no expression either, because every dependent is
    mechanical; true for a leaf, whose run may still have an output to evaluate (`Graph.simple_end`), but not for a
    leaf of a body, whose frame is ended by `decide`. `effect_class` is that of the step itself, which may always be
    attempted again: its calls carry their own.
    """

    step: StepDefinition
    scope: Scope
    needs: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    """The steps that its expressions mention, in the order of the definition; for a step of a body also steps around
    the map or loop."""
    reads_input: bool = False
    reads_frame: bool = False
    """An expression of it mentions a frame around it: `item`, `index`, `iteration` or `previous`."""
    prunes_reads: bool = False
    """Some of the steps it reads may not have ended when it starts, so `MakeReady` says which have."""
    decides: Mentions = NOTHING
    """What `decide` evaluates of it: the condition, and all else if it is inline."""
    inline: bool = False
    mechanical: bool = False
    hands_over: bool = False
    chosen_by: tuple[str, ...] = ()
    """The branches among its needs that name it: met only if they choose it."""
    handles: tuple[str, ...] = ()
    """The steps among its needs that go to it when they fail: met only if they do."""
    body: "Graph | None" = None
    """What each frame of a map or loop runs; None for other types."""
    undo: "Node | None" = None
    """What takes its effect back once it has succeeded."""
    effect_class: EffectClass = EffectClass.PURE

    @property
    def key(self) -> str:
        return self.step.key

    @property
    def type(self) -> StepType:
        return self.step.type

    @property
    def position(self) -> int:
        return self.step.position

    @property
    def name(self) -> str | None:
        """The tool, the agent, the model or the workflow."""
        return self.step.name

    @property
    def version(self) -> int | None:
        """The version of the workflow that a `workflow` step starts; None: the latest when the run was accepted."""
        return self.step.version

    @property
    def retry(self) -> RetryPolicy:
        return self.step.retry

    @property
    def timeout(self) -> timedelta | None:
        """How long one attempt may take."""
        return self.step.timeout

    @property
    def deadline(self) -> timedelta | None:
        """How long the step may take in all."""
        return self.step.deadline

    @property
    def join(self) -> Join:
        return self.step.join

    @property
    def on_error(self) -> OnError:
        return self.step.on_error

    @property
    def tolerates_failure(self) -> bool:
        """True if its failure does not fail the run or frame."""
        return self.on_error.kind is not ErrorKind.FAIL

    # Compiled when first used: most processes evaluate a few of a graph's expressions, some none.
    @cached_property
    def condition(self) -> Expression | None:
        """The `if`, or None where the step has none."""
        return None if self.step.condition is None else compile_condition(self.step.condition, self.scope)

    @cached_property
    def parameters(self) -> CompiledValue:
        """The `with`, without the keys that are literal."""
        return compile_value(evaluated(self.step), self.scope)

    @cached_property
    def case_conditions(self) -> tuple[Expression, ...]:
        """The `when` of each case of a branch."""
        return tuple(compile_condition(case.when, self.scope) for case in self.branch.cases)

    @cached_property
    def until(self) -> Expression | None:
        """The `until` of a loop, over what its body sees and the outputs of one pass; None: always all passes."""
        assert self.body is not None, f"{self.key} is no loop"
        return None if self.loop.until is None else compile_condition(self.loop.until, self.body.scope)

    @cached_property
    def until_mentions(self) -> Mentions:
        """What the `until` of a loop reads: steps of the body, of the pass that has ended, and steps around."""
        assert self.body is not None, f"{self.key} is no loop"
        return Mentions(mentions_of(self.loop.until, self.body.scope))

    @cached_property
    def filter(self) -> Expression | None:
        """The `filter` of a wait for events; None: every event of the name fits."""
        if self.wait.filter is None:
            return None
        return compile_condition(self.wait.filter, self.scope.and_names(EVENT_NAMES))

    @property
    def literals(self) -> dict[str, Json]:
        """The keys of `with` that are taken as they are."""
        return {key: value for key, value in self.step.parameters.items() if key in LITERAL_KEYS[self.type]}

    @property
    def branch(self) -> BranchOptions:
        assert isinstance(self.step.options, BranchOptions), f"{self.key} is no branch"
        return self.step.options

    @property
    def map(self) -> MapOptions:
        assert isinstance(self.step.options, MapOptions), f"{self.key} is no map"
        return self.step.options

    @property
    def loop(self) -> LoopOptions:
        assert isinstance(self.step.options, LoopOptions), f"{self.key} is no loop"
        return self.step.options

    @property
    def wait(self) -> WaitOptions:
        assert isinstance(self.step.options, WaitOptions), f"{self.key} is no wait"
        return self.step.options


def compile_condition(source: str, scope: Scope) -> Expression:
    """Return the compiled condition of a checked definition."""
    return compile_expression(unwrap(source)[0], scope, result=ValueType.BOOL)


def mentions_of(source: str | None, scope: Scope) -> frozenset[str]:
    """Return the variables that a condition mentions; None mentions nothing."""
    return frozenset() if source is None else referenced(unwrap(source)[0], scope)


def evaluated(step: StepDefinition) -> dict[str, Json]:
    """Return the keys of `with` whose expressions are evaluated with the step."""
    return {key: value for key, value in step.parameters.items() if key not in LITERAL_KEYS[step.type]}


def body_scope(step: StepDefinition, scope: Scope) -> Scope:
    """Return what the body of a map or loop sees; `scope` is what the step itself does."""
    return scope.and_names(MAP_NAMES if step.type is StepType.MAP else LOOP_NAMES)


def mentioned_by(step: StepDefinition, scope: Scope) -> frozenset[str]:
    """Return all variables that the step's own expressions mention, but for those that only its frames give."""
    names = mentioned(evaluated(step), scope) | mentions_of(step.condition, scope)
    match step.options:
        case BranchOptions():
            return names.union(*(mentions_of(case.when, scope) for case in step.options.cases))
        case WaitOptions():
            return names | mentions_of(step.options.filter, scope.and_names(EVENT_NAMES))
        case LoopOptions():
            return names | _outer_mentions(step, step.options.until, scope)
        case _:
            return names


def _outer_mentions(loop: StepDefinition, until: str | None, scope: Scope) -> frozenset[str]:
    """Return what `until` reads beside the pass that has ended."""
    body = {step.key for step in loop.body or ()}
    found = mentions_of(until, body_scope(loop, scope))
    return frozenset(name for name in found if name not in LOOP_NAMES and step_of(name) not in body)
