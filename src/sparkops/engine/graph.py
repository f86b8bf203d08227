"""A definition compiled for runs: who waits for whom, what each step reads, and who may decide about it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sparkops.core.json import Json
from sparkops.core.model_spec import SCRIPTED
from sparkops.core.templates import CompiledValue, compile_value, mentioned
from sparkops.domains.workflows.definition import INLINE_TYPES, Definition, StepDefinition, StepType
from sparkops.domains.workflows.inputs import input_types
from sparkops.domains.workflows.scope import Scope
from sparkops.engine.node import Mentions, Node, body_scope, mentioned_by, mentions_of
from sparkops.engine.relations import Relations

__all__ = ["Graph", "Mentions", "Node", "compile_graph"]


@dataclass(frozen=True)
class Graph:
    """All nodes of a workflow or of a body, in the order of the definition.

    Never changes, so one may serve a whole process.
    """

    definition: Definition
    nodes: tuple[Node, ...]
    scope: Scope
    """What the output sees."""
    declared_output: Json
    """The output of the run or of a frame with its expressions, or None: then it is what the leaves give."""
    parent: str | None = None
    """The map or loop whose body this is; None for the workflow itself."""

    @cached_property
    def by_key(self) -> Mapping[str, Node]:
        """The nodes of this level by their keys."""
        return {node.key: node for node in self.nodes}

    def find(self, key: str) -> Node:
        """Return a node of this graph, of a body in it at any depth, or what undoes one (`<id>:undo`).

        Raises:
            KeyError: there is none.
        """
        return self._whole[key]

    @cached_property
    def _whole(self) -> Mapping[str, Node]:
        return {node.key: node for node in self._walk()}

    def _walk(self) -> Iterator[Node]:
        for node in self.nodes:
            yield node
            if node.undo is not None:
                yield node.undo
            if node.body is not None:
                yield from node.body._walk()

    def hands_over(self, node: Node) -> bool:
        """Say whether the database alone can apply the success of this step, the end of the run included.

        Where the run's output has to be evaluated, or its failure undone, a step may not be the last to end: another
        must surely follow it. A frame ends with the only leaf of its body, if nothing in it has to be evaluated.
        """
        if self.parent is not None:
            return node.hands_over or (not node.dependents and self.ends_with_leaf)
        if not node.hands_over or (self.simple_end and not self.has_undo):
            return node.hands_over
        return any(self.by_key[key].needs == (node.key,) for key in node.dependents)

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """The steps that no other step of this level needs."""
        return tuple(node.key for node in self.nodes if not node.dependents)

    @cached_property
    def ends_with_leaf(self) -> bool:
        """True if a frame of this body starts, goes on and ends without an expression: its output is its only leaf's,
        whose success means that all steps have succeeded."""
        return self.simple_end and len(self.leaves) == 1 and all(node.mechanical for node in self.nodes)

    @cached_property
    def has_undo(self) -> bool:
        """True if a step names what takes it back, so that a failed or cancelled run may have more to do."""
        return any(node.undo is not None for node in self.nodes)

    @cached_property
    def agents(self) -> frozenset[str]:
        """The names of the agents that its steps run, bodies and undo steps included."""
        return frozenset(node.name for node in self._walk() if node.type is StepType.AGENT and node.name)

    @cached_property
    def workflows(self) -> frozenset[tuple[str, int | None]]:
        """The workflows that its steps start, each with its version or None for the latest; as for `agents`."""
        found = (node for node in self._walk() if node.type is StepType.WORKFLOW)
        return frozenset((node.name, node.version) for node in found if node.name)

    @cached_property
    def scripted(self) -> bool:
        """True if one of its `llm` steps answers from a script instead of a model; as for `agents`."""
        return any(node.type is StepType.LLM and node.name == SCRIPTED for node in self._walk())

    @property
    def simple_end(self) -> bool:
        """True if the output is that of its leaves, for which nothing is evaluated."""
        return self.declared_output is None

    @cached_property
    def output(self) -> CompiledValue:
        """The declared output."""
        return compile_value(self.declared_output, self.scope)

    @cached_property
    def output_mentions(self) -> Mentions:
        """What the declared output reads."""
        return Mentions(mentioned(self.declared_output, self.scope))

    @cached_property
    def made_of(self) -> Mentions:
        """What the output is made of, declared or not."""
        if not self.simple_end:
            return self.output_mentions
        return Mentions(frozenset(f"steps.{key}.output" for key in self.leaves))

    @cached_property
    def concurrency_key(self) -> CompiledValue | None:
        """The key of the workflow's limit, over the input; None where it has none."""
        limit = self.definition.concurrency
        return None if limit is None or limit.key is None else compile_value(limit.key, self.scope)


