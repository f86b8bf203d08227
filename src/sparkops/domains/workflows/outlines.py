"""The steps of a definition, in whatever state they are: each read by itself, so that one mistake hides no other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from sparkops.core.document import Document, Mistake, Path
from sparkops.core.expression_text import KEYWORDS, suggest
from sparkops.core.json import Json
from sparkops.core.shapes import read_shape
from sparkops.domains.workflows.format import (
    HEADS,
    MAX_NESTING,
    STEP_FORMATS,
    UNDO_FORMATS,
    StepHead,
    Undo,
    Undoable,
)
from sparkops.domains.workflows.format_values import HINTS, MAX_STEPS

_STEP_HINT = "a step has id, type and with"
_UNDOABLE = ", ".join(kind for kind, model in STEP_FORMATS.items() if issubclass(model, Undoable))


@dataclass(frozen=True)
class Outline:
    """What is known of a step whatever else is wrong with it."""

    path: Path
    key: str
    type: str | None
    """None if there is no such type."""
    needs: tuple[str, ...]
    step: StepHead | None
    """None if its shape has mistakes."""
    undo: Undo | None
    """None also if its shape has mistakes."""
    around: "Outline | None"
    """The map or loop in whose body it stands."""


class Outlines:
    """All steps of a document in the order of the text, and the mistakes in their shapes."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.mistakes: list[Mistake] = []
        self.found: list[Outline] = []
        assert isinstance(document.value, dict), "what is no map was a mistake"
        surplus = next((path for number, path in enumerate(_paths(document.value, ())) if number == MAX_STEPS), None)
        if surplus is not None:
            self.mistakes.append(document.mistake(surplus, f"a workflow has {MAX_STEPS:,} steps at most"))
        else:
            self._read_level(document.value.get("steps"), ("steps",), None, 0)

    def _read_level(self, steps: Json, path: Path, around: Outline | None, depth: int) -> None:
        if not isinstance(steps, list) or not steps:
            problem = "steps is missing" if steps is None else "steps must be a list of at least one step"
            self.mistakes.append(self.document.mistake(path, problem, _STEP_HINT))
        elif depth > MAX_NESTING:
            message = f"bodies of maps and loops may stand {MAX_NESTING} deep in each other at most"
            hint = "put the steps into a workflow of their own and call it with type: workflow"
            self.mistakes.append(self.document.mistake(path, message, hint))
        else:
            for index, raw in enumerate(steps):
                self._read_step(raw, (*path, index), around, depth)

    def _read_step(self, raw: Json, path: Path, around: Outline | None, depth: int) -> None:
        if not isinstance(raw, dict):
            self.mistakes.append(self.document.mistake(path, "a step is a map", _STEP_HINT))
            return
        kind = self._type(raw, path, STEP_FORMATS, "type")
        step = self._shape(raw, path, kind)
        undo = self._undo(raw["undo"], path, kind, around) if kind and raw.get("undo") is not None else None
        if raw.get("id") in KEYWORDS:
            message = f"{raw['id']} is a word of the expression language"
            self.mistakes.append(self.document.mistake((*path, "id"), message, "choose another id"))
        outline = Outline(path, str(raw.get("id", "")), kind, _texts(raw.get("needs")), step, undo, around)
        if isinstance(raw.get("id"), str):
            self.found.append(outline)
        if kind in HEADS:
            self._read_level(raw.get("steps"), (*path, "steps"), outline, depth + 1)

    def _type(self, raw: Mapping[str, Json], path: Path, known: Mapping[str, object], what: str) -> str | None:
        kind = raw.get("type")
        if isinstance(kind, str) and kind in known:
            return kind
        among = f"one of {', '.join(known)}"
        if kind is None:
            self.mistakes.append(self.document.mistake((*path, "type"), "type is missing", among))
        else:
            hint = suggest(str(kind), known) or among
            self.mistakes.append(self.document.mistake((*path, "type"), f"unknown {what} {kind}", hint))
        return None

    def _shape(self, raw: dict[str, Json], path: Path, kind: str | None) -> StepHead | None:
        if kind is None:
            return None
        apart = ("undo", "steps") if kind in HEADS else ("undo",)
        bare = {key: value for key, value in raw.items() if key not in apart}
        model: type[BaseModel] = HEADS.get(kind, STEP_FORMATS[kind])
        step, mistakes = read_shape(self.document, model, path, bare, hints=HINTS, known=STEP_FORMATS[kind])
        self.mistakes += mistakes
        assert step is None or isinstance(step, StepHead)
        return step

    def _undo(self, raw: Json, path: Path, kind: str, around: Outline | None) -> Undo | None:
        where = (*path, "undo")
        if not issubclass(STEP_FORMATS[kind], Undoable):
            message = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} has nothing to undo"
            self.mistakes.append(self.document.mistake(where, message, f"only for steps of type {_UNDOABLE}", key=True))
        elif around is not None:
            hint = "put the steps of the body into a workflow of their own, with undo there, and call that"
            message = "a step in a body cannot have an undo"
            self.mistakes.append(self.document.mistake(where, message, hint, key=True))
        elif not isinstance(raw, dict):
            message, hint = "an undo is a map", "like a step, with type and with: {type: tool, tool: hotel.cancel}"
            self.mistakes.append(self.document.mistake(where, message, hint))
        elif (undo_kind := self._type(raw, where, UNDO_FORMATS, "type of an undo")) is not None:
            undo, mistakes = read_shape(self.document, UNDO_FORMATS[undo_kind], where, raw, hints=HINTS)
            self.mistakes += mistakes
            return undo
        return None


def _paths(parent: Mapping[str, Json], path: Path) -> Iterator[Path]:
    """Yield the paths of all steps, those of bodies after the step whose body it is."""
    steps = parent.get("steps")
    for index, raw in enumerate(steps if isinstance(steps, list) else ()):
        yield (*path, "steps", index)
        if isinstance(raw, dict) and raw.get("type") in HEADS:
            yield from _paths(raw, (*path, "steps", index))


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
