"""Running as root, which PostgreSQL refuses: in a namespace where the kernel allows it, else as the user nobody."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="asks what happens to root")

HERE = Path(__file__).parent / "children"


@pytest.fixture
def data() -> Iterator[Path]:
    """A directory that everybody may reach, as pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="sparkops-root-"))
    directory.chmod(0o711)
    yield directory / "data"
    shutil.rmtree(directory)


def start(data: Path, *, namespaces: bool) -> str:
    around = [] if namespaces else [sys.executable, str(HERE / "without_namespaces.py")]
    command = [*around, sys.executable, str(HERE / "servers.py"), str(data)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_in_a_namespace_the_files_stay_roots(data: Path) -> None:
    assert start(data, namespaces=True) == "namespace 0"
    assert (data / "postgres").stat().st_uid == 0
    assert (data.stat().st_mode & 0o777) == 0o700


def test_without_namespaces_the_user_nobody_runs_it(data: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    assert start(data, namespaces=False) == f"nobody {nobody}"
    assert (data / "postgres").stat().st_uid == nobody


def test_data_follow_when_the_way_changes(data: Path) -> None:
    assert start(data, namespaces=True).startswith("namespace")
    assert start(data, namespaces=False).startswith("nobody")
    assert start(data, namespaces=True).startswith("namespace")
