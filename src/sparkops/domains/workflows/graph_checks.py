"""Checks of how steps refer to each other: ids, needs, circles, joins, and where branches and failures go."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from sparkops.core.document import Document, Mistake, Path
from sparkops.core.expression_text import suggest
from sparkops.domains.workflows.format import BranchStep
from sparkops.domains.workflows.format_values import AtLeast, Goto
from sparkops.domains.workflows.outlines import Outline


def graph_mistakes(document: Document, outlines: Sequence[Outline]) -> Iterator[Mistake]:
    """Yield what is wrong with the relations of all steps, those of bodies each with those of their body."""
    first: dict[str, Outline] = {}
    for outline in outlines:
        if outline.key in first:
            line = document.mistake((*first[outline.key].path, "id"), "").line
            message = f"the id {outline.key} is used twice"
            yield document.mistake((*outline.path, "id"), message, f"first on line {line}")
        first.setdefault(outline.key, outline)
    levels: dict[Path, list[Outline]] = defaultdict(list)
    for outline in outlines:
        levels[outline.path[:-1]].append(outline)
    for level in levels.values():
        yield from _Level(document, level, first).mistakes()


class _Level:
    """The steps of a workflow or of one body, which may refer to each other."""

    def __init__(self, document: Document, outlines: Sequence[Outline], everywhere: Mapping[str, Outline]) -> None:
        self.document, self.outlines, self.everywhere = document, outlines, everywhere
        self.known = {outline.key: outline for outline in reversed(outlines)}

    def mistakes(self) -> Iterator[Mistake]:
        for outline in self.outlines:
            yield from self._needs(outline)
            yield from self._join(outline)
            yield from self._goto(outline)
            yield from self._branch(outline)
        yield from self._circle()

    def _needs(self, outline: Outline) -> Iterator[Mistake]:
        for index, need in enumerate(outline.needs):
            path: Path = (*outline.path, "needs", index)
            if need == outline.key:
                yield self.document.mistake(path, f"the step {need} needs itself: {need} → {need}")
            elif need not in self.known:
                yield self._unknown(path, need, outline)
            elif need in outline.needs[:index]:
                yield self.document.mistake(path, f"{need} is named twice")

    def _unknown(self, path: Path, key: str, outline: Outline) -> Mistake:
        """Say that a step is not there, or is not one of this level."""
        there = self.everywhere.get(key)
        if there is None:
            return self.document.mistake(path, f"there is no step {key}", suggest(key, self.known))
        around = _chain(outline)
        if there.around is None or there.around.key in around:
            sibling = around[around.index(there.around.key) - 1] if there.around is not None else around[-1]
            hint = f"what {sibling} needs has ended before its body starts: add {key} to the needs of {sibling}"
            return self.document.mistake(path, f"the step {key} stands outside of this body", hint)
        return self.document.mistake(
            path, f"the step {key} stands in the body of {there.around.key}", f"name {there.around.key} instead"
        )

    def _join(self, outline: Outline) -> Iterator[Mistake]:
        if outline.step is None or outline.step.join == "all":
            return
        join, many = outline.step.join, len(set(outline.needs))
        if not many:
            message = "join says how needs are joined, but the step has none"
            yield self.document.mistake((*outline.path, "join"), message, "add needs, or remove join")
        elif isinstance(join, AtLeast) and join.at_least > many:
            message = f"at_least is {join.at_least}, but the step has {many} need{'s' * (many > 1)}"
            yield self.document.mistake((*outline.path, "join", "at_least"), message)

    def _goto(self, outline: Outline) -> Iterator[Mistake]:
        if outline.step is None or not isinstance(outline.step.on_error, Goto):
            return
        target = outline.step.on_error.goto
        path: Path = (*outline.path, "on_error", "goto")
        yield from self._target(path, outline, target, "handle its own failure")
        named = isinstance(outline.step, BranchStep) and target in _named(outline.step)
        if named:
            message = f"{target} cannot both be chosen by {outline.key} and handle its failure"
            yield self.document.mistake(path, message, "take two steps")

    def _branch(self, outline: Outline) -> Iterator[Mistake]:
        if not isinstance(outline.step, BranchStep):
            return
        base = (*outline.path, "with")
        lists: list[tuple[Path, Sequence[str]]] = [
            ((*base, "cases", index, "then"), case.then) for index, case in enumerate(outline.step.with_.cases)
        ]
        for path, targets in [*lists, ((*base, "else"), outline.step.with_.else_)]:
            for index, target in enumerate(targets):
                if target in targets[:index]:
                    yield self.document.mistake((*path, index), f"{target} is named twice")
                else:
                    yield from self._target((*path, index), outline, target, "choose itself")

    def _target(self, path: Path, outline: Outline, target: str, absurd: str) -> Iterator[Mistake]:
        """Check that a step that another one leads to waits for that one."""
        if target == outline.key:
            yield self.document.mistake(path, f"{target} cannot {absurd}")
        elif target not in self.known:
            yield self._unknown(path, target, outline)
        elif outline.key not in self.known[target].needs:
            message = f"the step {target} does not need {outline.key}, so it would not wait for it"
            yield self.document.mistake(path, message, f"add {outline.key} to the needs of {target}")

    def _circle(self) -> Iterator[Mistake]:
        needs = {key: [need for need in one.needs if need in self.known] for key, one in self.known.items()}
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            cycle = error.args[1]
            if len(cycle) > 2:  # a step that needs itself was told with its needs
                start = min(range(len(cycle) - 1), key=lambda index: self.known[cycle[index]].path)
                around = [*cycle[start:-1], *cycle[: start + 1]]
                path: Path = (*self.known[around[0]].path, "needs")
                message = f"the steps need each other in a circle: {' → '.join(around)}"
                yield self.document.mistake(path, message, "remove one need")


def _named(step: BranchStep) -> set[str]:
    return {*step.with_.else_, *(target for case in step.with_.cases for target in case.then)}


def _chain(outline: Outline) -> list[str]:
    """Return the maps and loops around a step, the nearest first."""
    found, around = [], outline.around
    while around is not None:
        found.append(around.key)
        around = around.around
    return found
