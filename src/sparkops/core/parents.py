"""What a process asks of the kernel: to end with its parent, to adopt orphans, to go by a name (Linux)."""

import ctypes
import os
import signal
import sys
from typing import Final

LINUX: Final = sys.platform == "linux"
libc: Final = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG: Final = 1
PR_SET_NAME: Final = 15
PR_SET_CHILD_SUBREAPER: Final = 36


def check(result: int) -> None:
    """Do nothing if a call of the C library went well.

    Raises:
        OSError: it did not.
    """
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with(parent: int, death_signal: int = signal.SIGKILL) -> None:
    """Have the kernel end this process when the thread of `parent` that made it ends. To be called in the child."""
    check(libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0))
    if os.getppid() != parent:  # it died before the request above
        os._exit(1)


def adopt_orphans() -> None:
    """From now on descendants whose parent died become our children instead of init's (Linux)."""
    if LINUX:
        check(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def called(name: str) -> None:
    """Have lists of processes call this one so, as far as there is room: fifteen characters."""
    check(libc.prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0))
