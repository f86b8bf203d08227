"""YAML 1.2 text to JSON values, remembering where each value and key stands. JSON is a subset and needs no own path.

Read from the parser's events, not through a loader: what is not JSON (anchors, tags, several documents, non-text
keys) is refused where it stands, and plain words mean what YAML 1.2 says (`on` is a text).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from sparkops.core.errors import Invalid
from sparkops.core.json import Json

MAX_BYTES = 1_048_576
MAX_DEPTH = 48
_INT64 = 2**63

Path = tuple[str | int, ...]


class DefinitionInvalid(Invalid):
    """A definition has errors; `errors` lists all that were found, in the order of the text."""

    code, title = "definition-invalid", "The definition is not valid"


@dataclass(frozen=True)
class Mistake:
    """One error of a definition, in the form that people and pages read."""

    path: str
    line: int
    column: int
    message: str
    hint: str | None = None

    def as_json(self) -> dict[str, Json]:
        return {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "hint": self.hint,
        }


def invalid(mistakes: list[Mistake]) -> DefinitionInvalid:
    """Return the exception that carries these mistakes, sorted by place."""
    ordered = sorted(mistakes, key=lambda mistake: (mistake.line, mistake.column, mistake.message))
    first, more = ordered[0], len(ordered) - 1
    rest = f" (and {more} more)" if more else ""
    detail = f"line {first.line}, column {first.column}: {first.message}{rest}"
    return DefinitionInvalid(detail, errors=[mistake.as_json() for mistake in ordered])


@dataclass(frozen=True)
class Span:
    """Where a value stands in the text, as character offsets; `style` is the mark that opens a scalar, if any does."""

    start: int
    end: int
    style: str | None = None


@dataclass
class Document:
    """A text read as JSON, or a value that never was a text: then places count within its strings alone."""

    text: str
    value: Json = None
    values: dict[Path, Span] = field(default_factory=dict)
    keys: dict[Path, int] = field(default_factory=dict)

    def mistake(self, path: Path, message: str, hint: str | None = None, *, key: bool = False) -> Mistake:
        """Return a mistake at a value, or at its key; where there is no such value, at the nearest one around it."""
        known = path
        while known and known not in self.values:
            known = known[:-1]
        offset = self.keys.get(known) if key or known != path else None
        return self.mistake_at(path, self.values[known].start if offset is None else offset, message, hint)

    def mistake_within(self, path: Path, offset: int, message: str, hint: str | None = None) -> Mistake:
        """Return a mistake at a character of the string that stands at the path."""
        text = self.at(path)
        assert isinstance(text, str)
        if path not in self.values:
            return Mistake(dotted(path), *_line_and_column(text, offset), message, hint)
        return self.mistake_at(path, _place(self.text, self.values[path], text, offset), message, hint)

    def at(self, path: Path) -> Json:
        """Return the value at the path."""
        value = self.value
        for part in path:
            value = value[part]  # type: ignore[index]  # a path leads through maps and lists only
        return value

    def mistake_at(self, path: Path, offset: int, message: str, hint: str | None = None) -> Mistake:
        """Return a mistake at a character of the whole text."""
        return Mistake(dotted(path), *_line_and_column(self.text, offset), message, hint)


def document_of(value: Json) -> Document:
    """Return a value that was sent as it is, to be checked as if it had been read."""
    return Document("", value, {(): Span(0, 0)})


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def dotted(path: Path) -> str:
    """Return a path as people write it: `steps[2].with.text`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def read_document(source: str) -> Document:
    """Return the text as JSON with its places.

    Raises:
        DefinitionInvalid: it is too large, no YAML, or YAML that is more than JSON.
    """
    document = Document(source.removeprefix("\ufeff").replace("\r\n", "\n"))
    if len(source.encode(errors="replace")) > MAX_BYTES:
        raise invalid([Mistake("", 1, 1, "the definition is larger than 1 MiB")])
    try:
        _Reader(document).read()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise invalid([Mistake("", line, column, f"not valid YAML: {error.problem or error.context}")]) from error
    except ReaderError as error:
        raise invalid([document.mistake_at((), error.position, "a character is not allowed in YAML")]) from error
    except YAMLError as error:
        raise invalid([Mistake("", 1, 1, f"not valid YAML: {error}")]) from error
    return document


