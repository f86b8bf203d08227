"""Processes that are forked from one that has loaded everything: what they are given, and with whom they end."""

import asyncio
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from sparkops.core.forkserver import client
from sparkops.core.forkserver.client import AVAILABLE, Forked
from sparkops.local.child import Child, ChildPlan, ChildState
from sparkops.local.errors import StartError
from sparkops.local.forks import Forks
from sparkops.local.process import Launch, ended
from sparkops.worker.helper import Helper
from tests.local.children.roles import MODULE
from tests.local.test_child import gone

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="this system has no fork server")

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}


def started_with(directory: Path, *options: str) -> Forks:
    return Forks((sys.executable, "-m", MODULE, *options), directory / "forks.log", env=ENV, keep_open=())


@pytest.fixture
def forks(tmp_path: Path) -> Iterator[Forks]:
    made = started_with(tmp_path)
    made.begin()
    yield made
    made.end()


def launch(log: Path, *arguments: str, **variables: str) -> Launch:
    return Launch(argv=(sys.executable, "-m", MODULE, *arguments), log=log, env={**ENV, **variables})


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def said(log: Path) -> str:
    return log.read_text() if log.exists() else ""


async def told(forks: Forks, log: Path, **variables: str) -> tuple[dict[str, Any], int]:
    code = await ended(await forks.spawn(launch(log, "tell", "one", "two words", **variables)))
    found: dict[str, Any] = json.loads(said(log))
    return found, code


def children(pid: int | None) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def descriptors(pid: int | None) -> list[str]:
    """What a process has open."""
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed just now
            found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def lets_go_of_all(pid: int | None) -> bool:
    """Whether a server holds nothing for those that were ordered: of sockets it has only that over which we order."""
    held = descriptors(pid)
    return sum(each.startswith("socket:") for each in held) == 1 and "anon_inode:[pidfd]" not in held


