"""What has to happen next in a run, or in one frame of a map or loop: a pure function of the graph, the statuses and
the outputs.

A step starts, or is skipped, as soon as its join rule can be answered (`engine/joins.py`), without waiting for needs
that could not change the answer: a person sees early what will not run. A run ends when no step is open; it has failed
if a step has whose failure is not tolerated.

One call follows a change as far as it goes: an inline step's result or a skip counts for the steps behind it. Called
again after its commands were applied, it has nothing to say.
"""

from collections.abc import Collection, Mapping

from sparkops.core.errors import SparkOpsError
from sparkops.core.expressions import ExpressionError
from sparkops.core.json import Json
from sparkops.core.payloads import PLAIN, ValueLost, Values, ValueTooLarge
from sparkops.core.text_templates import TemplateError
from sparkops.domains.runs.state import TERMINAL_STEP, RunStatus, StepStatus
from sparkops.engine.commands import (
    NO_LABELS,
    Command,
    Compensate,
    Error,
    FailInline,
    FinishInline,
    FinishRun,
    Labels,
    MakeReady,
    Missing,
    Skip,
    StepCommand,
    StepState,
    to_json,
)
from sparkops.engine.compensate import decide_cancelled, decide_compensating, end_unhappily
from sparkops.engine.graph import Graph, Node
from sparkops.engine.joins import Verdict, judge, starts
from sparkops.engine.knowledge import Knowledge
from sparkops.engine.params import FrameView, evaluate_condition, evaluate_inline, render_output

__all__ = [
    "Command",
    "Compensate",
    "Error",
    "FailInline",
    "FinishInline",
    "FinishRun",
    "Labels",
    "MakeReady",
    "Missing",
    "Skip",
    "StepState",
    "decide",
    "decide_cancelled",
    "decide_compensating",
    "to_json",
]

SKIPPED_BY_CONDITION = "condition"
SKIPPED_BY_UPSTREAM = "upstream"
SKIPPED_BY_BRANCH = "branch"
"""A branch chose other steps."""
SKIPPED_BY_SUCCESS = "no-error"
"""It handles the failure of a step that did not fail."""
EXPRESSION_FAILED = "expression-failed"
OUTPUT_TOO_LARGE = "output-too-large"

_EVALUATION_FAILED = (ExpressionError, TemplateError, ValueLost, ValueTooLarge)


def decide(
    graph: Graph,
    states: Mapping[str, StepState],
    inputs: Mapping[str, Json] | None,
    run_id: str,
    *,
    focus: Collection[str] | None = None,
    frame: FrameView | None = None,
    outer: Mapping[str, StepState] | None = None,
    may_end: bool = True,
    values: Values = PLAIN,
    labels: Labels = NO_LABELS,
) -> list[Command]:
    """Return what is to be done, in an order in which it can be applied.

    `states` holds every step of the graph. With `focus` only the steps behind these are looked at, which is enough
    after exactly they have ended; without it the whole run is, which repairs whatever was missed. Commands for steps
    are for pending ones only. Not for a run that is being cancelled or compensates: see `decide_cancelled` and
    `decide_compensating`. `may_end` False: the run is paused, so that it goes on but does not end.

    For the body of a map or loop: `graph` is the body's, `states` the steps of one frame, `frame` what they see of it,
    `outer` the steps around that have been loaded; `FinishRun` is then the end of the frame.

    Input, frame and outputs come and go in their stored form; `values` turns them into what expressions read, and back.
    `labels` are those of input and frame; what is made here carries those of all that it was made from.

    Raises:
        Missing: outputs, the input (None) or the frame (None) were not loaded and are read.
        NotAtHand: large values have to be read from object storage, or written to it, first.
    """
    return _Decision(graph, Knowledge(states, outer or {}, inputs, frame, run_id, values, labels)).make(
        focus, may_end=may_end
    )


