"""Keeps the values of secrets out of whatever this process stores, shows or logs.

A secret that was resolved is *learned* with the forms in which it may come back: as it is, in base64 at any place
within a longer text, in hex, as part of a URL, and as JSON, HTML or Python write it. A *filter* replaces each of them
by `[secret:name]`. What is stored passes the filter of its project, which knows the secrets of that project and of the
installation: otherwise one project could guess at another's values by having its own guesses struck out. Log lines
pass the filter that knows all.

What is learned dies with the process, and only the values that it has met are known to it.
"""

import base64
import html
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit
from uuid import UUID

import orjson
from ahocorasick_rs import AhoCorasick

from sparkops.core.json import Json, dumps

MIN_CHARS = 8
"""A shorter text is too common to be struck out wherever it stands, so no secret may be shorter."""
MAX_KNOWN = 5_000
"""Values that a process remembers; beyond, the one that was not met for longest is forgotten."""
_MIN_PART = 16
_MAX_PARTS = 512
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_HEAD = 4
"""Characters by which the forms are found of which a text may hold the beginning; every form is longer."""

Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class _Form:
    """One way to write a value. One in base64 shares a character with its neighbours on either side."""

    text: str
    name: str
    base64: bool = False


class Filter:
    """Replaces the forms of some values. Immutable; `Redactor` hands out a new one when another value is learned."""

    def __init__(self, forms: Sequence[_Form] = ()) -> None:
        self._forms = forms
        self._found_in_text = _automaton([form.text for form in forms])
        self._found_in_json = _automaton([text for form in forms for text in {form.text, _in_json(form.text)}])
        self._longest = max((len(form.text) for form in forms), default=0)
        self._heads: dict[str, list[str]] = {}
        for form in forms:
            self._heads.setdefault(form.text[:_HEAD], []).append(form.text)
        self._beginnings = {head[:end] for head in self._heads for end in range(1, _HEAD)}

    def __bool__(self) -> bool:
        """Say whether there is anything to look for."""
        return self._found_in_text is not None

    def text(self, text: str) -> str:
        """Return the text with every form of every value replaced."""
        spans = self.spans(text)
        return _replaced(text, spans) if spans else text

    def value(self, value: Json) -> Json:
        """Return a JSON value with every form replaced: in texts, in keys of maps, and in numbers.

        Where there is nothing to replace the value itself comes back, at the price of serialising it once.
        """
        if self._found_in_json is None:
            return value
        if not self._found_in_json.find_matches_as_indexes(dumps(value).decode()):
            return value
        return self._cleaned(value)

    def anything(self, value: object) -> object:
        """Return a value of a log line with every form replaced; what is no JSON is looked at as text."""
        if self._found_in_text is None or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.anything(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.anything(item) for item in value]
        text = str(value)
        clean = self.text(text)
        return value if clean == text else clean

    def spans(self, text: str) -> list[Span]:
        """Return where forms stand in the text, as start, end and name, those that overlap put together."""
        if self._found_in_text is None:
            return []
        found = self._found_in_text.find_matches_as_indexes(text, overlapping=True)
        return _merged(sorted(self._span(text, *each) for each in found)) if found else []

    def begun(self, text: str) -> int:
        """Return where the longest end of the text starts that may be the beginning of a form."""
        for place in range(max(0, len(text) - self._longest + 1), len(text)):
            head = text[place : place + _HEAD]
            if len(head) < _HEAD:
                if head in self._beginnings:
                    return place
            elif head in self._heads:
                rest = text[place:]
                if any(len(form) > len(rest) and form.startswith(rest) for form in self._heads[head]):
                    return place
        return len(text)

    def _span(self, text: str, index: int, start: int, end: int) -> Span:
        form = self._forms[index]
        if form.base64:
            start -= start > 0 and text[start - 1] in _BASE64
            end += end < len(text) and text[end] in _BASE64
        return start, end, form.name

    def _cleaned(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self._cleaned(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._cleaned(item) for item in value]
        if value is None or isinstance(value, bool):
            return value
        number = dumps(value).decode()
        return self.text(number) if self.spans(number) else value


class Stream:
    """A filter for text that comes in pieces: what may be the beginning of a form is held back until it is known."""

    def __init__(self, current: Callable[[], Filter] = lambda: NOTHING) -> None:
        self._current = current
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what may be shown now that this piece has come; it may be empty."""
        known = self._current()
        if not known:
            return piece
        text = self._held + piece
        spans = known.spans(text)
        cut = known.begun(text)
        for start, end, _ in spans:
            if start < cut < end:
                cut = start
        self._held = text[cut:]
        return _replaced(text[:cut], [span for span in spans if span[1] <= cut])

    def end(self) -> str:
        """Return what was held back; nothing more comes."""
        held, self._held = self._held, ""
        return self._current().text(held)


class Redactor:
    """What a process knows of the values that must not leave it. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[UUID | None, str], tuple[_Form, ...]] = OrderedDict()
        self._filters: dict[UUID | None, Filter] = {}
        self._all: Filter | None = NOTHING

    def learn(self, name: str, value: str, *, project_id: UUID | None) -> None:
        """Strike a value out from now on; `project_id` None: of the installation, struck out everywhere.

        The value is text that can be stored (`core/storable.py`). What is too short to be a secret is left alone.
        """
        if len(value) < MIN_CHARS:
            return
        key = project_id, value
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return
            self._known[key] = tuple(_forms_of(name, value))
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
            self._filters.clear()
            self._all = None

    def of(self, project_id: UUID | None) -> Filter:
        """Return the filter of what is stored for a project; None: for none, which knows the installation's alone."""
        with self._lock:
            if not self._known:
                return NOTHING
            found = self._filters.get(project_id)
            if found is None:
                found = self._filters[project_id] = self._filter(lambda owner: owner in (None, project_id))
            return found

    @property
    def everything(self) -> Filter:
        """The filter of log lines."""
        with self._lock:
            if self._all is None:
                self._all = self._filter(lambda _: True)
            return self._all

    def _filter(self, counts: Callable[[UUID | None], bool]) -> Filter:
        forms: dict[str, _Form] = {}
        for (owner, _), known in self._known.items():
            if counts(owner):
                for form in known:
                    forms.setdefault(form.text, form)
        return Filter(list(forms.values())) if forms else NOTHING


