"""What can be said about an expression's text before CEL sees it, and about CEL's errors after.

A small tokenizer finds the names that an expression mentions and the macros that iterate. It does not parse: CEL has
the last word on what is valid. If it missed a name, CEL would refuse that name as undeclared, never read it.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_SOURCE = 2_000
# Three bounds keep one expression from growing memory or time without end: an iteration costs at most CEL's own
# 10,000 rounds, and what a round can build is bounded by how often it may join and nest.
MAX_MACROS = 4
MAX_NESTING = 2
MAX_MAPS = 2
MAX_PLUS = 20
MAX_PLUS_ITERATING = 4

MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
KEYWORDS = frozenset({"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function"}) | {
    *("if", "import", "let", "loop", "namespace", "package", "return", "var", "void", "while")
}
"""Words that CEL keeps for itself: nothing that expressions mention may be named so."""
FUNCTIONS = (
    *("size", "has", "string", "int", "double", "bool", "dyn", "type", "timestamp", "duration", "matches", "contains"),
    *("startsWith", "endsWith", "orValue", "hasValue", "all", "exists", "exists_one", "filter", "map"),
    *("getFullYear", "getMonth", "getDayOfMonth", "getDayOfWeek", "getHours", "getMinutes", "getSeconds"),
)

_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*)
      |(?P<text>(?:[rR][bB]?|[bB]?[rR])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
              |[bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?)
      |(?P<name>[_a-zA-Z][_a-zA-Z0-9]*|`[^`\n]*`)
      |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One word of an expression: a tuple, as a large definition has a hundred thousand."""

    kind: str
    text: str
    start: int


@dataclass(frozen=True)
class Chain:
    """A dotted name as it stands in the text, without a function or method called at its end."""

    names: tuple[str, ...]
    start: int
    end: int

    @property
    def dotted(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True)
class Problem:
    """Why an expression cannot be accepted, and where; `name` is the unknown name, if that is the reason.

    `offset` counts characters from the start of the string at `path`; line and column count from 1.
    """

    message: str
    offset: int = 0
    line: int = 1
    column: int = 1
    hint: str | None = None
    name: str | None = None
    path: tuple[str | int, ...] = field(default=())


def problem_at(source: str, offset: int, message: str, hint: str | None = None, name: str | None = None) -> Problem:
    """Return a problem whose line and column are those of the offset."""
    line = source.count("\n", 0, offset) + 1
    return Problem(message, offset, line, offset - (source.rfind("\n", 0, offset) + 1) + 1, hint, name)


def tokens(source: str) -> list[Token]:
    """Return the tokens without spaces and comments; what no rule knows becomes a mark of one character."""
    found = (match for match in _TOKEN.finditer(source) if match.lastgroup != "skip")
    return [Token(str(match.lastgroup), match[0], match.start()) for match in found]


def chains(found: list[Token]) -> Iterator[Chain]:
    """Yield every dotted name that starts a value."""
    index = 0
    while index < len(found):
        if not _starts_value(found, index):
            index += 1
            continue
        last = index
        while last + 2 < len(found) and found[last + 1].text == "." and found[last + 2].kind == "name":
            last += 2
        called = last + 1 < len(found) and found[last + 1].text == "("
        names = tuple(token.text.strip("`") for token in found[index : last + 1 : 2])
        names = names[:-1] if called else names
        if names and names[0] not in KEYWORDS:
            end = found[last].start + len(found[last].text)
            yield Chain(names, found[index].start, end)
        index = last + 1


def _starts_value(found: list[Token], index: int) -> bool:
    """True for a name that is not a field of what stands before it."""
    if found[index].kind != "name":
        return False
    if index == 0 or found[index - 1].text not in (".", "?"):
        return True
    before = index - 2
    if found[index - 1].text == "?":
        return not (before >= 0 and found[before].text in (".", "["))  # `.?field`; a condition's `? x` starts a value
    return before < 0 or (found[before].kind == "mark" and found[before].text not in (")", "]", "}"))


def macro_calls(found: list[Token]) -> list[int]:
    """Return the indexes of the macros that iterate."""
    return [
        index
        for index, token in enumerate(found[:-1])
        if token.text in MACROS and index > 0 and found[index - 1].text == "." and found[index + 1].text == "("
    ]


def check_bounds(source: str, found: list[Token], *, allow_map: bool) -> Problem | None:
    """Return what makes the expression too large or too costly, if anything does."""
    if len(source) > MAX_SOURCE:
        return Problem(f"the expression is longer than {MAX_SOURCE:,} characters", hint="use a transform's template")
    if "\0" in source:
        return problem_at(source, source.index("\0"), "the expression holds a NUL character")
    calls = macro_calls(found)
    maps = [index for index in calls if found[index].text == "map"]
    plus = [token.start for token in found if token.text == "+"]
    most = MAX_PLUS_ITERATING if calls else MAX_PLUS
    if maps and not allow_map:
        return problem_at(source, found[maps[0]].start, "map is not available here", "use exists, all or filter")
    if len(maps) > MAX_MAPS:
        return problem_at(source, found[maps[MAX_MAPS]].start, f"an expression may use map {MAX_MAPS} times at most")
    if len(calls) > MAX_MACROS:
        return problem_at(
            source, found[calls[MAX_MACROS]].start, f"an expression may iterate {MAX_MACROS} times at most"
        )
    if len(plus) > most:
        hint = "put texts side by side instead: a${{ x }}b"
        return problem_at(
            source, plus[most], f"an expression{' that iterates' * bool(calls)} may use + {most} times at most", hint
        )
    return _check_nesting(source, found, calls)


