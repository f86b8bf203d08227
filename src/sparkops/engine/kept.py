"""What a run that is made from another keeps of it, and what it does again: pure functions of graph and past.

A step is kept if it ended well in the source (succeeded, or was skipped), stands in the new version with exactly the
same part of the document, reads no input that changed, and everything it needs is kept. Its result is then what it
would have been given: the same definition over the same outputs. Everything else runs again. A `map`, `loop`,
`workflow` or `wait` step is kept or runs again as a whole.

An answer of a person counts for what it was given for. A retry, which changes nothing, completes that, and is made
once; a fork may do other things behind the question, so it asks again wherever anything behind it runs again.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sparkops.core.json import Json, canonical
from sparkops.core.templates import strings
from sparkops.domains.effects.state import CallKind, CallStatus
from sparkops.domains.runs.state import TERMINAL_STEP, SourceKind, StepStatus
from sparkops.domains.workflows.definition import Definition, StepType
from sparkops.engine.errors import NonDeterministic
from sparkops.engine.graph import Graph, Node

_INPUT = re.compile(r"\binput\b(?:\s*\.\s*([A-Za-z_]\w*))?")
_RUN = re.compile(r"\brun\b\s*[.\[]")
_WITH_JOURNAL = frozenset({StepType.TOOL, StepType.LLM, StepType.AGENT})

Part = Mapping[str, Any]


class Why(StrEnum):
    """Why a step runs again."""

    EVERYTHING = "everything"
    CHOSEN = "chosen"
    NEW = "new"
    CHANGED = "changed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NOT_ENDED = "not-ended"
    UNDONE = "undone"
    MAY_BE_UNDONE = "may-be-undone"
    INPUT = "input"
    APPROVAL = "approval"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Past:
    """What became of a step in the source. `undone`: its effect was taken back, or was tried to be."""

    step_id: UUID
    status: StepStatus
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error_code: str | None = None
    undone: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What is asked for. `start`: from which step a fork runs again; `inputs`: names whose values are others now;
    `going_on`: the source has not ended.
    """

    kind: SourceKind
    start: str | None = None
    inputs: frozenset[str] = frozenset()
    going_on: bool = False


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one step of the new run. `why` None: it is kept.

    `because` names the steps that it is behind, or the inputs that it reads.
    """

    key: str
    why: Why | None = None
    because: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        return self.why is None


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call of a step in the source."""

    id: UUID
    seq: int
    kind: CallKind
    status: CallStatus


def parts_of(definition: Definition) -> Mapping[str, Part]:
    """Return each step's own part of the document, by its id."""
    return {step["id"]: step for step in definition.document["steps"]}


def fates(graph: Graph, before: Mapping[str, Part], past: Mapping[str, Past], change: Change) -> dict[str, Fate]:
    """Return what happens to each step of the new version's graph, in the order of its definition.

    `before` and `past` are the parts and the ends of the source's steps.
    """
    parts = parts_of(graph.definition)
    own = {node.key: _own(node.key, parts[node.key], before, past, change) for node in graph.nodes}
    again = _and_behind(graph, {key for key, fate in own.items() if not fate.kept})
    if change.kind is SourceKind.FORK:
        answered = {key for key in own if key in past and past[key].status is StepStatus.SUCCEEDED and asks(parts[key])}
        while reopened := (answered - again) & _above(graph, again):
            own |= {key: Fate(key, Why.APPROVAL) for key in reopened}
            again = _and_behind(graph, again | reopened)
    return {node.key: _with_needs(node, own[node.key], again) for node in graph.nodes}


def asks(part: Part) -> bool:
    """Say whether a step puts a question to a person, itself or in its body."""
    return part["type"] == StepType.APPROVAL or any(asks(inner) for inner in part.get("steps", ()))


def _and_behind(graph: Graph, keys: Collection[str]) -> set[str]:
    """Return these steps with all that depend on them."""
    found, queue = set(keys), list(keys)
    for key in queue:  # grows while it is walked
        new = [dependent for dependent in graph.by_key[key].dependents if dependent not in found]
        found.update(new)
        queue.extend(new)
    return found


def _above(graph: Graph, keys: Collection[str]) -> set[str]:
    """Return all that these steps depend on."""
    found: set[str] = set()
    queue = list(keys)
    for key in queue:  # grows while it is walked
        new = [need for need in graph.by_key[key].needs if need not in found]
        found.update(new)
        queue.extend(new)
    return found