def parts_of(value: str) -> Iterator[str]:
    """Yield the value, and those parts of it that are secrets by themselves: the password of a URL, the lines of a key
    in PEM, the texts of a JSON document, such as the keys that clouds hand out."""
    yield value
    if "://" in value:
        yield from _password(value)
    if "\n" in value:
        lines = (line.strip() for line in value.splitlines()[:_MAX_PARTS])
        yield from (line for line in lines if len(line) >= _MIN_PART and not line.startswith("-----"))
    if value.lstrip()[:1] == "{":
        yield from _texts(value)


def _password(value: str) -> Iterator[str]:
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password and len(password) >= MIN_CHARS:
        yield password
        yield unquote(password)


def _texts(value: str) -> Iterator[str]:
    try:
        document = orjson.loads(value)
    except ValueError:
        return
    texts = (item for item in document.values() if isinstance(item, str)) if isinstance(document, dict) else ()
    for count, text in enumerate(texts):
        if count < _MAX_PARTS and len(text) >= _MIN_PART:
            yield text


def _forms_of(name: str, value: str) -> Iterator[_Form]:
    for part in parts_of(value):
        raw = part.encode()
        for text in {part, raw.hex(), raw.hex().upper(), *_written(part)}:
            if len(text) >= MIN_CHARS:
                yield _Form(text, name)
        for text in _in_base64(raw):
            if len(text) >= MIN_CHARS:
                yield _Form(text, name, base64=True)


def _written(value: str) -> Iterator[str]:
    """Yield the value as formats for text write it, also twice: JSON within JSON, a URL within a URL."""
    for as_json in (_in_json(value), json.dumps(value)[1:-1]):
        yield as_json
        yield as_json.replace("/", "\\/")
        yield _in_json(as_json)
    for quoted in (quote(value, safe=""), quote_plus(value), quote(value)):
        yield quoted
        yield _lower_escapes(quoted)
        yield quote(quoted, safe="")
    yield html.escape(value)
    yield repr(value)[1:-1]
    yield value.strip()


def _lower_escapes(quoted: str) -> str:
    """Write %2F as %2f."""
    first, *rest = quoted.split("%")
    return "".join([first, *("%" + piece[:2].lower() + piece[2:] for piece in rest)])


def _in_json(value: str) -> str:
    return dumps(value).decode()[1:-1]


def _in_base64(raw: bytes) -> Iterator[str]:
    """Yield what stands in the base64 of any longer text for these bytes alone, by where among three they begin."""
    for before in range(3):
        bits_before, bits = 8 * before, 8 * (before + len(raw))
        first, end = -(-bits_before // 6), bits // 6
        encoded = base64.b64encode(bytes(before) + raw).decode()[first:end]
        yield encoded
        yield encoded.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


def _automaton(patterns: Sequence[str]) -> AhoCorasick | None:
    return AhoCorasick(patterns, store_patterns=False) if patterns else None


def _merged(spans: Sequence[Span]) -> list[Span]:
    """Put spans together that overlap; the name is that of the first."""
    merged: list[Span] = []
    for start, end, name in spans:
        if merged and start < merged[-1][1]:
            before = merged[-1]
            merged[-1] = before[0], max(before[1], end), before[2]
        else:
            merged.append((start, end, name))
    return merged


def _replaced(text: str, spans: Sequence[Span]) -> str:
    if not spans:
        return text
    pieces = [text[: spans[0][0]]]
    for (_, end, name), (after, _, _) in pairwise([*spans, (len(text), len(text), "")]):
        pieces += [f"[secret:{name}]", text[end:after]]
    return "".join(pieces)


NOTHING: Final[Filter] = Filter()
SEEN: Final = Redactor()
"""What this process has met. There is one, because logs, whoever writes them, must not depend on what was passed on."""
