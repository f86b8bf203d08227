"""W6: what the idle stack weighs. Proportional set size counts a shared page once, split among its users."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.report import Report, machine
from sparkops.core.endpoints import running

UP = (sys.executable, "-m", "sparkops.local")
WORKERS = 2
START_SECONDS = 120.0
SETTLE_SECONDS = 10.0
IDLE_SECONDS = 20.0
MIB = 1024 * 1024


def descendants(root: int) -> list[int]:
    """Return this process's children and theirs, without itself."""
    parents = dict(_parents())
    return [pid for pid in parents if pid != root and _descends(pid, root, parents)]


def _parents() -> Iterable[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), int(_stat(int(entry.name))[1])
            except (OSError, IndexError):
                continue


def _descends(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == root:
            return True
        pid = parents[pid]
    return False


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat behind the command's name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def pss_mib(pids: Iterable[int]) -> float:
    """Return the proportional set size of these processes together."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total / MIB


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time that these processes and their ended children have used, in user and system mode."""
    ticks = sum(int(field) for pid in pids for field in _stat(pid)[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def disk_mib(root: Path) -> float:
    """Return the size of all files below a directory."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / MIB


async def w6() -> None:
    """Print what `sparkops up` weighs that nobody uses: its supervisor, doors and servers, and the files of all."""
    with tempfile.TemporaryDirectory(prefix="sparkops-idle-") as directory:
        options = ("--data-dir", directory, "--port", "0", "--workers", str(WORKERS))
        stack = await asyncio.create_subprocess_exec(*UP, *options, stdout=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(START_SECONDS):
                while running(Path(directory)) is None:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(SETTLE_SECONDS)
            await _measure(Report({**machine(), "workers": WORKERS}), stack.pid, Path(directory))
        finally:
            stack.terminate()
            await stack.wait()


async def _measure(report: Report, stack_pid: int, data_dir: Path) -> None:
    pids = [stack_pid, *descendants(stack_pid)]
    before, begun = cpu_seconds(pids), time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    used = (cpu_seconds(pids) - before) / (time.monotonic() - begun)
    report.line("W6", "idle_pss", pss_mib(pids), "MiB", processes=len(pids))
    report.line("W6", "idle_cpu", used * 100, "% of a core")
    report.line("W6", "data_dir", disk_mib(data_dir), "MiB")
