"""`sparkops up` as a process of its own, killed and stopped in every way; API and workers are stand-ins."""

import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkops.local import installation
from sparkops.local.errors import StartError
from sparkops.local.paths import DataDir
from sparkops.local.stack import EmbeddedServers

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STOP_SECONDS = 10.0
PASSWORD = "a-password-that-nobody-else-has"


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


def exists(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return said_file(self.data).read_text()

    def endpoints(self) -> dict[str, str | int]:
        path = self.data / "run" / "endpoints.json"
        found: dict[str, str | int] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def wait_until_ready(self) -> None:
        until(lambda: self.endpoints().get("pid") == self.process.pid or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.process.communicate()

    def sessions(self) -> list[tuple[int, str]]:
        """The workers started so far, by process and session."""
        return [(int(words[0]), words[2]) for words in self._noted()]

    def helpers(self) -> list[int]:
        """The processes that workers have started."""
        return [int(words[1]) for words in self._noted()]

    def _noted(self) -> list[list[str]]:
        path = self.data / "sessions"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def released(self) -> list[str]:
        path = self.data / "released"
        return path.read_text().splitlines() if path.exists() else []

    def find(self, part: str) -> int | None:
        """Return the child of the supervisor whose command line holds `part`."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in children.read_text().split() if children.exists() else []:
            try:
                line = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            if part in line:
                return int(pid)
        return None

    def finish(self) -> str:
        """Wait until it has ended and return what it wrote to stderr."""
        return self.process.communicate(timeout=STOP_SECONDS)[1]

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.finish()


def said_file(data: Path) -> Path:
    return data.with_name(data.name + ".out")


def start(data: Path, *arguments: str, **variables: str) -> Up:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPARKOPS_")}
    env |= {"SPARKOPS_DATA_DIR": str(data), "SPARKOPS_PORT": "0", **variables}
    env["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'src'}"
    command = [sys.executable, str(HERE / "children" / "up.py"), *arguments]
    with said_file(data).open("a") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.PIPE, text=True)
    return Up(process, data)


def run_up(data: Path, *arguments: str, **variables: str) -> Iterator[Up]:
    running = start(data, *arguments, **variables)
    running.wait_until_ready()
    yield running
    if running.process.poll() is None:
        running.stop()
    assert not holders(data)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """One of this test's own, to be ended."""
    yield from run_up(tmp_path / "data")


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One for all tests after which it still runs."""
    yield from run_up(tmp_path_factory.mktemp("up") / "data")


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One whose API and workers are forked, with a password in its own environment."""
    yield from run_up(tmp_path_factory.mktemp("forked") / "data", "forked", SPARKOPS_ADMIN_PASSWORD=PASSWORD)


def test_it_says_where_it_is_and_stops_in_time_without_a_trace(up: Up) -> None:
    file = up.data / "run" / "endpoints.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(up.endpoints()["api_url"]) in up.said
    assert re.search(rf"{re.escape(str(up.endpoints()['api_url']))}/setup#[A-Za-z0-9_-]{{43}}\n", up.said)
    assert not (up.data / "first-admin-password.txt").exists(), "nobody is there before the link is used"
    until(lambda: len(up.sessions()) == 2)
    assert (up.stop(), up.process.returncode) == ("", 0)
    assert not holders(up.data)
    assert not any(map(exists, up.helpers()))
    assert not file.exists()


def test_an_impatient_second_signal_changes_nothing(up: Up) -> None:
    up.process.send_signal(signal.SIGINT)
    until(lambda: "Stopping." in up.said)
    up.process.send_signal(signal.SIGINT)
    assert (up.finish(), up.process.returncode) == ("", 0)
    assert not holders(up.data)


def test_killed_itself_it_leaves_no_process(up: Up) -> None:
    until(lambda: len(up.sessions()) == 2)
    assert len(holders(up.data)) > 6
    assert all(map(exists, up.helpers()))
    up.process.kill()
    up.finish()
    until(lambda: not holders(up.data) and not any(map(exists, up.helpers())), seconds=5)


def test_a_guardian_that_was_killed_is_replaced_at_the_next_restart(up: Up) -> None:
    until(lambda: len(up.sessions()) == 2)
    guardian = up.find("guardian.py")
    assert guardian is not None
    os.kill(guardian, signal.SIGKILL)
    os.kill(up.sessions()[0][0], signal.SIGKILL)
    until(lambda: len(up.sessions()) == 3)
    up.process.kill()
    up.finish()
    until(lambda: not holders(up.data) and not any(map(exists, up.helpers())), seconds=5)


def test_a_start_right_after_a_kill_waits_for_the_servers_to_end(up: Up) -> None:
    up.process.kill()
    up.finish()
    again = start(up.data)
    again.wait_until_ready()
    assert (again.stop(), again.process.returncode) == ("", 0)


def test_stopped_while_it_starts_it_leaves_no_process(tmp_path: Path) -> None:
    starting = start(tmp_path / "data")
    until(lambda: starting.find("bin/postgres"))
    assert (starting.stop(), starting.process.returncode) == ("", 0)
    assert not holders(tmp_path / "data")


def test_a_server_that_dies_while_the_installation_is_made_does_not_end_that(tmp_path: Path) -> None:
    starting = start(tmp_path / "data")
    until(lambda: starting.find("sparkops.local.installation"), 30)
    installing, valkey = starting.find("sparkops.local.installation"), starting.find("valkey-server")
    assert installing is not None
    assert valkey is not None
    os.kill(installing, signal.SIGSTOP)
    os.kill(valkey, signal.SIGKILL)
    until(lambda: "Valkey is back." in starting.said or starting.process.poll() is not None)
    with suppress(ProcessLookupError):
        os.kill(installing, signal.SIGCONT)
    starting.wait_until_ready()
    assert (starting.stop(), starting.process.returncode) == ("", 0)


def test_a_second_start_on_the_same_directory_is_refused_in_one_sentence(lasting: Up) -> None:
    second = start(lasting.data)
    assert f"in use by another Spark-Ops (process {lasting.process.pid})" in second.finish()
    assert second.process.returncode != 0
    assert lasting.process.poll() is None


def test_a_dead_worker_is_replaced_and_what_it_held_is_released_at_once(lasting: Up) -> None:
    until(lambda: len(lasting.sessions()) == 2)
    (pid, session), (_, other) = lasting.sessions()
    os.kill(pid, signal.SIGKILL)
    until(lambda: lasting.released() == [session], seconds=2)
    until(lambda: len(lasting.sessions()) == 3)
    assert lasting.sessions()[2][1] not in (session, other)
    assert re.search(
        r"worker-[12] was ended by SIGKILL; it starts again in 0.2 s.\nworker-[12] is back.\n", lasting.said
    )


@pytest.mark.parametrize(
    ("part", "name"), [("bin/postgres", "PostgreSQL"), ("valkey-server", "Valkey"), ("api.py", "api")]
)
def test_every_other_child_comes_back(lasting: Up, part: str, name: str) -> None:
    first = lasting.find(part)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: f"{name} was ended by SIGKILL; it starts again in 0.2 s.\n" in lasting.said)
    until(lambda: f"{name} is back.\n" in lasting.said)
    assert lasting.find(part) not in (None, first)


def test_no_zombie_stays_when_postgres_loses_its_parent_process(lasting: Up) -> None:
    postgres = lasting.find("bin/postgres")
    assert postgres is not None
    os.kill(postgres, signal.SIGKILL)
    until(lambda: lasting.find("bin/postgres") not in (None, postgres))
    children = Path(f"/proc/{lasting.process.pid}/task/{lasting.process.pid}/children").read_text().split()
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in children]
    assert "Z" not in states


