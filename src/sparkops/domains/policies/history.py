"""What happened earlier in a run, in conditions: `history.tool("mail.send").count`, `history.saw("untrusted")`.

CEL sees plain typed variables in the place of these calls, so that their types are checked and asking is cheap; what
each stands for is looked up in the two facts of the history when a decision is made.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sparkops.core.expression_text import Problem, Token, chains, problem_at, suggest, tokens
from sparkops.core.expressions import ExpressionInvalid, ValueType
from sparkops.core.json import Json

NEVER: Final = 1_000_000_000
"""Seconds since something that has not happened."""
TOOLS, LABELS = "history.tools", "history.labels"

_HINT: Final = 'write history.tool("mail.send").count or history.saw("untrusted")'
_TOOL_FIELDS: Final = ("count", "last_seconds")
_LABEL: Final = re.compile(r"[^\s*'\"\\]+")
_TOOL_NAME: Final = re.compile(_LABEL.pattern + r"\*?")


class Unknown(Exception):
    """The facts of the history do not tell."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """One question to the history: the variable that stands for it, and how to answer it."""

    variable: str
    field: str
    """`count`, `last_seconds` or `saw`."""
    name: str

    @property
    def type(self) -> ValueType:
        """The type of the answer."""
        return ValueType.BOOL if self.field == "saw" else ValueType.INT

    @property
    def fact(self) -> str:
        """The fact that holds the answer."""
        return LABELS if self.field == "saw" else TOOLS

    def answer(self, facts: Mapping[str, Json]) -> bool | int:
        """Return the answer.

        Raises:
            Unknown: the fact is not given, or has another shape.
        """
        known: Any = facts.get(self.fact)
        try:
            if self.field == "saw":
                return any(label == self.name or label.startswith(f"{self.name}:") for label in known)
            counts = [int(each[self.field]) for tool, each in known.items() if self._means(tool)]
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            raise Unknown(f"{self.fact} does not tell") from error
        return sum(counts) if self.field == "count" else min(counts, default=NEVER)

    def _means(self, tool: str) -> bool:
        return tool.startswith(self.name[:-1]) if self.name.endswith("*") else tool == self.name


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A condition with variables in the place of its questions to the history."""

    source: str
    lookups: tuple[Lookup, ...]
    _original: str
    _moved: tuple[tuple[int, int], ...]
    """Where text goes on after each replacement: here, and in the original."""

    def translate(self, problem: Problem) -> Problem:
        """Return a problem of the rewritten text at its place in the original."""
        new, old = max((pair for pair in self._moved if pair[0] <= problem.offset), default=(0, 0))
        offset = min(old + problem.offset - new, len(self._original))
        placed = problem_at(self._original, offset, problem.message, problem.hint, problem.name)
        return replace(placed, path=problem.path)


def rewrite(source: str) -> Rewritten:
    """Return the condition as CEL gets it.

    Raises:
        ExpressionInvalid: `history` is used in another way.
    """
    found = tokens(source)
    starts = {chain.start for chain in chains(found) if chain.names[0] == "history"}
    parts: list[str] = []
    lookups: dict[str, Lookup] = {}
    moved: list[tuple[int, int]] = []
    position = length = 0
    for index, token in enumerate(found):
        if token.start in starts:
            lookup, last = _read(source, found, index)
            lookups[lookup.variable] = lookup
            parts += [source[position : token.start], lookup.variable]
            position = last.start + len(last.text)
            length += sum(map(len, parts[-2:]))
            moved.append((length, position))
    parts.append(source[position:])
    return Rewritten("".join(parts), tuple(lookups.values()), source, tuple(moved))


def _read(source: str, found: Sequence[Token], index: int) -> tuple[Lookup, Token]:
    """Return the question that starts at this token, and its last token."""
    texts = [token.text for token in found[index : index + 8]] + [""] * 8
    here = found[index]
    if texts[1] != "." or texts[2] not in ("tool", "saw") or texts[3] != "(":
        known = suggest(texts[2], ("tool", "saw")) if texts[1] == "." else None
        raise _refuse(source, here, "history is asked with tool and saw only", known or _HINT)
    argument = found[index + 4] if index + 4 < len(found) else here
    name = argument.text[1:-1]
    what, pattern = ("a tool", _TOOL_NAME) if texts[2] == "tool" else ("a label", _LABEL)
    if argument.kind != "text" or texts[5] != ")" or not pattern.fullmatch(name):
        raise _refuse(source, argument, f"{what} must be named here, as a plain text", _HINT)
    if texts[2] == "saw":
        return Lookup(_variable("saw", name), "saw", name), found[index + 5]
    field = texts[7] if texts[6] == "." else ""
    if field not in _TOOL_FIELDS:
        hint = suggest(field, _TOOL_FIELDS) or "say what of it: .count or .last_seconds"
        place = found[index + 7] if field else found[index + 5]
        raise _refuse(source, place, f"the history of a tool has no {field}" if field else "what of the tool?", hint)
    return Lookup(_variable("tool", name, field), field, name), found[index + 7]


def _variable(method: str, name: str, field: str | None = None) -> str:
    """Return a name for CEL, no keyword: another one for every question, the same for the same."""
    plain = re.sub(r"[^a-zA-Z0-9]", lambda match: "".join(f"_{byte:02x}" for byte in match[0].encode()), name)
    return f"history.{method}.n{plain}" + (f".{field}" if field else "")


def _refuse(source: str, token: Token, message: str, hint: str) -> ExpressionInvalid:
    return ExpressionInvalid([problem_at(source, token.start, message, hint)])
