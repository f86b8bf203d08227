"""What expressions of a workflow see: `input.…`, `steps.<id>.output`, `steps.<id>.status` and `run.id`; in a body also
`item` and `index` of its map, `iteration` and `previous` of its loop; in the filter of a wait `event.…`."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sparkops.core.expressions import ValueType
from sparkops.core.json import Json
from sparkops.core.payloads import PLAIN

OPEN_STATUS: Final = "pending"
"""What a step that has not ended looks like, whatever it is doing: expressions must not depend on the moment."""
MAP_NAMES: Final = {"item": ValueType.DYN, "index": ValueType.INT}
LOOP_NAMES: Final = {"iteration": ValueType.INT, "previous": ValueType.DYN}
EVENT_NAMES: Final = {"event.id": ValueType.STRING, "event.name": ValueType.STRING, "event.data": ValueType.DYN}
_FRAME_NAMES = frozenset({*MAP_NAMES, *LOOP_NAMES})
_STEP_FIELDS = {"output": ValueType.DYN, "status": ValueType.STRING}


class Scope(Mapping[str, ValueType]):
    """The declared variables of one place: the input, the steps that may be read there, and names of the place itself.

    A mapping that computes its entries: a workflow of 2,000 steps in a chain would otherwise list four million.
    """

    def __init__(
        self, inputs: Mapping[str, ValueType], steps: Collection[str], names: Mapping[str, ValueType] | None = None
    ) -> None:
        self._inputs, self._steps, self._names = inputs, steps, names or {}

    def __getitem__(self, name: str) -> ValueType:
        if name == "run.id":
            return ValueType.STRING
        if step_of(name) in self._steps:
            field = name.split(".")[2:]
            if len(field) == 1 and field[0] in _STEP_FIELDS:
                return _STEP_FIELDS[field[0]]
        if name in self._names:
            return self._names[name]
        return self._inputs[name]

    def __iter__(self) -> Iterator[str]:
        yield "run.id"
        yield from self._inputs
        yield from self._names
        for step in self._steps:
            yield from (f"steps.{step}.{field}" for field in _STEP_FIELDS)

    def __len__(self) -> int:
        return 1 + len(self._inputs) + len(self._names) + len(_STEP_FIELDS) * len(self._steps)

    def and_steps(self, steps: Collection[str]) -> "Scope":
        """Return the same place with other steps to be read."""
        return Scope(self._inputs, steps, self._names)

    def and_names(self, names: Mapping[str, ValueType]) -> "Scope":
        """Return the same place with more names of its own; those within shadow those around."""
        return Scope(self._inputs, self._steps, {**self._names, **names})


def step_of(name: str) -> str | None:
    """Return the step that a variable belongs to, or None if it is no step's."""
    parts = name.split(".")
    return parts[1] if parts[0] == "steps" and len(parts) > 1 else None


def reads_frame(names: Iterable[str]) -> bool:
    """Return whether any of these variables belongs to a frame of a map or loop."""
    return not _FRAME_NAMES.isdisjoint(names)


@dataclass(frozen=True, slots=True)
class StepView:
    """What expressions see of a step; the output of one that did not succeed is null."""

    output: Json
    status: str


OPEN_VIEW: Final = StepView(None, OPEN_STATUS)


@dataclass(frozen=True, slots=True)
class FrameView:
    """What the steps of a body see of the frames around them: of the nearest map and of the nearest loop.

    `index` counts from 0, None outside of maps; `iteration` from 1, None outside of loops.
    """

    item: Json = None
    index: int | None = None
    iteration: int | None = None
    previous: Json = None


def map_frame(index: int, item: Json, around: FrameView | None = None) -> FrameView:
    """Return the view of one item; `around` is that of the frame in which the map stands, if it does in one."""
    return replace(around or FrameView(), item=item, index=index)


def loop_frame(iteration: int, previous: Json, around: FrameView | None = None) -> FrameView:
    """Return the view of one pass; `around` is that of the frame in which the loop stands, if it does in one."""
    return replace(around or FrameView(), iteration=iteration, previous=previous)


@dataclass(frozen=True, slots=True)
class EventView:
    """What the filter of a wait sees of an event."""

    id: str
    name: str
    data: Json


@dataclass(frozen=True, slots=True)
class Context:
    """The values at one place of one run: its input with defaults, the steps that were loaded, the frame, an event.

    A step that is not among `steps` looks like one that has not ended. `load` gives the plain form of the input, of
    outputs and of what belongs to the frame, if these are still stored ones.
    """

    input: Mapping[str, Json]
    steps: Mapping[str, StepView]
    run_id: str
    frame: FrameView | None = None
    event: EventView | None = None
    load: Callable[[Json], Any] = PLAIN.load


def bind(names: Iterable[str], context: Context) -> dict[str, Json]:
    """Return the values of these variables. One of a frame or event that is not given is left out: reading it fails.

    Raises:
        NotAtHand, ValueLost, ValueTooLarge: as `Context.load` does.
    """
    names = list(names)
    of_input = any(name.partition(".")[0] == "input" for name in names)
    inputs = context.load(dict(context.input)) if of_input else {}
    found: dict[str, Json] = {}
    for name in names:
        root, _, rest = name.partition(".")
        step = step_of(name)
        if name == "run.id":
            found[name] = context.run_id
        elif step is not None:
            view = context.steps.get(step, OPEN_VIEW)
            found[name] = context.load(view.output) if name.endswith(".output") else view.status
        elif name == "input":
            found[name] = inputs
        elif root == "input":
            found[name] = inputs.get(rest)
        elif root == "event" and context.event is not None:
            found[name] = getattr(context.event, rest)
        elif name in _FRAME_NAMES and context.frame is not None:
            found[name] = context.load(getattr(context.frame, name))
    return found
