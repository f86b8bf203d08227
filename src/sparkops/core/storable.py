"""JSON as PostgreSQL gives it back: what is stored, read and digested again must be what it was.

`jsonb` refuses NUL characters and unpaired surrogates, forgets the sign of zero, and writes a large float with all
its digits, so that it comes back as an integer. A replay that rebuilt a request from such values would seem to ask
for something else than the first time.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from sparkops.core.json import Json

LEAST, MOST = -(2**63), 2**64 - 1
"""Between these a parser makes an integer of what has no fraction; beyond, a float again."""


def beyond(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Return where integers stand that are too large to be written as JSON here, or to be read again as they were."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from beyond(item, (*path, key))
    elif isinstance(value, int) and not LEAST <= value <= MOST:
        yield path


def storable_text(text: str) -> str:
    """Return the text with a replacement character for each NUL and each unpaired surrogate."""
    if text.isascii():
        return text.replace("\0", "\ufffd")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\0", "\ufffd")


def storable(value: Json) -> Json:
    """Return the value in the form in which the database gives it back; storing that changes nothing more."""
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {storable_text(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def _number(value: float) -> Json:
    if value != value or value in (float("inf"), float("-inf")):
        return None
    if value == 0:
        return 0.0
    # Below 1e16 a whole float is written as 5.0 and keeps its point; from there on as 1e16, which loses it.
    if abs(value) >= 1e16:
        whole = Decimal(repr(value))
        return int(whole) if LEAST <= whole <= MOST else value
    return value