class _Decision:
    """One call of `decide`."""

    def __init__(self, graph: Graph, known: Knowledge) -> None:
        self.graph, self.known = graph, known
        self.commands: list[Command] = []

    def make(self, focus: Collection[str] | None, *, may_end: bool) -> list[Command]:
        self._decide_steps(focus)
        self.commands = [self._complete(command) for command in self.commands]
        if may_end and not self._is_open():
            end = self._end()
            self.commands += [] if end is None else [end]
        self.known.raise_missing()
        return self.commands

    def _decide_steps(self, focus: Collection[str] | None) -> None:
        by_key = self.graph.by_key
        if focus is None:
            queue = [node.key for node in self.graph.nodes]
        else:
            queue = list(dict.fromkeys(key for done in focus for key in by_key[done].dependents))
        for key in queue:  # grows while it is walked: what a command settles, those behind it follow
            command = self._decide_step(by_key[key])
            if command is not None:
                self.commands.append(command)
                settled = self.known.apply(command)
                queue.extend(by_key[key].dependents if settled else ())

    def _decide_step(self, node: Node) -> StepCommand | None:
        if self.known.state(node.key).status is not StepStatus.PENDING:
            return None
        match starts(node.join, self._verdicts(node)):
            case True:
                return self._start(node)
            case False:
                return Skip(node.key, SKIPPED_BY_UPSTREAM)
            case None:
                return None

    def _verdicts(self, node: Node) -> list[Verdict]:
        return [self._judge(self.graph.by_key[need], node) for need in node.needs]

    def _judge(self, need: Node, node: Node) -> Verdict:
        chosen = self.known.chosen(need.key) if need.key in node.chosen_by else ()
        return Verdict.OPEN if chosen is None else judge(need, self.known.state(need.key).status, chosen, node)

    def _start(self, node: Node) -> StepCommand | None:
        context = self.known.context(node.decides)
        if context is None:
            return None
        try:
            if not evaluate_condition(node, context):
                return Skip(node.key, SKIPPED_BY_CONDITION)
            if node.inline:
                stored = self.known.values.store(evaluate_inline(node, context))
                labels = self.known.labels(node.decides, around=True)
                return FinishInline(node.key, stored.value, stored.text, labels)
        except _EVALUATION_FAILED as error:
            return FailInline(node.key, _error(error))
        return MakeReady(node.key)

    def _complete(self, command: Command) -> Command:
        """Add what a command tells beside: looked at when all is decided, so that the order does not matter."""
        match command:
            case MakeReady() if (node := self.graph.by_key[command.key]).prunes_reads:
                return MakeReady(command.key, self.known.ended(node.reads))
            case Skip() if command.reason == SKIPPED_BY_UPSTREAM:
                return Skip(command.key, self._reason(self.graph.by_key[command.key]))
            case _:
                return command

    def _reason(self, node: Node) -> str:
        """Say why a step is skipped, by the first of its needs that was not met."""
        verdicts = zip(node.needs, self._verdicts(node), strict=True)
        unmet = next(need for need, verdict in verdicts if verdict in (Verdict.LOST, Verdict.FAILED))
        if self.known.state(unmet).status is StepStatus.SUCCEEDED:
            return SKIPPED_BY_SUCCESS if unmet in node.handles else SKIPPED_BY_BRANCH
        return SKIPPED_BY_UPSTREAM

    def _is_open(self) -> bool:
        # From the end of the definition, where what is still open usually stands.
        return any(self.known.state(node.key).status not in TERMINAL_STEP for node in reversed(self.graph.nodes))

    def _end(self) -> FinishRun | Compensate | None:
        for node in self.graph.nodes:
            state = self.known.state(node.key)
            if state.status is StepStatus.FAILED and not node.tolerates_failure:
                return self._fail(_run_error(node.key, state.error))
        mentions = self.graph.made_of
        context = self.known.context(mentions)
        if context is None:
            return None
        labels = self.known.labels(mentions, around=False)
        if self.graph.simple_end:  # as the database does it: outputs are put together in their stored form
            return FinishRun(RunStatus.SUCCEEDED, render_output(self.graph, context), labels=labels)
        try:
            stored = self.known.values.store(render_output(self.graph, context))
            return FinishRun(RunStatus.SUCCEEDED, stored.value, text=stored.text, labels=labels)
        except _EVALUATION_FAILED as error:
            return self._fail(_error(error))

    def _fail(self, error: Error) -> FinishRun | Compensate:
        return end_unhappily(self.graph, self.known.states(), RunStatus.FAILED, error)


def _error(error: SparkOpsError) -> Error:
    match error:
        case ValueTooLarge():
            return {"code": OUTPUT_TOO_LARGE, "message": error.detail}
        case ValueLost():
            return {"code": error.code, "message": error.detail}
        case _:
            return {"code": EXPRESSION_FAILED, "message": error.detail}


def _run_error(key: str, error: Error | None) -> Error:
    """Say why a run failed in the words of its first failed step, as the database does for runs it ends itself."""
    reason = (error or {}).get("message") or (error or {}).get("code") or "unknown error"
    return {"code": "step-failed", "step": key, "message": f"Step {key} failed: {reason}"}