def _check_nesting(source: str, found: list[Token], calls: list[int]) -> Problem | None:
    opened = {index + 1 for index in calls}
    stack: list[bool] = []
    for index, token in enumerate(found):
        if token.text in ("(", "[", "{"):
            stack.append(index in opened)
            if sum(stack) > MAX_NESTING:
                message = f"iterations may stand {MAX_NESTING} deep in each other at most"
                return problem_at(source, found[index - 1].start, message)
        elif token.text in (")", "]", "}") and stack:
            stack.pop()
    return None


def resolve(found: Iterable[Chain], declared: Mapping[str, object]) -> dict[Chain, str]:
    """Return the declared variable that each name means: its longest declared prefix. Unknown names are left out."""
    resolved: dict[Chain, str] = {}
    for chain in found:
        for length in range(len(chain.names), 0, -1):
            name = ".".join(chain.names[:length])
            if name in declared:
                resolved[chain] = name
                break
    return resolved


def suggest(name: str, known: Iterable[str]) -> str | None:
    """Return `did you mean …?` for the known name nearest to this one, if one is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else None


_UNKNOWN_FUNCTION = "unknown function"
_LOCATED = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '\((.*)\)'")
_SELECT = re.compile(r"expression of type '([^']*)' cannot be the operand of a select operation")


def translate(source: str, error: str, names: list[Chain], declared: Iterable[str]) -> list[Problem]:
    """Return CEL's complaint as problems in our words; a text that CEL does not locate counts from the start."""
    located = [(int(line), int(column), text) for line, column, text in _LOCATED.findall(error)]
    if not located:
        deep = "recursion" in error
        return [Problem("the expression is nested too deeply" if deep else f"not a valid expression: {error}")]
    if any("Syntax error" in text for _, _, text in located):
        located = located[:1]
    problems = [
        _translate_one(source, _offset(source, line, column), text, names, declared) for line, column, text in located
    ]
    # A misspelt macro makes its own variable unknown, too: only the cause is worth saying.
    causes = [problem for problem in problems if problem.message.startswith(_UNKNOWN_FUNCTION)] or problems
    return list({problem.offset: problem for problem in reversed(causes)}.values())[::-1]


def _offset(source: str, line: int, column: int) -> int:
    before = source.split("\n")[: line - 1]
    return min(sum(len(text) + 1 for text in before) + column - 1, len(source))


def _translate_one(source: str, offset: int, text: str, names: list[Chain], declared: Iterable[str]) -> Problem:
    if match := _UNDECLARED.search(text):
        return _unknown_name(source, offset, match[1], names, declared)
    if match := _OVERLOAD.search(text):
        return problem_at(source, offset, f"{_operator(match[1])} cannot be applied to ({match[2]})")
    if match := _SELECT.search(text):
        return problem_at(source, offset, f"a value of type {match[1]} has no fields")
    return problem_at(source, offset, _syntax(text))


def _unknown_name(source: str, offset: int, name: str, names: list[Chain], declared: Iterable[str]) -> Problem:
    chain = next(
        (chain for chain in names if chain.start <= offset < chain.end and name.startswith(chain.names[0])), None
    )
    if chain is None:
        start = max(offset - len(name), 0) if source[offset : offset + 1] == "(" else offset
        return problem_at(source, start, f"{_UNKNOWN_FUNCTION} {name}", suggest(name, FUNCTIONS))
    return problem_at(
        source, chain.start, f"unknown name {chain.dotted}", _nearest(chain.names, declared), chain.dotted
    )


def _nearest(names: tuple[str, ...], declared: Iterable[str]) -> str | None:
    """Suggest the variable that goes on nearest to this name, where both begin alike."""
    for length in range(len(names), 0, -1):
        lead = "".join(f"{name}." for name in names[: length - 1])
        part = names[length - 1]
        known = {name.removeprefix(lead).split(".")[0]: name for name in declared if name.startswith(lead)}
        near = difflib.get_close_matches(part, list(known), n=1, cutoff=0.6)
        if near:
            return None if near[0] == part else f"did you mean {known[near[0]]}?"
    return None


def _operator(name: str) -> str:
    return name.strip("_").replace("_", "") if name.startswith("_") or name.endswith("_") else f"{name}()"


def _syntax(text: str) -> str:
    text = text.removeprefix("Syntax error: ")
    if "token recognition error" in text:
        return "a text is not closed, or a character is not allowed: " + text.partition("at: '")[2].removesuffix("'")
    if match := re.match(
        r"(?:mismatched|extraneous) input '(.*?)' expecting|no viable alternative at input '(.*)'", text
    ):
        what = match[1] or match[2] or ""
        return "the expression ends too early" if what.endswith("<EOF>") else f"unexpected {what}"
    return text
