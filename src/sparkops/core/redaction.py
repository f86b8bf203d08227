"""Keeps the values of secrets out of whatever this process stores, shows or logs.

A secret that was resolved is *learned* with the forms in which it may come back: as it is, in base64 at any place
within a longer text, in hex, as part of a URL, and as JSON, HTML or Python write it. A *filter* replaces each of them
by `[secret:name]`. What is stored passes the filter of its project, which knows the secrets of that project and of the
installation: otherwise one project could guess at another's values by having its own guesses struck out. Log lines
pass the filter that knows all.

What is learned dies with the process, and only the values that it has met are known to it. What is known of one project
is bounded, by values and by characters, and makes room in that project alone.

Forms are looked for by an automaton whose memory grows with their characters, so of a long form it knows the beginning;
the rest is compared where that was found.
"""

import base64
import html
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit
from uuid import UUID

import orjson
from ahocorasick_rs import AhoCorasick, Implementation

from sparkops.core.json import Json, dumps

MIN_CHARS = 8
"""A shorter text is too common to be struck out wherever it stands, so no secret may be shorter."""
MAX_KNOWN = 1_000
"""Values of one project, and of the installation, that a process remembers; beyond, the one of the same project that
was not met for longest is forgotten."""
MAX_KNOWN_CHARS = 8_000_000
"""The same for the characters of all their forms: four secrets of the greatest size at the least."""
_MIN_PART = 16
_MAX_PARTS = 512
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_LOOKED_FOR = 256
"""Of a longer form so many characters are looked for: more than those with which all keys of one kind begin."""
_MAX_COMPARED = 1_000
"""So often the rest of longer forms is compared within one text. What begins like one more often than that is taken for
it: comparing must not cost more than the text has characters, whatever somebody chose for a secret."""
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
        self._longest = max((len(form.text) for form in forms), default=0)

    @cached_property
    def _groups(self) -> Mapping[str, Sequence[_Form]]:
        """The forms by their beginnings, each the longest first."""
        groups: dict[str, list[_Form]] = {}
        for form in sorted(self._forms, key=lambda one: -len(one.text)):
            groups.setdefault(form.text[:_LOOKED_FOR], []).append(form)
        return groups

    @cached_property
    def _in_order(self) -> Sequence[Sequence[_Form]]:
        return list(self._groups.values())

    @cached_property
    def _found_in_text(self) -> AhoCorasick | None:
        return _automaton(self._groups)

    @cached_property
    def _found_in_json(self) -> AhoCorasick | None:
        """Log lines and texts in pieces never ask for it."""
        forms = (form.text[:_LOOKED_FOR] for form in self._forms)
        return _automaton({text for form in forms for text in (form, _in_json(form)[:_LOOKED_FOR])})

    @cached_property
    def _heads(self) -> Mapping[str, Sequence[str]]:
        """Only texts in pieces ask for them."""
        heads: dict[str, list[str]] = {}
        for form in self._forms:
            heads.setdefault(form.text[:_HEAD], []).append(form.text)
        return heads

    @cached_property
    def _beginnings(self) -> frozenset[str]:
        return frozenset(head[:end] for head in self._heads for end in range(1, _HEAD))

    def __bool__(self) -> bool:
        """Say whether there is anything to look for."""
        return bool(self._forms)

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
        return _merged(sorted(self._spans(text, found))) if found else []

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

    def _spans(self, text: str, found: Iterable[tuple[int, int, int]]) -> Iterator[Span]:
        """Yield where the forms stand whose beginnings were found."""
        compared = 0
        for index, first, _ in found:
            group = self._in_order[index]
            for form in group if compared < _MAX_COMPARED else group[:1]:
                if len(form.text) > _LOOKED_FOR:
                    compared += 1
                    if compared <= _MAX_COMPARED and not text.startswith(form.text, first):
                        continue
                start, end = first, min(len(text), first + len(form.text))
                if form.base64:
                    start -= start > 0 and text[start - 1] in _BASE64
                    end += end < len(text) and text[end] in _BASE64
                yield start, end, form.name

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


class _Known:
    """The values that were met of one project, each with its forms, the one met last at the end."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, tuple[_Form, ...]] = OrderedDict()
        self._chars = 0

    def meet(self, name: str, value: str) -> bool:
        """Take a value in, and say whether it was not known."""
        if value in self._values:
            self._values.move_to_end(value)
            return False
        forms = self._values[value] = tuple(_forms_of(name, value))
        self._chars += _chars_of(forms)
        while len(self._values) > 1 and (len(self._values) > MAX_KNOWN or self._chars > MAX_KNOWN_CHARS):
            _, forgotten = self._values.popitem(last=False)
            self._chars -= _chars_of(forgotten)
        return True

    def forms(self) -> Iterator[_Form]:
        """Yield the forms of all of them."""
        for forms in self._values.values():
            yield from forms


class Redactor:
    """What a process knows of the values that must not leave it. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[UUID | None, _Known] = {}
        self._filters: dict[UUID | None, Filter] = {}
        self._all: Filter | None = NOTHING

    def learn(self, name: str, value: str, *, project_id: UUID | None) -> None:
        """Strike a value out from now on; `project_id` None: of the installation, struck out everywhere.

        The value is text that can be stored (`core/storable.py`). What is too short to be a secret is left alone.
        """
        if len(value) < MIN_CHARS:
            return
        with self._lock:
            if not self._known.setdefault(project_id, _Known()).meet(name, value):
                return
            if project_id is None:
                self._filters.clear()
            else:
                self._filters.pop(project_id, None)
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
        for owner, known in self._known.items():
            if counts(owner):
                for form in known.forms():
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
    """Yield the ways to write a value and its parts, each once."""
    forms: dict[str, _Form] = {}
    for part in parts_of(value):
        raw = part.encode()
        for text in (part, raw.hex(), raw.hex().upper(), *_written(part)):
            forms.setdefault(text, _Form(text, name))
        for text in _in_base64(raw):
            forms.setdefault(text, _Form(text, name, base64=True))
    yield from (form for form in forms.values() if len(form.text) >= MIN_CHARS)


def _chars_of(forms: Iterable[_Form]) -> int:
    return sum(len(form.text) for form in forms)


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


def _automaton(patterns: Collection[str]) -> AhoCorasick | None:
    """Return what finds these texts; None: there are none.

    It is never the kind with a table for each character, which takes a gigabyte for a secret of the greatest size.
    """
    if not patterns:
        return None
    return AhoCorasick(patterns, store_patterns=False, implementation=Implementation.ContiguousNFA)


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
