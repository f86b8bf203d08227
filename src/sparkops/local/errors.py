"""Why a start cannot go on, each as one sentence that a person can act on."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkops.core.errors import SparkOpsError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class StartError(SparkOpsError):
    """The stack, or one part of it, cannot start; `detail` is the sentence to print."""

    code, title = "cannot-start", "Spark-Ops cannot start"


def full_disk(path: Path) -> StartError:
    """Return what is said when the disk under `path` has no room left."""
    return StartError(f"No space is left on the disk that holds {path}; free some, or choose another with --data-dir.")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of writing below `path` into a sentence.

    Raises:
        StartError: the disk is full, the place may not be written, or is no directory.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise full_disk(path) from None
        if error.errno in _FORBIDDEN:
            raise StartError(
                f"The data directory {path} cannot be written by this user ({error.strerror}); "
                "choose another with --data-dir."
            ) from None
        raise StartError(f"The data directory {path} cannot be used: {error.strerror or error}.") from None
