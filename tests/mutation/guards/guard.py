"""What a guard is, and how it is taken out of a copy of the product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparkops.migrations.functions import sources

SOURCES = Path(__file__).parents[3] / "src" / "sparkops"

Edit = tuple[str, str, str]
"""Where, what stands there exactly once, and what replaces it. Where: a database function by its name, or a file of
the product by its path below `src/sparkops`, such as `domains/identity/attempts.py`."""


@dataclass(frozen=True)
class Guard:
    """`test`: which should notice, as `engine/claim` or `engine/claim::test_a_superseded_holder_changes_nothing`.
    `schema`: statements of the tables' owner, for guards that are triggers, rights or policies of the database."""

    name: str
    test: str
    edits: Sequence[Edit] = ()
    schema: Sequence[str] = ()

    @property
    def where(self) -> str:
        """The test as pytest names it."""
        place, _, name = self.test.partition("::")
        folder, _, file = place.rpartition("/")
        return f"tests/{folder}/test_{file}.py" + (f"::{name}" if name else "")

    @property
    def migrates(self) -> bool:
        """Say whether a file is changed by which the schema is brought up to date."""
        return any(where.startswith("migrations/") for where, _, _ in self.edits)

    def functions(self) -> Mapping[str, str]:
        """Return the changed database functions by name.

        Raises:
            ValueError: a text does not stand there exactly once.
        """
        return self._changed({name.removesuffix(".sql"): text for name, text in sources().items()})

    def files(self) -> Mapping[str, str]:
        """Return the changed files of the product by path.

        Raises:
            ValueError: as `functions`.
        """
        named = {where for where, _, _ in self.edits if where.endswith(".py")}
        return self._changed({where: (SOURCES / where).read_text(encoding="utf-8") for where in named})

    def _changed(self, texts: Mapping[str, str]) -> Mapping[str, str]:
        changed: dict[str, str] = {}
        for where, old, new in self.edits:
            if where not in texts:
                continue
            text = changed.get(where, texts[where])
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {where} has {text.count(old)} times {old!r}")
            changed[where] = text.replace(old, new)
        return changed


def guard(name: str, test: str, *edits: Edit) -> Guard:
    """Return a guard that is a text of the product."""
    return Guard(name, test, edits)


def of_schema(name: str, test: str, *statements: str) -> Guard:
    """Return a guard of the database that these statements take away."""
    return Guard(name, test, schema=statements)
