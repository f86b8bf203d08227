"""A small process that outlives us by a moment: if we are killed, it ends what our children had started.

The kernel ends our children when we die, but not their children. The guardian reads from us which process groups
there are; when the pipe ends without our saying that all is done, it kills them. It is run by its path, without the
rest of the program, so this file imports the standard library only.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

_DONE = "done"


class Guardian:
    """Our side of it: a context in which groups are watched, each under a name that a restart takes over."""

    def __init__(self) -> None:
        self._groups: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tell(_DONE)
        self._end()

    @property
    def pid(self) -> int | None:
        """The number of its process."""
        return self._process.pid if self._process is not None else None

    def watch(self, name: str, group: int) -> None:
        """Have this process group killed if we are; a guardian that was killed itself is replaced."""
        self._groups[name] = group
        if not self._tell(f"{name} {group}"):
            self._begin()

    def _begin(self) -> None:
        self._end()
        # Isolated and without site-packages: it is there in 20 ms and takes a few megabytes.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True, cwd="/", env={}
        )
        for name, group in self._groups.items():
            self._tell(f"{name} {group}")

    def _tell(self, line: str) -> bool:
        if self._process is None or self._process.stdin is None:
            return False
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def _end(self) -> None:
        if self._process is None:
            return
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()
        self._process = None


def main() -> None:
    """Read groups until the pipe ends; kill the last one of each name, unless all is done."""
    groups: dict[str, int] = {}
    for line in sys.stdin:
        if line.strip() == _DONE:
            return
        name, _, group = line.rpartition(" ")
        groups[name] = int(group)
    for group in groups.values():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
