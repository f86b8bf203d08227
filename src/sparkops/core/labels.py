"""Labels of values: where they came from (`untrusted:mail`) and whom they concern (`private:customer`).

A label goes wherever a value goes that it belongs to, or that was made from it.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

UNTRUSTED: Final = "untrusted:"
PRIVATE: Final = "private:"
OF_EVENTS: Final = "untrusted:event"
"""What came from outside without anybody of the project."""
LABEL_PATTERN: Final = r"^(untrusted|private):[a-z0-9][a-z0-9._-]*$"
MAX_LABELS: Final = 50

Label = Annotated[str, Field(pattern=LABEL_PATTERN, max_length=100)]
LabelList = Annotated[tuple[Label, ...], Field(strict=False, max_length=MAX_LABELS)]


def trusted(labels: Iterable[str]) -> frozenset[str]:
    """Return these labels without those of strangers: of a value that could not carry what they wrote."""
    return frozenset(label for label in labels if not label.startswith(UNTRUSTED))
