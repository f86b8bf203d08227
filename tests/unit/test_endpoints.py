"""The file by which later commands find a running stack."""

import os
import stat
import subprocess
from pathlib import Path

from sparkops.core.endpoints import FILE, Endpoints, publish, running, withdraw


def endpoints(pid: int) -> Endpoints:
    return Endpoints(pid, "http://127.0.0.1:1", "postgresql://a@b/c", None, "redis://b")


def test_a_running_stack_is_found_until_it_withdraws(tmp_path: Path) -> None:
    assert running(tmp_path) is None
    publish(tmp_path, endpoints(os.getpid()))
    publish(tmp_path, endpoints(os.getpid()))
    assert running(tmp_path) == endpoints(os.getpid())
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    withdraw(tmp_path)
    withdraw(tmp_path)
    assert running(tmp_path) is None


def test_the_file_of_a_stack_that_was_killed_does_not_count(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    publish(tmp_path, endpoints(dead.pid))
    assert running(tmp_path) is None
