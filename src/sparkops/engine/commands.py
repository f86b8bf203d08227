"""The words in which `engine/decide.py` is asked and answers: states of steps, commands, and what it lacks."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from sparkops.core.json import Json, Part
from sparkops.domains.runs.state import RunStatus, StepStatus

Error = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepState:
    """Where a step stands. `output` counts only once it has succeeded, `error` only once it has failed.

    `loaded` False: the output was left in the database, and may be asked for by `Missing`. `labels` are those of the
    output.
    """

    status: StepStatus
    output: Json = None
    error: Error | None = None
    loaded: bool = True
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of the input of a run, and of what the frame around a level has seen."""

    input: tuple[str, ...] = ()
    frame: tuple[str, ...] = ()


NO_LABELS: Final = Labels()


class Missing(Exception):
    """More has to be loaded before anything can be decided: load it and ask again. Nothing was decided.

    `outputs`: steps whose output is read, those around a body among them; of the latter the state itself may be
    missing. `input`, `frame`: the input of the run, the frame of the body.
    """

    def __init__(self, outputs: Collection[str], *, input: bool, frame: bool) -> None:
        super().__init__(f"not loaded: {', '.join(sorted(outputs))}{' input' * input}{' frame' * frame}")
        self.outputs, self.input, self.frame = frozenset(outputs), input, frame


@dataclass(frozen=True, slots=True)
class MakeReady:
    """Let workers claim the step.

    `reads`: of the steps that it reads only these have ended; the others look open to all its attempts. None: all.
    """

    key: str
    reads: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """The step will not run: its condition does not hold, or its needs cannot let it start any more."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class FinishInline:
    """The step was evaluated here and has succeeded. `text` is the output serialised, `labels` are its labels."""

    key: str
    output: Json
    text: Part | None = field(default=None, compare=False, repr=False)
    labels: tuple[str, ...] = ()

    @property
    def written(self) -> Json | Part:
        """The output for a document: not serialised again if it was."""
        return self.output if self.text is None else self.text


@dataclass(frozen=True, slots=True)
class FailInline:
    """An expression of the step failed."""

    key: str
    error: Error


@dataclass(frozen=True, slots=True)
class FinishRun:
    """Nothing is open any more: the run, or the frame of a body, has ended. `text` is the output serialised, `labels`
    are its labels."""

    status: RunStatus
    output: Json = None
    error: Error | None = None
    text: Part | None = field(default=None, compare=False, repr=False)
    labels: tuple[str, ...] = ()

    @property
    def written(self) -> Json | Part:
        """The output for a document: not serialised again if it was."""
        return self.output if self.text is None else self.text


@dataclass(frozen=True, slots=True)
class Compensate:
    """Nothing is open any more; before the run ends as `ends_as` these steps are undone, the last to end first."""

    ends_as: RunStatus
    error: Error | None
    keys: tuple[str, ...]


StepCommand = MakeReady | Skip | FinishInline | FailInline
Command = StepCommand | FinishRun | Compensate


def to_json(command: Command) -> dict[str, Any]:
    """Return a command as the database's `engine.apply` takes it."""
    match command:
        case MakeReady():
            reads: dict[str, Json] = {} if command.reads is None else {"reads": list(command.reads)}
            return {"op": "ready", "key": command.key, **reads}
        case Skip():
            return {"op": "skip", "key": command.key, "reason": command.reason}
        case FinishInline():
            labels = {"labels": list(command.labels)} if command.labels else {}
            return {"op": "succeed", "key": command.key, "output": command.written, **labels}
        case FailInline():
            return {"op": "fail", "key": command.key, "error": command.error}
        case FinishRun():
            labels = {"labels": list(command.labels)} if command.labels else {}
            return {
                "op": "finish",
                "status": command.status,
                "output": command.written,
                "error": command.error,
                **labels,
            }
        case Compensate():
            return {
                "op": "compensate",
                "ends_as": command.ends_as,
                "error": command.error,
                "keys": list(command.keys),
            }
        case _:
            assert_never(command)