def _own(key: str, part: Part, before: Mapping[str, Part], past: Mapping[str, Past], change: Change) -> Fate:
    """Say whether a step runs again for a reason of its own."""
    if change.kind is SourceKind.RERUN:
        return Fate(key, Why.EVERYTHING)
    if key == change.start:
        return Fate(key, Why.CHOSEN)
    if key not in before or key not in past:
        return Fate(key, Why.NEW)
    if canonical(part) != canonical(before[key]):
        return Fate(key, Why.CHANGED)
    why = _of_past(past[key])
    if why is not None:
        return Fate(key, why)
    if change.going_on and "undo" in part and past[key].status is StepStatus.SUCCEEDED:
        return Fate(key, Why.MAY_BE_UNDONE)
    reads = inputs_read(part, change.inputs)
    return Fate(key, Why.INPUT, reads) if reads else Fate(key)


def _of_past(past: Past) -> Why | None:
    if past.undone:
        return Why.UNDONE
    if past.status is StepStatus.FAILED:
        return Why.FAILED
    if past.status is StepStatus.CANCELLED:
        return Why.CANCELLED
    return None if past.status in TERMINAL_STEP else Why.NOT_ENDED


def _with_needs(node: Node, own: Fate, again: Collection[str]) -> Fate:
    if not own.kept or node.key not in again:
        return own
    return Fate(node.key, Why.BEHIND, tuple(need for need in node.needs if need in again))


def inputs_read(part: Part, names: Collection[str]) -> tuple[str, ...]:
    """Return those of these inputs that a step may read, body and undo included, sorted.

    By the words in its texts, so never too few: a text that only speaks of an input counts as reading it.
    """
    if not names:
        return ()
    mentioned = {match[1] for _, text in strings(dict(part)) for match in _INPUT.finditer(text)}
    return tuple(sorted(names if None in mentioned else mentioned & set(names)))


def may_reuse_calls(
    node: Node, part: Part, fate_of: Mapping[str, Fate], past: Mapping[str, Past], kind: SourceKind
) -> bool:
    """Say whether a step that a retry runs again would ask for the same calls, so that it may be answered from them.

    It would if it reads the same outputs (all kept, and there when it first started) and does not know the run's id.
    An effect that was taken back has to be done anew, and what did not repeat itself once will not now.
    """
    then = past.get(node.key)
    if kind is not SourceKind.RETRY or then is None or then.started_at is None or node.type not in _WITH_JOURNAL:
        return False
    if then.undone or then.error_code == NonDeterministic.code:
        return False
    if any(_RUN.search(text) for _, text in strings(dict(part))):
        return False
    return all(fate_of[key].kept and _ended_before(past[key], then.started_at) for key in node.reads)


def _ended_before(past: Past, moment: datetime) -> bool:
    return past.finished_at is not None and past.finished_at <= moment


def reusable(calls: Sequence[PastCall], *, failed: bool) -> list[PastCall]:
    """Return the calls, in the order of the step, from which it may be answered: those done before any that is not.

    Where a step `failed` although all its calls were done, it failed over the last answer: a model is asked for that
    one again, or the retry could only fail like before.
    """
    kept: list[PastCall] = []
    for place, call in enumerate(calls, start=1):
        if call.seq != place or call.status is not CallStatus.DONE:
            return kept
        kept.append(call)
    if failed and kept and kept[-1].kind is CallKind.LLM:
        kept.pop()
    return kept


_WORDS: Mapping[Why, str] = {
    Why.EVERYTHING: "A re-run does everything again.",
    Why.CHOSEN: "The fork starts here.",
    Why.NEW: "The source has no such step.",
    Why.CHANGED: "Its definition is another in this version.",
    Why.FAILED: "It failed.",
    Why.CANCELLED: "It was cancelled.",
    Why.NOT_ENDED: "It has not ended in the source.",
    Why.UNDONE: "Its effect was taken back, or was tried to be.",
    Why.MAY_BE_UNDONE: "The source still goes on, and takes its effect back if it fails.",
    Why.INPUT: "It reads an input that is another now: {names}.",
    Why.APPROVAL: "What runs again behind it needs a new answer.",
    Why.BEHIND: "It needs what runs again: {names}.",
}


def explain(fate: Fate, past: Past | None) -> str:
    """Say in a sentence what happens to a step, and why."""
    if fate.why is not None:
        return _WORDS[fate.why].format(names=", ".join(fate.because))
    return "Stays skipped." if past is not None and past.status is StepStatus.SKIPPED else "Keeps its result."


def changed_inputs(before: Mapping[str, Json], now: Mapping[str, Json]) -> frozenset[str]:
    """Return the names whose values are not the same in both, or that only one of them has."""
    names = before.keys() | now.keys()
    return frozenset(
        name
        for name in names
        if (name in before) != (name in now) or canonical(before.get(name)) != canonical(now.get(name))
    )
