"""What expressions of a workflow see: `input.…`, `steps.<id>.output`, `steps.<id>.status` and `run.id`."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sparkops.core.expressions import ValueType
from sparkops.core.json import Json
from sparkops.core.payloads import PLAIN

_STEP_FIELDS = {"output": ValueType.DYN, "status": ValueType.STRING}


class Scope(Mapping[str, ValueType]):
    """The declared variables of one place: the input, and those steps that have ended before it.

    A mapping that computes its entries: a workflow of 2,000 steps in a chain would otherwise list four million.
    """

    def __init__(self, inputs: Mapping[str, ValueType], steps: Collection[str]) -> None:
        self._inputs, self._steps = inputs, steps

    def __getitem__(self, name: str) -> ValueType:
        if name == "run.id":
            return ValueType.STRING
        if step_of(name) in self._steps:
            field = name.split(".")[2:]
            if len(field) == 1 and field[0] in _STEP_FIELDS:
                return _STEP_FIELDS[field[0]]
        return self._inputs[name]

    def __iter__(self) -> Iterator[str]:
        yield "run.id"
        yield from self._inputs
        for step in self._steps:
            yield from (f"steps.{step}.{field}" for field in _STEP_FIELDS)

    def __len__(self) -> int:
        return 1 + len(self._inputs) + len(_STEP_FIELDS) * len(self._steps)


def step_of(name: str) -> str | None:
    """Return the step that a variable belongs to, or None if it is no step's."""
    parts = name.split(".")
    return parts[1] if parts[0] == "steps" and len(parts) > 1 else None


@dataclass(frozen=True, slots=True)
class StepView:
    """What expressions see of a step that has ended; the output of one that did not succeed is null."""

    output: Json
    status: str


@dataclass(frozen=True, slots=True)
class Context:
    """The values of one run: its input with defaults, and the steps that were loaded.

    `load` gives the plain form of the input and of outputs, if these are still stored ones.
    """

    input: Mapping[str, Json]
    steps: Mapping[str, StepView]
    run_id: str
    load: Callable[[Json], Any] = PLAIN.load


def bind(names: Iterable[str], context: Context) -> dict[str, Json]:
    """Return the values of these variables. A step that was not loaded is left out: reading it then fails.

    Raises:
        NotAtHand, ValueLost, ValueTooLarge: as `Context.load` does.
    """
    names = list(names)
    of_input = any(name.partition(".")[0] == "input" for name in names)
    inputs = context.load(dict(context.input)) if of_input else {}
    found: dict[str, Json] = {}
    for name in names:
        step = step_of(name)
        if name == "run.id":
            found[name] = context.run_id
        elif step is not None and step in context.steps:
            view = context.steps[step]
            found[name] = context.load(view.output) if name.endswith(".output") else view.status
        elif name == "input":
            found[name] = inputs
        elif name.startswith("input."):
            found[name] = inputs.get(name.removeprefix("input."))
    return found
