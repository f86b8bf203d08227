"""How a run ends that failed or was cancelled: at once, or after steps that had succeeded were undone."""

from collections.abc import Mapping
from graphlib import TopologicalSorter

from sparkops.domains.runs.state import TERMINAL_STEP, RunStatus, StepStatus
from sparkops.domains.workflows.definition import undo_key
from sparkops.engine.commands import Compensate, Error, FinishRun, MakeReady, StepState
from sparkops.engine.graph import Graph

UNDO_FAILED = "undo-failed"


def end_unhappily(
    graph: Graph, states: Mapping[str, StepState], ends_as: RunStatus, error: Error | None
) -> FinishRun | Compensate:
    """Return the end of a run without open steps that failed or was cancelled, or what is to be undone before it."""
    keys = _to_be_undone(graph, states) if graph.has_undo else ()
    return Compensate(ends_as, error, keys) if keys else FinishRun(ends_as, error=error)


def decide_cancelled(graph: Graph, states: Mapping[str, StepState]) -> list[FinishRun | Compensate]:
    """Return what follows for a run that is being cancelled once its last step has ended; nothing before.

    `states` holds the steps of the workflow by their keys, the undo steps too if there are any, and may hold other
    rows of the run (of bodies), under any names: they have to have ended as well. Undo steps are run once: a run that
    is cancelled while it is compensating ends.
    """
    if any(state.status not in TERMINAL_STEP for state in states.values()):
        return []
    return [end_unhappily(graph, states, RunStatus.CANCELLED, None)]


def decide_compensating(
    undo: Mapping[str, StepState], ends_as: RunStatus, error: Error | None
) -> list[MakeReady | FinishRun]:
    """Return what follows in a compensating run.

    `undo` holds its undo steps by their keys, in the order in which they run: one after the other, the next also when
    one has failed. When all have ended the run ends as it was going to, and its error names those that did not succeed.
    """
    for key, state in undo.items():
        if state.status is StepStatus.PENDING:
            return [MakeReady(key)]
        if state.status not in TERMINAL_STEP:
            return []
    return [FinishRun(ends_as, error=_with_failures(undo, error))]


def _to_be_undone(graph: Graph, states: Mapping[str, StepState]) -> tuple[str, ...]:
    """Return the steps that have succeeded and name an undo that was not tried yet, against the order of their needs.

    Whoever applies it undoes the last to end first, which only the log of the run can tell.
    """
    keys = {
        node.key
        for node in graph.nodes
        if node.undo is not None
        and states[node.key].status is StepStatus.SUCCEEDED
        and undo_key(node.key) not in states
    }
    order = TopologicalSorter({node.key: node.needs for node in graph.nodes}).static_order()
    return tuple(reversed([key for key in order if key in keys]))


def _with_failures(undo: Mapping[str, StepState], error: Error | None) -> Error | None:
    """Return the run's error, which also names the steps that could not be undone."""
    suffix = undo_key("")
    failed = [key.removesuffix(suffix) for key, state in undo.items() if state.status is not StepStatus.SUCCEEDED]
    if not failed:
        return error
    words = f"Could not be undone: {', '.join(failed)}."
    before: Error = error or {"code": UNDO_FAILED}
    message = f"{before['message'].rstrip('.')}. {words}" if before.get("message") else words
    return {**before, "message": message, "undo_failed": failed}