@contextmanager
def standing_still(pid: int | None) -> Iterator[None]:
    """Keep a process from doing anything; it goes on afterwards, if it still lives."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def room_for(free: int, pid: int | None) -> Iterator[None]:
    """Let a process open so many descriptors and no more."""
    assert pid is not None
    taken = {int(number) for number in os.listdir(f"/proc/{pid}/fd")}
    limit = [number for number in range(1_000) if number not in taken][free]
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


async def test_a_forked_process_has_what_it_was_given_and_nothing_of_its_server(forks: Forks, tmp_path: Path) -> None:
    others = [await forks.spawn(launch(tmp_path / f"{number}", "sleep")) for number in range(3)]
    found, code = await told(forks, tmp_path / "log", CODE="7", WORD="käse")
    assert code == 7
    assert found["arguments"] == ["one", "two words"]
    assert found["environment"] == {**ENV, "CODE": "7", "WORD": "käse"}
    assert found["input"] == ""
    assert found["leads"]
    assert found["name"] == MODULE[:15]
    assert found["descriptors"] == 5  # input, output, errors, its own way to the server, and the one that lists them
    for other in others:
        other.kill()
        other.wait()


async def test_two_of_them_share_no_chance(forks: Forks, tmp_path: Path) -> None:
    found = [(await told(forks, tmp_path / f"{number}.log"))[0] for number in range(4)]
    assert len({each["random"] for each in found}) == 4
    assert len({each["id"][-12:] for each in found}) == 4


async def test_how_it_ended_is_known_and_signals_reach_it_only_while_it_lives(forks: Forks, tmp_path: Path) -> None:
    one = await forks.spawn(launch(tmp_path / "log", "sleep"))
    assert isinstance(one, Forked)
    await until(lambda: said(tmp_path / "log"))
    assert one.poll() is None
    one.send_signal(signal.SIGUSR1)
    assert await ended(one) == -signal.SIGUSR1 == one.poll() == one.wait()
    one.kill()
    assert gone(one.pid)


@pytest.mark.parametrize("gives_up", [False, True])
async def test_its_end_may_be_looked_for_while_somebody_waits_for_it(
    forks: Forks, tmp_path: Path, *, gives_up: bool
) -> None:
    one = await forks.spawn(launch(tmp_path / "log", "sleep"))
    waiting = asyncio.create_task(ended(one))
    await until(lambda: said(tmp_path / "log"))
    one.kill()
    while one.poll() is None:
        time.sleep(0.001)  # noqa: ASYNC251
    if gives_up:
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
    else:
        assert await waiting == -signal.SIGKILL


async def test_a_server_that_dies_takes_its_processes_along_and_the_next_comes_from_another(
    forks: Forks, tmp_path: Path
) -> None:
    one, before = await forks.spawn(launch(tmp_path / "log", "sleep")), forks.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert await ended(one) == -signal.SIGKILL
    await until(lambda: gone(one.pid))
    found, _ = await told(forks, tmp_path / "next.log")
    assert found["arguments"]
    assert forks.pid not in (None, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_who_asks_all_processes_to_end_ends_those_that_were_forked_and_not_the_server_under_them(
    forks: Forks, tmp_path: Path, number: signal.Signals
) -> None:
    log, server = tmp_path / "log", forks.pid
    assert server is not None
    one, other = [await forks.spawn(launch(tmp_path / name, "sleep")) for name in ("log", "other")]
    await until(lambda: said(log) and said(tmp_path / "other"))
    os.kill(server, number)
    one.send_signal(number)
    await ended(one)
    assert (await told(forks, tmp_path / "next.log"))[1] == 0
    assert forks.pid == server
    assert other.poll() is None
    other.kill()
    other.wait()


async def test_what_a_forked_process_orders_ends_with_it(forks: Forks, tmp_path: Path) -> None:
    log = tmp_path / "log"
    one = await forks.spawn(launch(log, "order"))
    await until(lambda: len(said(log).split()) == 2)
    ordered = int(next(word for word in said(log).split() if word.isdigit()))
    assert not gone(ordered)
    one.kill()
    await ended(one)
    await until(lambda: gone(ordered))


async def test_the_end_of_the_server_is_the_end_of_all(forks: Forks, tmp_path: Path) -> None:
    ones = [await forks.spawn(launch(tmp_path / f"{number}", "sleep")) for number in range(2)]
    forks.end()
    assert [await ended(one) for one in ones] == [-signal.SIGKILL] * 2


async def test_an_order_that_nobody_waits_for_leaves_no_process(forks: Forks, tmp_path: Path) -> None:
    log, server = tmp_path / "log", forks.pid
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    with suppress(TimeoutError):
        await asyncio.wait_for(forks.spawn(launch(log, "sleep")), 0.2)
    os.kill(server, signal.SIGCONT)
    await told(forks, tmp_path / "next.log")
    await until(lambda: children(server) == [])


async def seen(one: Forked) -> int:
    """Look until it has ended."""
    while (code := one.poll()) is None:
        await asyncio.sleep(0.01)
    return code


async def waited_for(one: Forked) -> int:
    return await asyncio.to_thread(one.wait)


@pytest.mark.parametrize("way", [seen, waited_for, ended])
async def test_an_end_is_known_though_the_server_stands_still(
    forks: Forks, tmp_path: Path, way: Callable[[Forked], Awaitable[int]]
) -> None:
    one = await forks.spawn(launch(tmp_path / "log", "sleep"))
    assert isinstance(one, Forked)
    await until(lambda: said(tmp_path / "log"))
    with standing_still(forks.pid):
        one.kill()
        assert await asyncio.wait_for(way(one), 10) == -signal.SIGKILL == one.poll()
    assert (await told(forks, tmp_path / "next.log"))[1] == 0


async def test_the_end_of_a_helper_holds_nobody_up_though_its_server_stands_still(forks: Forks, tmp_path: Path) -> None:
    one = await forks.spawn(launch(tmp_path / "log", "sleep"))
    assert isinstance(one, Forked)
    source, lifeline = os.pipe()
    os.close(source)
    helper, turns = Helper(one, lifeline), 0
    with standing_still(forks.pid):
        ending = asyncio.create_task(helper.end())
        while not ending.done():
            await asyncio.sleep(0.01)
            turns += 1
    assert ending.result() == -signal.SIGKILL
    assert turns > 10


async def test_a_server_that_does_not_answer_is_ended_and_the_next_order_goes_to_another(
    forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = forks.pid
    one = await forks.spawn(launch(tmp_path / "log", "sleep"))
    with standing_still(before), monkeypatch.context() as patch:
        patch.setattr(client, "ANSWER_SECONDS", 0.2)
        with pytest.raises(OSError, match="did not answer in time"):
            await forks.spawn(launch(tmp_path / "refused.log", "sleep"))
    assert await ended(one) == -signal.SIGKILL
    assert (await told(forks, tmp_path / "next.log"))[1] == 0
    assert forks.pid != before


async def test_orders_that_a_server_does_not_take_hold_nobody_up(forks: Forks, tmp_path: Path) -> None:
    await told(forks, tmp_path / "first.log")
    with standing_still(forks.pid):
        orders = [asyncio.create_task(forks.spawn(launch(tmp_path / "log", "sleep"))) for _ in range(40)]
        _, waiting = await asyncio.wait(orders, timeout=0.3)
        assert len(waiting) == len(orders)
    made = await asyncio.gather(*orders)
    assert len({one.pid for one in made}) == len(orders)
    for one in made:
        one.kill()
        await ended(one)


async def test_who_gives_up_while_the_answer_is_on_its_way_leaves_no_process(forks: Forks, tmp_path: Path) -> None:
    await told(forks, tmp_path / "first.log")
    ordering = asyncio.create_task(forks.spawn(launch(tmp_path / "log", "sleep")))
    await asyncio.sleep(0)
    while not said(tmp_path / "log"):
        time.sleep(0.001)  # noqa: ASYNC251 -- nobody is to read the answer
    ordering.cancel()
    await asyncio.wait([ordering])
    assert ordering.cancelled()
    await until(lambda: children(forks.pid) == [])


async def test_a_server_without_descriptors_refuses_orders_and_says_why(forks: Forks, tmp_path: Path) -> None:
    await told(forks, tmp_path / "first.log")
    server, outcomes = forks.pid, []
    await until(lambda: lets_go_of_all(server))
    open_before = len(descriptors(server))
    for free in range(9):
        with room_for(free, server):
            try:
                one = await forks.spawn(launch(tmp_path / f"{free}.log", "sleep"))
            except OSError as error:
                outcomes.append(str(error.strerror).partition(";")[0])
            else:
                outcomes.append("made")
                one.kill()
                await ended(one)
        await until(lambda: lets_go_of_all(server))
        assert (forks.pid, children(server), len(descriptors(server))) == (server, [], open_before)
    assert outcomes[0] == "the fork server has ended, or could not take the order"
    assert set(outcomes[1:-1]) == {"Too many open files", "made"}
    assert outcomes[-1] == "made"
    assert (await told(forks, tmp_path / "next.log"))[1] == 0
    assert forks.pid == server


async def test_why_a_child_could_not_be_forked_is_said_with_the_log_of_the_server(
    forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told(forks, tmp_path / "first.log")
    child = Child(ChildPlan("it", launch=lambda: launch(tmp_path / "log", "sleep"), spawn=forks.spawn), lambda _: None)
    log = tmp_path / "forks.log"
    with room_for(3, forks.pid), pytest.raises(StartError) as refused:
        await child.start()
    assert refused.value.detail.startswith(
        f"it cannot be executed: Too many open files; the fork server's log is {log}"
    )
    with standing_still(forks.pid), monkeypatch.context() as patch:
        patch.setattr(client, "ANSWER_SECONDS", 0.2)
        with pytest.raises(StartError, match=f"did not answer in time; .* {log}"):
            await child.start()
    await child.start()
    assert child.state is ChildState.RUNNING
    await child.stop()


async def test_a_server_with_a_second_thread_refuses_to_fork(tmp_path: Path) -> None:
    forks = started_with(tmp_path, "--thread")
    with pytest.raises(OSError, match="fork server has ended"):
        await forks.spawn(launch(tmp_path / "log", "tell"))
    assert "a module has started a thread" in said(tmp_path / "forks.log")
    forks.end()


async def test_a_child_that_was_forked_is_started_again_when_it_dies_and_when_its_server_does(
    forks: Forks, tmp_path: Path
) -> None:
    lines: list[str] = []
    child = Child(
        ChildPlan(name="it", launch=lambda: launch(tmp_path / "log", "sleep"), spawn=forks.spawn), lines.append
    )
    await child.start()

    async def killed(number: int | None, starts: int) -> None:
        assert number is not None
        os.kill(number, signal.SIGKILL)
        await until(lambda: child.starts == starts and child.state is ChildState.RUNNING)

    await killed(child.pid, starts=2)
    await killed(forks.pid, starts=3)
    await child.stop()
    assert child.pid is None
    assert [line for line in lines if "back" in line] == ["it is back.", "it is back."]
