"""Which steps an expression may read where it stands, and why it may not read others."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from sparkops.core.expression_text import suggest
from sparkops.domains.workflows.outlines import Outline


class Visibility:
    """Who sees whom. A step of a body sees what its map or loop does, and what has ended before it in the body."""

    def __init__(self, outlines: Sequence[Outline]) -> None:
        self.around: dict[str, str | None] = {}
        self.needs: dict[str, tuple[str, ...]] = {}
        for outline in outlines:  # those of a body come after the step whose body it is; of two with one id the first
            if outline.key not in self.needs:
                above = None if outline.around is None else outline.around.key
                self.around[outline.key] = above
                self.needs[outline.key] = (*outline.needs, *self.needs.get(above or "", ()))
        self._ancestors = _Ancestors(self.needs)

    def before(self, step: str) -> "Steps":
        """Return the steps that the expressions of this one may read."""
        return self._ancestors.of(step)

    def within(self, step: str) -> "Steps":
        """Return the steps that may be read once a frame of this map or loop has ended."""
        return self.before(step).plus(key for key, above in self.around.items() if above == step)

    def at_end(self) -> "Steps":
        """Return the steps that the run's output may read."""
        return self._ancestors.some(key for key, above in self.around.items() if above is None)

    def nothing(self) -> "Steps":
        """Return no steps."""
        return self._ancestors.some(())

    def follows_from_needs(self, target: str, step: str) -> bool:
        """True if the target would perhaps be seen, had a need not been wrong: that has been told already."""
        before = (step, *self.before(step))
        broken = any(need not in self.needs for key in before for need in self.needs[key])
        return broken and target in self.needs and target != step

    def explain(self, target: str, step: str | None) -> tuple[str, str | None]:
        """Say why a step (None: the run's output) may not read the target, and what to do."""
        if target not in self.needs:
            return f"there is no step {target}", suggest(target, self.needs)
        above = self.around[target]
        places = [None, *self._chain(step)]
        if above not in places:
            return f"the step {target} runs in the body of {above}", f"read what {above} gives: steps.{above}.output"
        if step is None or target == step:
            return f"{target} cannot read itself", None
        if target in places:
            return f"the step {target} has not ended while its body runs", None
        if step in self.before(target):
            return f"the step {target} runs after {step}, so its output is not known here", None
        waits = next(key for key in (step, *self._chain(step)) if self.around[key] == above)
        return f"the step {target} need not have ended before {step}", f"add {target} to the needs of {waits}"

    def _chain(self, step: str | None) -> list[str]:
        found: list[str] = []
        above = self.around.get(step or "")
        while above is not None:
            found.append(above)
            above = self.around.get(above)
        return found


class _Ancestors:
    """The steps that have ended before a step may start: a bit each, as 2,000 in a chain have two million."""

    def __init__(self, needs: Mapping[str, Sequence[str]]) -> None:
        self.needs = needs
        self.bits = {key: 1 << index for index, key in enumerate(needs)}
        self.known: dict[str, int] = {}

    def of(self, key: str) -> "Steps":
        """Return all steps that this one needs, directly or not. A circle is walked once, not for ever."""
        if key not in self.known:
            self.known[key] = self._walk(key)
        return Steps(self.bits, self.known[key])

    def some(self, keys: Iterable[str]) -> "Steps":
        """Return these steps."""
        return Steps(self.bits, 0).plus(keys)

    def _walk(self, key: str) -> int:
        found, open_ends = 0, [key]
        while open_ends:
            for need in self.needs.get(open_ends.pop(), ()):
                if need not in self.bits or found & self.bits[need]:
                    continue
                found |= self.bits[need] | self.known.get(need, 0)
                if need not in self.known:
                    open_ends.append(need)
        return found


class Steps(Collection[str]):
    """Some of the steps, by their bits."""

    def __init__(self, bits: Mapping[str, int], chosen: int) -> None:
        self.bits, self.chosen = bits, chosen

    def plus(self, keys: Iterable[str]) -> "Steps":
        """Return these and more of the steps."""
        chosen = self.chosen
        for key in keys:
            chosen |= self.bits[key]
        return Steps(self.bits, chosen)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self.bits.get(key, 0) & self.chosen)

    def __iter__(self) -> Iterator[str]:
        return (key for key, bit in self.bits.items() if bit & self.chosen)

    def __len__(self) -> int:
        return self.chosen.bit_count()
