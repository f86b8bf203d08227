"""References to secrets: `secret://name`, or `secret://name?version=3` for a version that is not the latest."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sparkops.core.json import Json
from sparkops.core.templates import OPEN, Path, scan, strings

NAME: Final = "[a-z][a-z0-9_-]{0,62}"
_REFERENCE = re.compile(rf"secret://({NAME})(?:\?version=([1-9][0-9]{{0,8}}))?")


class MixedReference(ValueError):
    """A text holds a reference and an expression, so that nobody can say what would be referred to."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What is referred to. `version` None: the latest."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        """Return the reference as people write it."""
        return f"secret://{self.name}" + (f"?version={self.version}" if self.version else "")


def whole(text: str) -> Reference | None:
    """Return the reference that a text is, and nothing else; None: it is none."""
    found = _REFERENCE.fullmatch(text)
    return _reference(found) if found else None


def pieces(text: str) -> Iterator[str | Reference]:
    """Yield the text in pieces: what stands between references, and the references."""
    position = 0
    for found in _REFERENCE.finditer(text):
        yield text[position : found.start()]
        yield _reference(found)
        position = found.end()
    yield text[position:]


def written_in(parameters: Mapping[str, Json]) -> dict[Path, str]:
    """Return the texts of a definition that hold references, by where they stand.

    Only what the author of a definition wrote refers to a secret. What expressions give, or a model asks for, never
    does: whoever controls an input or a model could otherwise have any secret sent anywhere.

    Raises:
        MixedReference: a text holds a reference and an expression.
    """
    found = {}
    for path, text in strings(dict(parameters)):
        literal = [piece.text for piece in scan(text) if not piece.is_expression] if OPEN in text else [text]
        if any(_REFERENCE.search(piece) for piece in literal):
            if OPEN in text:
                raise MixedReference(f"{_REFERENCE.search(text)[0]} and an expression")  # type: ignore[index]
            found[path] = text
    return found


def _reference(found: "re.Match[str]") -> Reference:
    return Reference(found[1], int(found[2]) if found[2] else None)