def compile_graph(definition: Definition) -> Graph:
    """Return the graph of a checked definition. Takes about 30 µs a step; expressions are compiled when first used."""
    order = dict(_positions(definition.steps))
    # The scope of a checked step need not list its ancestors: what it mentions was found to be among them.
    scope = Scope(input_types(definition.input_schema), order.keys())
    nodes = _Compiler(definition, order).nodes(Relations(definition.steps, None), scope, in_body=False)
    return Graph(definition, nodes, scope, definition.output)


def _positions(steps: Sequence[StepDefinition]) -> Iterator[tuple[str, int]]:
    for step in steps:
        yield step.key, step.position
        yield from _positions(step.body or ())


class _Compiler:
    def __init__(self, definition: Definition, order: Mapping[str, int]) -> None:
        self.definition, self.order = definition, order

    def nodes(self, relations: Relations, scope: Scope, *, in_body: bool) -> tuple[Node, ...]:
        """Compile one level."""
        mentions = {key: Mentions(mentioned_by(step, scope)) for key, step in relations.steps.items()}
        mechanical = {key for key, found in mentions.items() if relations.is_mechanical(key, found.steps)}
        return tuple(
            self._node(step, relations, scope, mentions[key], mechanical, in_body)
            for key, step in relations.steps.items()
        )

    def _node(
        self,
        step: StepDefinition,
        relations: Relations,
        scope: Scope,
        mentions: Mentions,
        mechanical: Collection[str],
        in_body: bool,
    ) -> Node:
        dependents = relations.dependents[step.key]
        inline = step.type in INLINE_TYPES
        return Node(
            step=step,
            scope=scope,
            needs=relations.needs[step.key],
            dependents=tuple(dependents),
            reads=self._ordered(mentions),
            reads_input=mentions.input,
            reads_frame=mentions.frame,
            prunes_reads=relations.may_read_open(step.key, mentions.steps),
            decides=mentions if inline else Mentions(mentions_of(step.condition, scope)),
            inline=inline,
            mechanical=step.key in mechanical,
            hands_over=all(key in mechanical for key in dependents) and not (in_body and not dependents),
            chosen_by=relations.chosen_by(step.key),
            handles=relations.handles(step.key),
            body=self._body(step, relations, scope),
            undo=None if step.undo is None else self._undo(step.undo, scope),
        )

    def _body(self, step: StepDefinition, relations: Relations, scope: Scope) -> Graph | None:
        if step.body is None:
            return None
        inner = body_scope(step, scope)
        nodes = self.nodes(Relations(step.body, relations.certain_around(step.key)), inner, in_body=True)
        return Graph(self.definition, nodes, inner, step.output, step.key)

    def _undo(self, step: StepDefinition, scope: Scope) -> Node:
        """Compile what takes a step back: all that the step saw has ended, and nobody waits for it in the graph."""
        mentions = Mentions(mentioned_by(step, scope))
        return Node(step, scope, reads=self._ordered(mentions), reads_input=mentions.input)

    def _ordered(self, mentions: Mentions) -> tuple[str, ...]:
        return tuple(sorted(mentions.steps, key=self.order.__getitem__))
