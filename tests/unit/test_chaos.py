"""A campaign tells faults that hit from those that found nothing to hit, and fails where a kind of them never did."""

import os
import signal
from argparse import ArgumentTypeError
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from tests.chaos import faults as module
from tests.chaos.faults import KINDS, Faults, kinds
from tests.chaos.proxy import Proxy
from tests.chaos.verdict import MUST_HAPPEN, not_exercised


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, signal.Signals]]:
    """What processes are sent instead of being killed; nobody waits."""
    found: list[tuple[int, signal.Signals]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    for name in ("AGAIN_SECONDS", "SILENT_SECONDS"):
        monkeypatch.setattr(module, name, 0)
    return found


def faults(pid: int | None) -> Faults:
    """The faults of a platform whose processes all have this number, or are all being started again."""
    child = SimpleNamespace(pid=pid, _launch=SimpleNamespace(tag=str(uuid4())))
    embedded = SimpleNamespace(valkey=child, postgres=child, app_url="")
    stack: Any = SimpleNamespace(workers=[child], api=child, embedded=embedded)
    return Faults(stack, Proxy(0), Random(1), lease_seconds=0, pause=0, say=lambda _: None)


HITTING = ("_kill_worker", "_stop_worker", "_kill_api", "_kill_postgres", "_kill_valkey", "_stop_valkey")


@pytest.mark.parametrize("act", HITTING)
async def test_a_fault_says_whether_there_was_a_process_to_hit(
    act: str, sent: list[tuple[int, signal.Signals]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answers(*_: object) -> None:
        """PostgreSQL is there again."""

    monkeypatch.setattr(Faults, "_until_it_answers", answers)
    assert await getattr(faults(None), act)() is False
    assert sent == []
    struck = faults(7)
    assert await getattr(struck, act)() is True
    assert sent[0][0] == 7
    assert len(struck.kills) == (act == "_kill_worker")


async def test_a_process_that_went_away_was_not_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", gone)
    assert await faults(7)._kill_api() is False


async def test_a_fault_is_tried_again_and_counted_once_it_hits(sent: list[tuple[int, signal.Signals]]) -> None:
    struck, answers = faults(7), [False, False, True]

    async def act() -> bool:
        return answers.pop(0)

    assert await struck._hits(act)
    assert answers == []


async def test_what_found_nothing_to_hit_is_counted_as_missed(
    sent: list[tuple[int, signal.Signals]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(self: Faults) -> bool:
        return False

    for act in (*HITTING, "_flush"):
        monkeypatch.setattr(Faults, act, nothing)
    struck = faults(None)
    await struck.strike(len(KINDS))
    struck.proxy.held_up, struck.proxy.cut["COMMIT"] = 1, 2
    assert struck.hit() == Counter(missed=7, late_prepares=1, lost_answers=2)


def test_a_campaign_of_enough_faults_fails_without_one_of_each_kind() -> None:
    everything = Counter(dict.fromkeys((*MUST_HAPPEN, *KINDS), 1))
    assert not_exercised(everything, 50) == []
    for name in ("api_kills", "valkey_kills", "redis_stalls"):
        lacking = everything - Counter({name: 1})
        assert (not_exercised(lacking, len(KINDS)), not_exercised(lacking, len(KINDS) - 1)) == ([name], [])


async def test_a_campaign_of_some_kinds_strikes_with_those_alone_and_asks_for_those_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hits(self: Faults) -> bool:
        return True

    for act in (*HITTING, "_flush"):
        monkeypatch.setattr(Faults, act, hits)
    struck = replace(faults(7), kinds=("postgres_kills", "redis_flushes"))
    await struck.strike(20)
    assert set(struck.counts) == {"postgres_kills", "redis_flushes"}
    assert struck.counts.total() == 20
    assert not_exercised(struck.counts, 20, only=struck.kinds) == []
    assert not_exercised(Counter(postgres_kills=1), 1, only=struck.kinds) == ["redis_flushes"]


@pytest.mark.parametrize("names", ["postgres_kills,worker_deaths", "", "postgres_kills,"])
def test_kinds_of_faults_that_there_are_not_are_refused(names: str) -> None:
    assert kinds("postgres_kills,redis_flushes") == ("postgres_kills", "redis_flushes")
    with pytest.raises(ArgumentTypeError, match="worker_kills"):
        kinds(names)


def test_each_kind_of_fault_is_one_that_a_campaign_can_order() -> None:
    text = Path(module.__file__).read_text(encoding="utf-8")
    assert all(f'"{name}": self._' in text for name in KINDS)
