"""The data directory: where things lie in it, its secrets, and the lock that lets one stack use it."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sparkops.local.errors import StartError, disk_errors
from sparkops.local.process import Confinement, confinement

ORPHAN_SECONDS = 10.0
"""How long the servers of a killed stack may take to stop: as long as an ordered stop may."""

LOG_LIMIT_BYTES = 10_000_000
"""A log beyond this is put aside at the next start; one older log is kept."""


@dataclass(frozen=True, slots=True)
class DataDir:
    """One data directory. All paths below it are made here and nowhere else."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def audit_roots(self) -> Path:
        return self.root / "audit-roots.jsonl"

    @property
    def admin_password(self) -> Path:
        return self.root / "first-admin-password.txt"

    def log(self, name: str) -> Path:
        """Return the log file of one child."""
        return self.root / "logs" / f"{name}.log"

    def create(self, *, traversable: bool = False) -> None:
        """Make the directory and its parts, readable by nobody else; repeats change nothing.

        `traversable` lets another user reach the parts that were given to it, without listing anything.

        Raises:
            StartError: the place is not writable, no directory, or on a full disk.
        """
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o711 if traversable else 0o700)
            for name in ("secrets", "logs", "run", "valkey"):
                (self.root / name).mkdir(mode=0o700, exist_ok=True)
            for log in (self.root / "logs").glob("*.log"):
                if log.stat().st_size > LOG_LIMIT_BYTES:
                    log.replace(log.with_suffix(".log.1"))

    def secret(self, name: str) -> str:
        """Return the secret of this name, made at random when it is asked for the first time.

        Raises:
            StartError: it can neither be read nor written.
        """
        path = self.root / "secrets" / name
        with disk_errors(self.root):
            if path.exists():
                return path.read_text(encoding="ascii").strip()
            value = secrets.token_hex(32)
            write_private(path, value + "\n")
            return value

    def lock(self) -> int:
        """Take the directory for this process and return the open file that holds it.

        Children inherit the file, so the directory stays taken until the last of them is gone, also when their
        parent was killed; a new stack waits for that.

        Raises:
            StartError: another stack uses the directory.
        """
        with disk_errors(self.root):
            lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._wait_for(lock)
            with disk_errors(self.root):
                os.ftruncate(lock, 0)
                os.pwrite(lock, str(os.getpid()).encode(), 0)
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _wait_for(self, lock: int) -> None:
        deadline = time.monotonic() + ORPHAN_SECONDS
        while not _try_lock(lock):
            holder = os.pread(lock, 32, 0).decode("ascii", "replace")
            if alive(holder):
                raise StartError(
                    f"The data directory {self.root} is in use by another Spark-Ops (process {holder}); "
                    "stop that one, or choose another directory with --data-dir."
                )
            if time.monotonic() > deadline:
                raise StartError(
                    f"Servers of a Spark-Ops that was killed (process {holder}) still use {self.root}; end them first."
                )
            time.sleep(0.05)


@contextmanager
def held(data: DataDir) -> Iterator[int]:
    """Create the directory if need be, and hold it for this process; the open file is what children inherit.

    Raises:
        StartError: the directory cannot be used, or is in use.
    """
    data.create(traversable=confinement() is Confinement.NOBODY)
    lock = data.lock()
    try:
        yield lock
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def alive(pid: str) -> bool:
    """Return whether a process of this number exists; text that is no number counts as one that does."""
    if not pid.isdigit():
        return True
    with suppress(PermissionError):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
    return True


def write_private(path: Path, text: str) -> None:
    """Put `text` into a file that only this user may read, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
