"""Durations as people write them in definitions: `500ms`, `30s`, `5m`, `2h`, `1d`."""

import re
from datetime import timedelta

DURATION_PATTERN = r"^[1-9][0-9]{0,8}(ms|s|m|h|d)$"
DURATION_HINT = "write a number and a unit: 500ms, 30s, 5m, 2h or 1d"

_PARTS = re.compile(r"([1-9][0-9]{0,8})(ms|s|m|h|d)")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
# Ten years: far above any real timeout, far below what overflows a timestamp.
_LONGEST = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Return the duration that a text names.

    Raises:
        ValueError: the text is not a positive whole number with a unit, or is longer than ten years.
    """
    match = _PARTS.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a duration: {DURATION_HINT}")
    count = int(match[1])
    if count > _LONGEST / _UNITS[match[2]]:
        raise ValueError(f"'{text}' is longer than ten years")
    return count * _UNITS[match[2]]