class _Reader:
    """Builds the value from events and refuses what JSON does not have."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.events: Iterator[Event] = YAML(typ="safe", pure=True).parse(document.text)

    def read(self) -> None:
        next(self.events)  # the stream's start
        first = next(self.events)
        if not isinstance(first, DocumentStartEvent):
            raise invalid([Mistake("", 1, 1, "the definition is empty")])
        if first.version is not None and tuple(first.version) != (1, 2):
            raise self._refuse((), first, "the format is YAML 1.2")
        self.document.value = self._node((), next(self.events))
        next(self.events)  # the document's end
        after = next(self.events)
        if isinstance(after, DocumentStartEvent):
            raise self._refuse((), after, "a second document starts here", "one file holds one definition")

    def _node(self, path: Path, event: Event) -> Json:
        self._check(path, event)
        start = event.start_mark.index
        if isinstance(event, ScalarEvent):
            self.document.values[path] = Span(start, event.end_mark.index, event.style)
            return self._scalar(path, event)
        self.document.values[path] = Span(start, start)
        return self._mapping(path) if isinstance(event, MappingStartEvent) else self._sequence(path)

    def _check(self, path: Path, event: Event) -> None:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._refuse(path, event, "anchors and aliases are not allowed", "write the value out")
        if getattr(event, "tag", None) is not None:
            raise self._refuse(path, event, "tags are not allowed", "write the value without the tag")
        if isinstance(event, MappingStartEvent | SequenceStartEvent) and len(path) >= MAX_DEPTH:
            raise self._refuse(path, event, f"nested deeper than {MAX_DEPTH} levels")

    def _mapping(self, path: Path) -> Json:
        found: dict[str, Json] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            self._check(path, event)
            if not isinstance(event, ScalarEvent):
                raise self._refuse(path, event, "a key must be a text")
            key = self._text(path, event)
            if key in found:
                raise self._refuse((*path, key), event, f"the key {key} stands here twice")
            self.document.keys[(*path, key)] = event.start_mark.index
            found[key] = self._node((*path, key), next(self.events))
        return found

    def _sequence(self, path: Path) -> Json:
        found: list[Json] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            found.append(self._node((*path, len(found)), event))
        return found

    def _scalar(self, path: Path, event: ScalarEvent) -> Json:
        text = self._text(path, event)
        if event.style is not None:
            return text
        try:
            return _plain(text)
        except ValueError as error:
            raise self._refuse(path, event, str(error)) from error

    def _text(self, path: Path, event: ScalarEvent) -> str:
        text = str(event.value)
        if _UNSTORABLE.search(text):
            try:  # JSON writes characters beyond 16 bits as two escapes; put such pairs together
                text = text.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError as error:
                raise self._refuse(path, event, "half of a surrogate pair is no character") from error
            if "\0" in text:
                raise self._refuse(path, event, "a NUL character is not allowed")
        return text

    def _refuse(self, path: Path, event: Event, message: str, hint: str | None = None) -> DefinitionInvalid:
        mark = event.start_mark
        return invalid([Mistake(dotted(path), mark.line + 1, mark.column + 1, message, hint)])


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _plain(text: str) -> Json:
    """Return what an unquoted scalar means by the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        number = int(text, 0 if text[:2] in ("0o", "0x") else 10) if len(text) <= 32 else _INT64
        if not -_INT64 <= number < _INT64:
            raise ValueError("the number has more than 64 bits")
        return number
    if _NO_NUMBER.fullmatch(text) or (_FLOAT.fullmatch(text) and float(text) in (float("inf"), float("-inf"))):
        raise ValueError("the number is not finite")
    return float(text) if _FLOAT.fullmatch(text) else text


def _place(source: str, span: Span, text: str, offset: int) -> int:
    """Return where in the source the character stands that the string has at the offset.

    Folding, indentation and quoting change only space and escapes, so the characters that are neither are counted.
    """
    before = len("".join(text[:offset].split()))
    position = span.start + (1 if span.style in ('"', "'") else 0)
    if span.style in ("|", ">"):
        position = source.index("\n", span.start) + 1
    while before and position < span.end:
        width, counted = _unit(source, position, span.style)
        position, before = position + width, before - counted
    if offset < len(text) and not text[offset].isspace():
        while position < span.end and source[position].isspace():
            position += 1
    return position


_ESCAPE_WIDTHS = {"x": 4, "u": 6, "U": 10}


def _unit(source: str, position: int, style: str | None) -> tuple[int, int]:
    """Return how many characters of source stand here for how many (0 or 1) characters that are no space."""
    character = source[position]
    if style == '"' and character == "\\":
        escaped = source[position + 1]
        return _ESCAPE_WIDTHS.get(escaped, 2), 0 if escaped in "ntr \n\t_NLP" else 1
    if style == "'" and character == "'":
        return 2, 1
    return 1, 0 if character.isspace() else 1
