"""How the steps of one level (a workflow, or a body) stand to each other, as a definition says it."""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from graphlib import TopologicalSorter

from sparkops.domains.workflows.definition import INLINE_TYPES, StepDefinition
from sparkops.domains.workflows.options import BranchOptions, ErrorKind, JoinRule

_WAIT_FOR_ALL = frozenset({JoinRule.ALL, JoinRule.ENDED, JoinRule.NONE_FAILED})


class Relations:
    """Who needs whom, who chooses whom, and what has surely ended before a step starts.

    `around`: for a body, the steps outside that have surely ended before its map or loop starts; None if all that it
    may read have.
    """

    def __init__(self, steps: Sequence[StepDefinition], around: Collection[str] | None) -> None:
        self.steps = {step.key: step for step in steps}
        self.around = around
        self.needs = {step.key: tuple(dict.fromkeys(step.needs)) for step in steps}
        self.dependents: Mapping[str, list[str]] = {key: [] for key in self.needs}
        for key, needs in self.needs.items():
            for need in needs:
                self.dependents[need].append(key)

    def chosen_by(self, key: str) -> tuple[str, ...]:
        """Return the branches among its needs that name this step."""
        return tuple(need for need in self.needs[key] if key in self._named.get(need, ())) if self._named else ()

    def handles(self, key: str) -> tuple[str, ...]:
        """Return the steps among its needs that go to this one when they fail."""
        return tuple(need for need in self.needs[key] if self._tolerated.get(need) == key) if self._tolerated else ()

    def is_mechanical(self, key: str, reads: Collection[str]) -> bool:
        """Return whether the database alone may make this step ready: once all its needs have succeeded."""
        step = self.steps[key]
        plain = step.join.rule is JoinRule.ALL and step.condition is None and step.type not in INLINE_TYPES
        strict = self._tolerated.keys().isdisjoint(self.needs[key])
        return plain and strict and not self.chosen_by(key) and not self.may_read_open(key, reads)

    def may_read_open(self, key: str, reads: Collection[str]) -> bool:
        """Return whether one of the steps that this one reads may not have ended when it starts.

        With the rule `all` everywhere none can: what a step reads is among its ancestors.
        """
        if self.all_wait_for_all and self.around is None:
            return False
        return any(not self._has_ended(read, key) for read in reads)

    def certain_around(self, key: str) -> Collection[str] | None:
        """Return `around` for the body of this step."""
        if self.all_wait_for_all and self.around is None:
            return None
        certain = {other for other, bit in self._bits.items() if bit & self._certain[key]}
        return certain if self.around is None else certain.union(self.around)

    @cached_property
    def _named(self) -> Mapping[str, frozenset[str]]:
        """The steps that each branch may choose."""
        options = {key: step.options for key, step in self.steps.items()}
        return {key: one.named for key, one in options.items() if isinstance(one, BranchOptions)}

    @cached_property
    def _tolerated(self) -> Mapping[str, str | None]:
        """The steps whose failure does not fail the run, each with its handler, if it has one."""
        found = {key: step.on_error for key, step in self.steps.items()}
        return {key: one.target for key, one in found.items() if one.kind is not ErrorKind.FAIL}

    @cached_property
    def all_wait_for_all(self) -> bool:
        """True if every step of this level starts only when all its needs are met."""
        return all(step.join.rule is JoinRule.ALL for step in self.steps.values())

    def _has_ended(self, read: str, key: str) -> bool:
        if read in self._bits:
            return bool(self._bits[read] & self._certain[key])
        return self.around is None or read in self.around

    @cached_property
    def _bits(self) -> Mapping[str, int]:
        return {key: 1 << index for index, key in enumerate(self.needs)}

    @cached_property
    def _certain(self) -> Mapping[str, int]:
        """Return for each step those that have ended whenever it starts, a bit each.

        A need that is met has run, so that what was certain for it is certain here. Under `ended` and `none_failed` a
        need may have been skipped early, while steps that it waited for were still open: only itself is certain.
        """
        certain: dict[str, int] = {}
        for key in TopologicalSorter(self.needs).static_order():
            rule, found = self.steps[key].join.rule, 0
            for need in self.needs[key] if rule in _WAIT_FOR_ALL else ():
                found |= self._bits[need] | (certain[need] if rule is JoinRule.ALL else 0)
            certain[key] = found
        return certain
