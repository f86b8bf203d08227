"""One supervised child process: started, watched, started again when it dies, stopped for good.

stopped ─start─▶ starting ─answers─▶ running ─dies─▶ backing_off ─▶ starting …
                    │                    │                │
                    └──── stop, or the first start fails ─┴─▶ stopping ─▶ stopped
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from sparkops.core.transitions import Machine
from sparkops.local.errors import StartError, full_disk
from sparkops.local.process import Launch, Process, ended, kill_group, last_line, spawn

BACKOFF_FIRST_SECONDS = 0.2
BACKOFF_MOST_SECONDS = 10.0
STABLE_SECONDS = 10.0
"""A child that ran this long starts its backoff anew when it dies."""
POLL_SECONDS = 0.02

Say = Callable[[str], None]
"""Tells a person one line."""


class ChildState(StrEnum):
    STOPPED = "stopped"
    """No process, and none is wanted."""
    STARTING = "starting"
    """The process exists but has not answered yet."""
    RUNNING = "running"
    """It has answered."""
    BACKING_OFF = "backing_off"
    """It died and is started again after a pause."""
    STOPPING = "stopping"
    """It was told to end."""


CHILD_MACHINE: Machine[ChildState] = {
    ChildState.STOPPED: frozenset({ChildState.STARTING}),
    ChildState.STARTING: frozenset({ChildState.RUNNING, ChildState.BACKING_OFF, ChildState.STOPPING}),
    ChildState.RUNNING: frozenset({ChildState.BACKING_OFF, ChildState.STOPPING}),
    ChildState.BACKING_OFF: frozenset({ChildState.STARTING, ChildState.STOPPING}),
    ChildState.STOPPING: frozenset({ChildState.STOPPED}),
}


def _no_matter(_: int) -> None:
    return None


async def _at_once() -> bool:
    return True


def _nothing(_: Launch) -> None:
    return None


async def _executed(launch: Launch) -> Process:
    return spawn(launch)


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """What a child is. `launch` is asked anew before each start; `ended` runs after each end of its process."""

    name: str
    launch: Callable[[], Launch]
    spawn: Callable[[Launch], Awaitable[Process]] = _executed
    answers: Callable[[], Awaitable[bool]] = _at_once
    started: Callable[[int], None] = _no_matter
    """Told the number of each new process, which is also that of its group."""
    ended: Callable[[Launch], None] = _nothing
    stop: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 5.0),)
    """Signals in turn, each with the seconds it may take; after the last comes SIGKILL."""
    start_seconds: float = 30.0


class Child:
    """Keeps one process alive from `start` to `stop`."""

    def __init__(self, plan: ChildPlan, say: Say) -> None:
        self.plan = plan
        self.state = ChildState.STOPPED
        self.starts = 0
        self.failure: StartError | None = None
        """Why it ended last, with the last line of its log; None while it never did."""
        self._say = say
        self._process: Process | None = None
        self._launch: Launch | None = None
        self._log_start = 0
        self._started_at = 0.0
        self._delay = BACKOFF_FIRST_SECONDS
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the living process, or None."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def _move(self, to: ChildState) -> None:
        if to not in CHILD_MACHINE[self.state]:
            raise RuntimeError(f"{self.plan.name} cannot go from {self.state} to {to}")
        self.state = to

    async def start(self) -> None:
        """Start the process, wait until it answers, and keep it alive from then on.

        Raises:
            StartError: it ended or stayed silent; the sentence holds the last line of its log.
        """
        try:
            await self._bring_up()
        except BaseException:
            await self.stop()
            raise
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.plan.name}")

    async def _bring_up(self) -> None:
        launch = self.plan.launch()
        with suppress(FileNotFoundError):
            self._log_start = launch.log.stat().st_size
        self._move(ChildState.STARTING)
        self._launch, self._started_at = launch, time.monotonic()
        try:
            self._process = await self.plan.spawn(launch)
        except OSError as error:
            reason = error.strerror or error
            raise StartError(f"{self.plan.name} cannot be executed: {reason} ({launch.argv[0]}).") from None
        self.starts += 1
        self.plan.started(self._process.pid)
        await self._first_answer(self._process)
        self._move(ChildState.RUNNING)

    async def _first_answer(self, process: Process) -> None:
        deadline = self._started_at + self.plan.start_seconds
        while not await self.plan.answers():
            if (code := process.poll()) is not None:
                raise self._failure(f"{describe_exit(code)} at its start")
            if time.monotonic() > deadline:
                raise self._failure(f"did not answer within {self.plan.start_seconds:g} s")
            await asyncio.sleep(POLL_SECONDS)

    def _failure(self, what: str) -> StartError:
        if self._launch is None:
            return StartError(f"{self.plan.name} {what}.")
        line = last_line(self._launch.log, self._log_start)
        if "No space left on device" in line:
            return full_disk(self._launch.log)
        return StartError(f"{self.plan.name} {what}" + (f": {line}" if line else "") + f" (log: {self._launch.log}).")

    async def _keep(self) -> None:
        while True:
            await self._wait_for_end()
            while not await self._come_back():
                pass

    async def _wait_for_end(self) -> None:
        process = self._process
        if process is None:
            return
        code = await ended(process)
        if time.monotonic() - self._started_at > STABLE_SECONDS:
            self._delay = BACKOFF_FIRST_SECONDS
        self._move(ChildState.BACKING_OFF)
        self.failure = self._failure(describe_exit(code))
        self._say(f"{self.plan.name} {describe_exit(code)}; it starts again in {self._delay:g} s.")
        await self._bury()

    async def _come_back(self) -> bool:
        await asyncio.sleep(self._delay)
        self._delay = min(2 * self._delay, BACKOFF_MOST_SECONDS)
        try:
            await self._bring_up()
        except StartError as error:
            self._move(ChildState.BACKING_OFF)
            await self._end_process(((signal.SIGKILL, 1.0),))
            self._say(f"{error.detail} It is tried again in {self._delay:g} s.")
            return False
        self._say(f"{self.plan.name} is back.")
        return True

    async def stop(self) -> None:
        """End the process and keep it ended; at the latest when the seconds of its plan are over."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        if self.state is ChildState.STOPPED:
            return
        self._move(ChildState.STOPPING)
        await self._end_process(self.plan.stop)
        self._move(ChildState.STOPPED)

    async def _end_process(self, signals: Sequence[tuple[signal.Signals, float]]) -> None:
        process = self._process
        if process is None:
            return
        for number, seconds in signals:
            process.send_signal(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(ended(process), seconds)
                break
        await self._bury()

    async def _bury(self) -> None:
        """Kill what the process left behind, wait until it is gone, and tell its planner, once."""
        process, launch = self._process, self._launch
        if process is None or launch is None:
            return
        self._process = None
        kill_group(process.pid)
        await ended(process)
        self.plan.ended(launch)


async def together(*starts: Coroutine[None, None, None]) -> None:
    """Run several starts at once; if one fails the others are given up.

    Raises:
        StartError: the first that failed.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except* StartError as errors:
        first = errors.exceptions[0]
    else:
        return
    raise first


def describe_exit(code: int) -> str:
    """Say how a process ended."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