async def test_servers_of_somebody_else_are_used_and_left_alone(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path / "theirs") as theirs:
        urls = {"SPARKOPS_DATABASE_URL": theirs.owner_url, "SPARKOPS_REDIS_URL": theirs.redis_url}
        ours = start(tmp_path / "ours", **urls)
        ours.wait_until_ready()
        until(lambda: len(ours.sessions()) == 2)
        assert ours.find("bin/postgres") is None
        os.kill(ours.sessions()[0][0], signal.SIGKILL)
        until(lambda: ours.released() == [ours.sessions()[0][1]], seconds=2)
        assert (ours.stop(), ours.process.returncode) == ("", 0)
        assert theirs.postgres.starts == theirs.valkey.starts == 1


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_system_shows_no_setting_of_the_supervisor_in_the_environment_of_a_forked_door(forked: Up) -> None:
    until(lambda: len(forked.sessions()) >= 2)
    server = forked.find("children.roles")
    assert server is not None
    assert b"SPARKOPS_ADMIN_PASSWORD" in Path(f"/proc/{forked.process.pid}/environ").read_bytes()
    doors = children(server)
    assert len(doors) == 3
    for pid in (server, *doors):
        shown = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"PATH=" in shown
        assert b"SPARKOPS_" not in shown
        assert PASSWORD.encode() not in shown


def test_a_worker_that_cannot_be_forked_is_said_to_be_so_and_tried_again_until_it_can(forked: Up) -> None:
    until(lambda: len(forked.sessions()) >= 2)
    server, workers = forked.find("children.roles"), len(forked.sessions())
    assert server is not None
    before = resource.prlimit(server, resource.RLIMIT_NOFILE)
    resource.prlimit(server, resource.RLIMIT_NOFILE, (4, before[1]))
    os.kill(forked.sessions()[-1][0], signal.SIGKILL)
    log = re.escape(str(forked.data / "logs" / "doors.log"))
    refused = rf"worker-[12] cannot be executed: .*; the fork server's log is {log} .* It is tried again in 0.8 s.\n"
    until(lambda: re.search(refused, forked.said))
    resource.prlimit(server, resource.RLIMIT_NOFILE, before)
    until(lambda: len(forked.sessions()) == workers + 1 and re.search(r"worker-[12] is back.\n", forked.said))
    assert forked.find("children.roles") == server


@pytest.mark.parametrize("program", ["pass", "import os, sys; os.write(int(sys.argv[1]), b'{')"])
async def test_an_installation_that_does_not_say_what_it_made_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(installation, "COMMAND", (sys.executable, "-c", program))
    data = DataDir(tmp_path)
    data.create()
    with pytest.raises(StartError, match="could not be prepared"):
        await installation.make_ready(data, {}, owner_url="", by_link=True, started=lambda _: None)
