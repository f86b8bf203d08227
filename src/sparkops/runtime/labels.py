"""The labels of what one attempt has seen, and of what it hands out."""

from collections.abc import Iterable

from sparkops.engine.claim import Claim
from sparkops.engine.graph import Node


class Labels:
    """`seen` grows with every answer that comes in; what goes out carries all of it, unless something else is said."""

    def __init__(self, seen: Iterable[str] = ()) -> None:
        self.seen = set(seen)
        self._out: frozenset[str] | None = None

    def hand_out(self, labels: Iterable[str]) -> None:
        """Say what the output carries: for steps whose output is not made of all that they have seen."""
        self._out = frozenset(labels)

    @property
    def out(self) -> frozenset[str]:
        """The labels of the output."""
        return frozenset(self.seen) if self._out is None else self._out


def labels_of(claim: Claim, node: Node) -> Labels:
    """Return the labels of what an attempt is given: the input and the outputs that it reads, and its frame."""
    seen = {*claim.labels, *(claim.input_labels if node.reads_input else ())}
    for view in claim.steps.values():
        seen.update(view.get("labels", ()))
    return Labels(seen)
