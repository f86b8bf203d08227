"""The file of roots: one line for each seal, kept outside of the database, so that what is cut off there is missed."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from sparkops.core.errors import Invalid
from sparkops.domains.audit.seals import Anchor

TAIL_BYTES = 4_096
"""More than one line has."""


def last_root(path: Path) -> int:
    """Return the number of the last seal in the file; 0 where there is none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - TAIL_BYTES, 0))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return 0
    for line in reversed(lines):
        try:
            return Anchor.from_line(line).number
        except ValueError:
            continue  # a line that a crash has cut, or the first of the tail
    return 0


def add_roots(path: Path, anchors: Sequence[Anchor]) -> int:
    """Add those that the file does not have, in the order of their numbers; return how many. Several may do so at once.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "rb+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last = last_root(path)
        new = [anchor for anchor in anchors if anchor.number > last]
        text = b"".join(anchor.as_line() + b"\n" for anchor in new)
        if text:
            file.write((b"" if _whole(file.fileno()) else b"\n") + text)
            os.fsync(file.fileno())
        return len(new)


def read_roots(path: Path) -> list[Anchor]:
    """Return what the file says. A line that a crash has cut is passed over: its root comes again in the next one.

    Raises:
        Invalid: it cannot be read, or is no file of roots.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise Invalid(f"The file of roots {path} cannot be read: {error.strerror}.") from None
    anchors: list[Anchor] = []
    torn = False
    for number, line in enumerate(lines, 1):
        try:
            anchors.append(Anchor.from_line(line))
            torn = False
        except ValueError:
            if torn:
                raise Invalid(f"Line {number} of {path} is not a root of the audit trail.") from None
            torn = True
    return anchors


def _whole(handle: int) -> bool:
    """Say whether the file ends with a line's end, as an empty one does."""
    size = os.fstat(handle).st_size
    return not size or os.pread(handle, 1, size - 1) == b"\n"
