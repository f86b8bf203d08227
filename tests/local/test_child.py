"""One supervised process, with small programs in the place of servers."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sparkops.local.child import BACKOFF_FIRST_SECONDS, CHILD_MACHINE, Child, ChildPlan, ChildState
from sparkops.local.errors import StartError
from sparkops.local.process import Launch

SLEEP = "import time; time.sleep(600)"


class Stage:
    """Makes children of one test and ends them all with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lines: list[str] = []
        self.ended: list[Launch] = []
        self.children: list[Child] = []

    def child(self, program: str, **plan: object) -> Child:
        launch = Launch(argv=(sys.executable, "-c", program), log=self.directory / "child.log", env=dict(os.environ))
        given = ChildPlan(name="it", launch=lambda: launch, ended=self.ended.append, **plan)  # type: ignore[arg-type]
        self.children.append(Child(given, self.lines.append))
        return self.children[-1]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    for child in stage.children:
        await child.stop()


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def test_every_state_of_a_child_can_be_reached_and_left() -> None:
    assert set(CHILD_MACHINE) == set(ChildState)
    assert set().union(*CHILD_MACHINE.values()) == set(ChildState)
    assert all(CHILD_MACHINE.values())


async def test_a_child_that_dies_is_started_again_and_it_is_said(stage: Stage) -> None:
    child = stage.child(SLEEP)
    await child.start()
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: child.starts == 2 and child.state is ChildState.RUNNING)
    assert child.pid not in (None, first)
    assert stage.lines == ["it was ended by SIGKILL; it starts again in 0.2 s.", "it is back."]
    assert len(stage.ended) == 1


async def test_the_pause_before_a_restart_doubles(stage: Stage) -> None:
    child = stage.child("raise SystemExit(3)")
    await child.start()
    await until(lambda: child.starts == 4)
    pauses = [line.rpartition(" in ")[2] for line in stage.lines if "starts again" in line]
    assert pauses[:3] == ["0.2 s.", "0.4 s.", "0.8 s."]
    assert pauses[0] == f"{BACKOFF_FIRST_SECONDS:g} s."


async def test_a_child_that_cannot_start_says_its_last_words(stage: Stage) -> None:
    async def never() -> bool:
        return False

    child = stage.child("raise SystemExit('the reason')", answers=never)
    with pytest.raises(StartError, match=r"it ended with exit code 1 at its start: the reason \(log: .*child\.log\)"):
        await child.start()
    assert child.state is ChildState.STOPPED


async def test_a_child_that_stays_silent_is_ended(stage: Stage) -> None:
    async def never() -> bool:
        return False

    child = stage.child(SLEEP, answers=never, start_seconds=0.3)
    with pytest.raises(StartError, match="did not answer within"):
        await child.start()
    assert child.pid is None


async def test_stop_takes_no_longer_than_planned_and_ends_what_ignores_it(stage: Stage) -> None:
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); " + SLEEP
    child = stage.child(program, stop=((signal.SIGTERM, 0.3),))
    await child.start()
    await until(lambda: "deaf" in (stage.directory / "child.log").read_text())
    pid, started = child.pid, time.monotonic()
    await child.stop()
    assert 0.3 <= time.monotonic() - started < 2
    assert pid is not None
    assert gone(pid)


async def test_what_a_child_started_ends_with_it(stage: Stage) -> None:
    program = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid, flush=True); "
    child = stage.child(program + SLEEP)
    await child.start()
    log = stage.directory / "child.log"
    await until(lambda: log.exists() and log.read_text().strip())
    grandchild = int(log.read_text())
    assert not gone(grandchild)
    await child.stop()
    await until(lambda: gone(grandchild))


async def test_a_stopped_child_stays_stopped(stage: Stage) -> None:
    child = stage.child("raise SystemExit(3)")
    await child.start()
    await until(lambda: child.state is ChildState.BACKING_OFF)
    await child.stop()
    starts = child.starts
    await asyncio.sleep(2 * BACKOFF_FIRST_SECONDS)
    assert (child.state, child.starts) == (ChildState.STOPPED, starts)
