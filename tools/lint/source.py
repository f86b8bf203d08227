"""What rules read, and what they say."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

_ALLOWANCE = re.compile(r"(?:#|//)\s*lint:\s*allow\s+([\w-]+)(?:\s+--\s+(\S.*?))?\s*(?:\*/\}?)?\s*$")
_MENTION = re.compile(r"(?:#|//)\s*lint:")

PACKAGE: Final = "src/sparkops/"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that a rule refuses. `path` is from the root of the repository."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """`# lint: allow <rule> -- <reason>`: stands on the line of what it allows, or alone above it."""

    line: int
    rule: str
    reason: str | None


@dataclass(frozen=True)
class Source:
    """One file, read once for all rules. `path` is from the root of the repository, with slashes."""

    path: str
    text: str
    root: Path = field(default=Path())

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")

    def within(self, *places: str) -> bool:
        """Say whether this file is one of these, or lies in one of these folders (`engine/`), below the package."""
        if not self.path.startswith(PACKAGE):
            return False
        below = self.path.removeprefix(PACKAGE)
        return any(below.startswith(place) if place.endswith("/") else below == place for place in places)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """What names in this file stand for: `{"sp": "subprocess", "run": "subprocess.run"}`."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return found

    def name_of(self, node: ast.expr) -> str | None:
        """Return the full dotted name of what an expression refers to (`httpx2.AsyncClient`), or None."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        return ".".join([self.imports.get(node.id, node.id), *reversed(parts)])

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """Yield every call whose function has a name, with the full name."""
        for node in self.nodes:
            if isinstance(node, ast.Call) and (name := self.name_of(node.func)) is not None:
                yield node, name

    def modules(self) -> Iterator[tuple[ast.stmt, str]]:
        """Yield every imported module or name, by its full name."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)

    @cached_property
    def allowances(self) -> list[Allowance]:
        return [
            Allowance(number, match.group(1), match.group(2))
            for number, line in enumerate(self.lines, 1)
            if (match := _ALLOWANCE.search(line)) is not None
        ]

    @cached_property
    def unreadable(self) -> list[int]:
        """Lines that speak to this linter in words that it does not understand."""
        known = {allowance.line for allowance in self.allowances}
        mentions = (number for number, line in enumerate(self.lines, 1) if _MENTION.search(line) is not None)
        return [number for number in mentions if number not in known]

    def reach(self, allowance: Allowance) -> range:
        """Return the lines that an allowance speaks for: its own; where it stands alone the next after it and others
        like it, or the whole statement that begins there and has no others in it."""
        if not self._is_alone(allowance.line):
            return range(allowance.line, allowance.line + 1)
        first = allowance.line + 1
        while first in self._allowing and self._is_alone(first):
            first += 1
        return range(allowance.line, self._ends.get(first, first) + 1)

    def _is_alone(self, number: int) -> bool:
        return self.lines[number - 1].lstrip().startswith(("#", "//", "{/*"))

    @cached_property
    def _allowing(self) -> frozenset[int]:
        return frozenset(allowance.line for allowance in self.allowances)

    @cached_property
    def _ends(self) -> Mapping[int, int]:
        """The last line of each statement without a body, by its first."""
        if not self.is_python:
            return {}
        return {
            node.lineno: node.end_lineno or node.lineno
            for node in self.nodes
            if isinstance(node, ast.stmt) and not hasattr(node, "body")
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """A thing that this code base never does. `find` yields the line and what is wrong with it."""

    name: str
    find: Callable[[Source], Iterator[tuple[int, str]]]
    pages: bool = False
    """Whether it reads the pages' TypeScript instead of Python."""
