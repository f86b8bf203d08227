"""A worker that does not hear from the database writes again for as long as it may believe that it has the step."""

import time

import asyncpg
import pytest

from sparkops.engine.errors import Fenced
from sparkops.runtime import trust
from sparkops.runtime.trust import Trust

SILENCES = [
    TimeoutError(),
    ConnectionResetError(),
    asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
    asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
    asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    asyncpg.InterfaceError("connection is closed"),
]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "RETRY_SECONDS", 0)


@pytest.mark.parametrize("silence", SILENCES, ids=lambda silence: type(silence).__name__)
async def test_what_may_be_repeated_is_repeated_when_the_database_is_silent(silence: Exception) -> None:
    told = []

    async def write(again: bool) -> str:
        told.append(again)
        if not again:
            raise silence
        return "written"

    assert await Trust(until=time.monotonic() + 60).insist(write) == "written"
    assert told == [False, True]


async def test_nothing_is_repeated_after_the_lease_may_have_run_out() -> None:
    async def write(_again: bool) -> None:
        raise TimeoutError

    with pytest.raises(Fenced, match="ran out while the database did not answer"):
        await Trust(until=0).insist(write)


async def test_what_the_database_refuses_is_not_repeated() -> None:
    told = []

    async def write(again: bool) -> None:
        told.append(again)
        raise asyncpg.UniqueViolationError("duplicate key")

    with pytest.raises(asyncpg.UniqueViolationError):
        await Trust(until=time.monotonic() + 60).insist(write)
    assert told == [False]
