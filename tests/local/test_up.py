"""`sparkops up` as a process of its own, killed and stopped in every way; API and workers are stand-ins."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkops.local.stack import EmbeddedServers

HERE = Path(__file__).parent
STOP_SECONDS = 10.0


def holders(data: Path) -> set[int]:
    """Every process that has the lock of the directory open: the supervisor and all that descends from it."""
    lock, found = str(data / "lock"), set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) == lock:
                found.add(int(descriptor.parts[2]))
        except OSError:
            continue
    return found


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@dataclass
class Up:
    """One running `sparkops up`."""

    process: subprocess.Popen[str]
    data: Path

    def endpoints(self) -> dict[str, str | int]:
        path = self.data / "run" / "endpoints.json"
        found: dict[str, str | int] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def wait_until_ready(self) -> None:
        until(lambda: self.endpoints().get("pid") == self.process.pid or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.process.communicate()

    def sessions(self) -> list[tuple[int, str]]:
        path = self.data / "sessions"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(pid), session) for pid, session in (line.split() for line in lines)]

    def released(self) -> list[str]:
        path = self.data / "released"
        return path.read_text().splitlines() if path.exists() else []

    def find(self, part: str) -> int | None:
        """Return the child of the supervisor whose command line holds `part`."""
        for pid in holders(self.data):
            try:
                parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                line = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            if part in line and parent == self.process.pid:
                return pid
        return None

    def finish(self) -> tuple[str, str]:
        return self.process.communicate(timeout=STOP_SECONDS)


def start(data: Path, **variables: str) -> Up:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPARKOPS_")}
    env |= {"SPARKOPS_DATA_DIR": str(data), "SPARKOPS_PORT": "0", **variables}
    command = [sys.executable, str(HERE / "children" / "up.py")]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return Up(process, data)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = start(tmp_path / "data")
    running.wait_until_ready()
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGTERM)
        running.finish()
    assert not holders(running.data)


def test_it_says_where_it_is_and_stops_in_time_without_a_trace(up: Up) -> None:
    file = up.data / "run" / "endpoints.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    endpoints = up.endpoints()
    until(lambda: len(up.sessions()) == 2)
    up.process.send_signal(signal.SIGTERM)
    out, err = up.finish()
    assert up.process.returncode == 0
    assert not err
    assert str(endpoints["api_url"]) in out
    assert str(up.data / "first-admin-password.txt") in out
    assert stat.S_IMODE((up.data / "first-admin-password.txt").stat().st_mode) == 0o600
    assert not holders(up.data)
    assert not file.exists()


def test_an_impatient_second_signal_changes_nothing(up: Up) -> None:
    up.process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    up.process.send_signal(signal.SIGINT)
    up.finish()
    assert up.process.returncode == 0
    assert not holders(up.data)


def test_killed_itself_it_leaves_no_process_and_the_next_start_works(up: Up) -> None:
    until(lambda: len(up.sessions()) == 2)
    assert len(holders(up.data)) > 6
    up.process.kill()
    up.process.communicate()
    until(lambda: not holders(up.data), seconds=5)
    again = start(up.data)
    again.wait_until_ready()
    again.process.send_signal(signal.SIGTERM)
    again.finish()
    assert again.process.returncode == 0


def test_a_start_right_after_a_kill_waits_for_the_servers_to_end(up: Up) -> None:
    up.process.kill()
    up.process.communicate()
    again = start(up.data)
    again.wait_until_ready()
    again.process.send_signal(signal.SIGTERM)
    assert again.finish()[1] == ""
    assert again.process.returncode == 0


def test_stopped_while_it_starts_it_leaves_no_process(tmp_path: Path) -> None:
    starting = start(tmp_path / "data")
    until(lambda: starting.find("postgres"))
    starting.process.send_signal(signal.SIGTERM)
    _, err = starting.finish()
    assert (starting.process.returncode, err) == (0, "")
    assert not holders(tmp_path / "data")


def test_a_dead_worker_is_replaced_and_what_it_held_is_released_at_once(up: Up) -> None:
    until(lambda: len(up.sessions()) == 2)
    pid, session = up.sessions()[0]
    os.kill(pid, signal.SIGKILL)
    until(lambda: up.released() == [session], seconds=2)
    until(lambda: len(up.sessions()) == 3)
    assert up.sessions()[2][1] not in (session, up.sessions()[1][1])
    up.process.send_signal(signal.SIGTERM)
    out, _ = up.finish()
    assert "worker-1 was ended by SIGKILL; it starts again in 0.2 s.\nworker-1 is back.\n" in out or "worker-2" in out


@pytest.mark.parametrize("part", ["bin/postgres", "valkey-server", "api.py"])
def test_every_other_child_comes_back(up: Up, part: str) -> None:
    first = up.find(part)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: up.find(part) not in (None, first))
    up.process.send_signal(signal.SIGTERM)
    out, err = up.finish()
    assert "was ended by SIGKILL" in out
    assert (up.process.returncode, err) == (0, "")


def test_no_zombie_stays_when_postgres_loses_its_parent_process(up: Up) -> None:
    postgres = up.find("bin/postgres")
    assert postgres is not None
    os.kill(postgres, signal.SIGKILL)
    until(lambda: up.find("bin/postgres") not in (None, postgres))
    children = Path(f"/proc/{up.process.pid}/task/{up.process.pid}/children").read_text().split()
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in children]
    assert "Z" not in states


def test_a_second_start_on_the_same_directory_is_refused_in_one_sentence(up: Up) -> None:
    second = start(up.data)
    out, err = second.finish()
    assert second.process.returncode != 0
    assert f"in use by another Spark-Ops (process {up.process.pid})" in err
    assert up.process.poll() is None


async def test_servers_of_somebody_else_are_used_and_left_alone(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path / "theirs") as theirs:
        urls = {"SPARKOPS_DATABASE_URL": theirs.owner_url, "SPARKOPS_REDIS_URL": theirs.redis_url}
        ours = start(tmp_path / "ours", **urls)
        ours.wait_until_ready()
        until(lambda: len(ours.sessions()) == 2)
        assert ours.find("bin/postgres") is None
        os.kill(ours.sessions()[0][0], signal.SIGKILL)
        until(lambda: ours.released() == [ours.sessions()[0][1]], seconds=2)
        ours.process.send_signal(signal.SIGTERM)
        out, err = ours.finish()
        assert (ours.process.returncode, err) == (0, "")
        assert theirs.postgres.starts == theirs.valkey.starts == 1
