"""Starting child processes that cannot outlive us, and that never run as root though we may."""

import asyncio
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, TypeAlias

from sparkops.core.forkserver.client import Forked
from sparkops.core.parents import LINUX, check, die_with, libc
from sparkops.local.errors import StartError

CLONE_NEWUSER = 0x10000000


class Confinement(StrEnum):
    """How a server is kept from running as root."""

    NONE = "none"
    """We are an ordinary user, and so are our children."""
    NAMESPACE = "namespace"
    """A private user namespace in which our files belong to the user `nobody`; on disk they stay root's."""
    NOBODY = "nobody"
    """The user `nobody` itself, where namespaces are forbidden; its files are given to it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One way to start a program. `stdin` reaches it without touching the disk; `tag` is for the one who planned it."""

    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str]
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when we die, however we die (Linux)."""
    confinement: Confinement = Confinement.NONE
    keep_open: tuple[int, ...] = ()
    stdin: bytes = b""
    cwd: Path | None = None
    tag: str = field(default="")


@functools.cache
def nobody() -> pwd.struct_passwd:
    """Return the user that servers run as when we are root.

    Raises:
        StartError: this system has no such user.
    """
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise StartError(
            "PostgreSQL refuses to run as root, and this system has no user nobody to run it as; "
            "start Spark-Ops as an ordinary user."
        ) from None


@functools.cache
def confinement() -> Confinement:
    """Return how servers are confined here: by namespace if we are root and the kernel allows it."""
    if os.geteuid() != 0:
        return Confinement.NONE
    return Confinement.NAMESPACE if LINUX and _namespaces_work() else Confinement.NOBODY


def _namespaces_work() -> bool:
    user = nobody()
    try:
        subprocess.run(
            [shutil.which("true") or "true"], check=True, preexec_fn=lambda: _enter_namespace(user.pw_uid, user.pw_gid)
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _enter_namespace(uid: int, gid: int) -> None:
    """Become `uid` in a user namespace of our own. Runs between fork and exec, so it imports and locks nothing."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    check(libc.unshare(CLONE_NEWUSER))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {outer_uid} 1"), ("gid_map", f"{gid} {outer_gid} 1")):
        handle = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(handle, text.encode())
        os.close(handle)


@dataclass(frozen=True, slots=True)
class _BeforeExec:
    """What a child does between fork and exec. The request to die comes last: a change of user forgets it."""

    parent: int
    death_signal: int
    namespace_of: tuple[int, int] | None

    def __call__(self) -> None:
        if self.namespace_of is not None:
            _enter_namespace(*self.namespace_of)
        if LINUX:
            die_with(self.parent, self.death_signal)


Process: TypeAlias = "subprocess.Popen[bytes] | Forked"


def spawn(launch: Launch) -> Process:
    """Start the program in a session of its own, its output appended to its log.

    Must run in the main thread: the kernel ties a child's death to the thread that made it.

    Raises:
        OSError: it cannot be executed, or its log cannot be opened.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children must be spawned from the main thread")
    user = None if launch.confinement is Confinement.NONE else nobody()
    namespace = (user.pw_uid, user.pw_gid) if user and launch.confinement is Confinement.NAMESPACE else None
    change = user if namespace is None else None
    with launch.log.open("ab") as log, _readable(launch.stdin) as stdin:
        return subprocess.Popen(
            launch.argv,
            stdin=stdin,
            stdout=log,
            stderr=log,
            env=dict(launch.env),
            cwd=launch.cwd,
            start_new_session=True,
            pass_fds=launch.keep_open,
            preexec_fn=_BeforeExec(os.getpid(), launch.death_signal, namespace),
            user=change.pw_uid if change else None,
            group=change.pw_gid if change else None,
            extra_groups=[] if change else None,
        )


async def ended(process: Process) -> int:
    """Wait until the process is gone and return its exit code, negative for a signal."""
    if isinstance(process, Forked):
        return await process.ended()
    if process.poll() is None and hasattr(os, "pidfd_open"):
        await _ended_by_descriptor(process.pid)
    while (code := process.poll()) is None:
        await asyncio.sleep(0.02)
    return code


async def _ended_by_descriptor(pid: int) -> None:
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _readable(data: bytes) -> IO[bytes]:
    """Return an open file with this content that has no name on disk; a confined child may open it again by number."""
    if LINUX:
        file: IO[bytes] = os.fdopen(os.memfd_create("stdin"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller closes it
    file.write(data)
    file.seek(0)
    return file


def _no_matter(_: int) -> None:
    return None


async def run_to_end(launch: Launch, started: Callable[[int], None] = _no_matter) -> int:
    """Start the program, wait for it, and return its exit code; it is killed if this is cancelled.

    `started` is told its number.
    """
    process = spawn(launch)
    started(process.pid)
    try:
        return await ended(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def kill_group(pid: int) -> None:
    """Kill what is left of the session that a child began; nothing left is fine."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_orphans(known: frozenset[int]) -> int:
    """Kill and bury every child of ours that is not in `known`; return how many there were (Linux).

    Only for a process all of whose children are its own doing.
    """
    ended = 0
    for pid in _children() - known:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
            ended += 1
    return ended


def _children() -> frozenset[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name, in brackets, may hold spaces; the parent is the second field behind it.
            if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return frozenset(found)


def last_line(log: Path, start: int = 0) -> str:
    """Return the last line with text that a log got since byte `start`, or "" if it got none."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""
