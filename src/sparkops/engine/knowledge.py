"""What one decision knows: the states as they will be once its commands were applied, and what it lacks."""

from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping
from typing import assert_never

from sparkops.core.json import Json
from sparkops.core.payloads import Values
from sparkops.domains.runs.state import TERMINAL_STEP, StepStatus
from sparkops.domains.workflows.scope import OPEN_VIEW, Context, FrameView, StepView
from sparkops.engine.commands import (
    NO_LABELS,
    FailInline,
    FinishInline,
    Labels,
    MakeReady,
    Missing,
    Skip,
    StepCommand,
    StepState,
)
from sparkops.engine.node import Mentions


class Knowledge:
    """States of one level, of steps around it, the input and the frame; it notes whatever is read and not there."""

    def __init__(
        self,
        states: Mapping[str, StepState],
        outer: Mapping[str, StepState],
        inputs: Mapping[str, Json] | None,
        frame: FrameView | None,
        run_id: str,
        values: Values,
        labels: Labels = NO_LABELS,
    ) -> None:
        self._before, self._outer = states, outer
        self._inputs, self._frame, self._run_id = inputs, frame, run_id
        self.values, self._labels = values, labels
        self._changed: dict[str, StepState] = {}
        self._missing: set[str] = set()
        self._missing_input = self._missing_frame = False

    def state(self, key: str) -> StepState:
        """Return where a step of this level stands."""
        return self._changed.get(key) or self._before[key]

    def states(self) -> Mapping[str, StepState]:
        """Return where all steps stand."""
        return ChainMap(self._changed, dict(self._before))

    def apply(self, command: StepCommand) -> bool:
        """Take over what a command changes; True if the step has thereby ended."""
        match command:
            case MakeReady():
                state = StepState(StepStatus.READY)
            case Skip():
                state = StepState(StepStatus.SKIPPED)
            case FinishInline():
                state = StepState(StepStatus.SUCCEEDED, command.output, labels=command.labels)
            case FailInline():
                state = StepState(StepStatus.FAILED, None, command.error)
            case _:
                assert_never(command)
        self._changed[command.key] = state
        return state.status in TERMINAL_STEP

    def chosen(self, branch: str) -> Collection[str] | None:
        """Return the steps that a branch chose, none if it did not succeed; None if its output is not there."""
        state = self.state(branch)
        if state.status is not StepStatus.SUCCEEDED:
            return ()
        if not state.loaded:
            self._missing.add(branch)
            return None
        output = self.values.load(state.output)
        return output["chosen"] if isinstance(output, dict) else ()

    def ended(self, keys: Iterable[str]) -> tuple[str, ...] | None:
        """Return which of these steps have ended, None if all have."""
        states = {key: self._anywhere(key) for key in keys}
        ended = tuple(key for key, state in states.items() if state is not None and state.status in TERMINAL_STEP)
        return None if len(ended) == len(states) else ended

    def context(self, mentions: Mentions) -> Context | None:
        """Return the values of these variables, or None if some are not there."""
        views: dict[str, StepView] = {}
        for key in mentions.steps:
            state = self._anywhere(key)
            if state is not None and self._is_there(key, state, mentions):
                views[key] = _view(state)
        self._missing_input |= mentions.input and self._inputs is None
        self._missing_frame |= mentions.frame and self._frame is None
        if not self._missing.isdisjoint(mentions.steps) or self._missing_input or self._missing_frame:
            return None
        return Context(self._inputs or {}, views, self._run_id, self._frame, load=self.values.load)

    def labels(self, mentions: Mentions, *, around: bool) -> tuple[str, ...]:
        """Return the labels of what these variables give, in order; with `around`, those of the frame in any case."""
        found = {*(self._labels.input if mentions.input else ())}
        found.update(self._labels.frame if around or mentions.frame else ())
        for key in mentions.steps:
            state = self._anywhere(key)
            found.update(() if state is None else state.labels)
        return tuple(sorted(found))

    def raise_missing(self) -> None:
        """Raises Missing if anything was read that is not there."""
        if self._missing or self._missing_input or self._missing_frame:
            raise Missing(self._missing, input=self._missing_input, frame=self._missing_frame)

    def _anywhere(self, key: str) -> StepState | None:
        found = self._changed.get(key) or self._before.get(key) or self._outer.get(key)
        if found is None:
            self._missing.add(key)
        return found

    def _is_there(self, key: str, state: StepState, mentions: Mentions) -> bool:
        there = state.loaded or state.status is not StepStatus.SUCCEEDED or key not in mentions.outputs
        if not there:
            self._missing.add(key)
        return there


def _view(state: StepState) -> StepView:
    if state.status not in TERMINAL_STEP:
        return OPEN_VIEW
    return StepView(state.output if state.status is StepStatus.SUCCEEDED else None, state.status.value)
