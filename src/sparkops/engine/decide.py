"""What has to happen next in a run: a pure function of the graph, the statuses and the outputs.

The join rule: a step starts when every step it needs has succeeded. It is skipped as soon as one of them can no
longer succeed, without waiting for the others: nothing that they do could still start it, and a person sees early
what will not run. A run ends when no step is open; it has failed if any step has.

One call follows a change as far as it goes: an inline step's result or a skip counts for the steps behind it. Called
again after its commands were applied, it has nothing to say.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from sparkops.core.errors import SparkOpsError
from sparkops.core.expressions import ExpressionError
from sparkops.core.json import Json
from sparkops.core.payloads import PLAIN, ValueLost, Values, ValueTooLarge
from sparkops.core.text_templates import TemplateError
from sparkops.domains.runs.state import TERMINAL_STEP, RunStatus, StepStatus
from sparkops.engine.graph import Graph, Node
from sparkops.engine.params import Context, StepView, evaluate_condition, evaluate_inline, render_output

SKIPPED_BY_CONDITION = "condition"
SKIPPED_BY_UPSTREAM = "upstream"
EXPRESSION_FAILED = "expression-failed"
OUTPUT_TOO_LARGE = "output-too-large"

_EVALUATION_FAILED = (ExpressionError, TemplateError, ValueLost, ValueTooLarge)
_LOST = frozenset({StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED})

Error = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepState:
    """Where a step stands. `output` counts only once it has succeeded, `error` only once it has failed."""

    status: StepStatus
    output: Json = None
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class MakeReady:
    """Let workers claim the step."""

    key: str


@dataclass(frozen=True, slots=True)
class Skip:
    """The step will not run: its condition does not hold, or something it needs did not succeed."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class FinishInline:
    """The step was evaluated here and has succeeded."""

    key: str
    output: Json


@dataclass(frozen=True, slots=True)
class FailInline:
    """An expression of the step failed."""

    key: str
    error: Error


@dataclass(frozen=True, slots=True)
class FinishRun:
    """Nothing is open any more."""

    status: RunStatus
    output: Json = None
    error: Error | None = None


Command = MakeReady | Skip | FinishInline | FailInline | FinishRun


def decide(
    graph: Graph,
    states: Mapping[str, StepState],
    inputs: Mapping[str, Json],
    run_id: str,
    *,
    focus: Collection[str] | None = None,
    values: Values = PLAIN,
) -> list[Command]:
    """Return what is to be done, in an order in which it can be applied.

    `states` holds every step of the graph. With `focus` only the steps behind these are looked at, which is enough
    after exactly they have ended; without it the whole run is, which repairs whatever was missed. Commands for steps
    are for pending ones only. Not for a run that is being cancelled: see `decide_cancelled`.

    Input and outputs come and go in their stored form; `values` turns them into what expressions read, and back.

    Raises:
        NotAtHand: large values have to be read or written first; nothing was decided.
    """
    return _Decision(graph, states, inputs, run_id, values).make(focus)


def decide_cancelled(statuses: Iterable[StepStatus]) -> list[FinishRun]:
    """Return the end of a run that is being cancelled, once its last step has ended; nothing before."""
    return [FinishRun(RunStatus.CANCELLED)] if all(status in TERMINAL_STEP for status in statuses) else []


def to_json(command: Command) -> dict[str, Json]:
    """Return a command as the database's `engine.apply` takes it."""
    match command:
        case MakeReady():
            return {"op": "ready", "key": command.key}
        case Skip():
            return {"op": "skip", "key": command.key, "reason": command.reason}
        case FinishInline():
            return {"op": "succeed", "key": command.key, "output": command.output}
        case FailInline():
            return {"op": "fail", "key": command.key, "error": command.error}
        case FinishRun():
            return {"op": "finish", "status": command.status, "output": command.output, "error": command.error}
        case _:
            assert_never(command)


class _Decision:
    """One call of `decide`: the states as they will be once the commands so far were applied."""

    def __init__(
        self,
        graph: Graph,
        states: Mapping[str, StepState],
        inputs: Mapping[str, Json],
        run_id: str,
        values: Values,
    ) -> None:
        self.graph, self.before, self.inputs, self.run_id, self.values = graph, states, inputs, run_id, values
        self.changed: dict[str, StepState] = {}
        self.commands: list[Command] = []

    def make(self, focus: Collection[str] | None) -> list[Command]:
        by_key = self.graph.by_key
        if focus is None:
            queue = [node.key for node in self.graph.nodes]
        else:
            queue = list(dict.fromkeys(key for done in focus for key in by_key[done].dependents))
        for key in queue:  # grows while it is walked: what a command settles, those behind it follow
            command = self._decide_step(by_key[key])
            if command is not None:
                self.commands.append(command)
                settled = self._apply(key, command)
                queue.extend(by_key[key].dependents if settled else ())
        # From the end of the definition, where what is still open usually stands.
        if all(self._state(node.key).status in TERMINAL_STEP for node in reversed(self.graph.nodes)):
            self.commands.append(self._finish())
        return self.commands

    def _state(self, key: str) -> StepState:
        return self.changed.get(key) or self.before[key]

    def _decide_step(self, node: Node) -> Command | None:
        if self._state(node.key).status is not StepStatus.PENDING:
            return None
        needs = [self._state(need).status for need in node.needs]
        if any(status in _LOST for status in needs):
            return Skip(node.key, SKIPPED_BY_UPSTREAM)
        if any(status is not StepStatus.SUCCEEDED for status in needs):
            return None
        return self._start(node)

    def _start(self, node: Node) -> Command:
        try:
            if not evaluate_condition(node, self._context(node.reads)):
                return Skip(node.key, SKIPPED_BY_CONDITION)
            if node.inline:
                return FinishInline(node.key, self.values.store(evaluate_inline(node, self._context(node.reads))))
        except _EVALUATION_FAILED as error:
            return FailInline(node.key, _error(error))
        return MakeReady(node.key)

    def _apply(self, key: str, command: Command) -> bool:
        """Take over what the command changes; True if the step has thereby ended."""
        match command:
            case MakeReady():
                self.changed[key] = StepState(StepStatus.READY)
            case Skip():
                self.changed[key] = StepState(StepStatus.SKIPPED)
            case FinishInline():
                self.changed[key] = StepState(StepStatus.SUCCEEDED, command.output)
            case FailInline():
                self.changed[key] = StepState(StepStatus.FAILED, None, command.error)
            case FinishRun():
                raise AssertionError("a run's end is no command for a step")
            case _:
                assert_never(command)
        return self.changed[key].status in TERMINAL_STEP

    def _finish(self) -> FinishRun:
        for node in self.graph.nodes:
            state = self._state(node.key)
            if state.status is StepStatus.FAILED:
                return FinishRun(RunStatus.FAILED, error=_run_error(node.key, state.error))
        if self.graph.simple_end:  # as the database does it: outputs are put together in their stored form
            return FinishRun(RunStatus.SUCCEEDED, render_output(self.graph, self._context(self.graph.leaves)))
        try:
            output = render_output(self.graph, self._context(self.graph.output_reads))
            return FinishRun(RunStatus.SUCCEEDED, self.values.store(output))
        except _EVALUATION_FAILED as error:
            return FinishRun(RunStatus.FAILED, error=_error(error))

    def _context(self, steps: Iterable[str]) -> Context:
        views = {}
        for key in steps:
            state = self._state(key)
            succeeded = state.status is StepStatus.SUCCEEDED
            views[key] = StepView(state.output if succeeded else None, state.status.value)
        return Context(self.inputs, views, self.run_id, self.values.load)


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
