"""Plays one interleaving: A is held open or has ended when B comes, and A ends in one of four ways."""

import asyncio
from enum import StrEnum
from typing import Any

import asyncpg

from sparkops.core.errors import SparkOpsError
from tests.crash.interleavings.cases import Case, of_pool
from tests.crash.interleavings.transaction import Transaction
from tests.engine.conftest import on_connection


class Order(StrEnum):
    WITHIN = "within"
    """B starts before A has committed."""
    AFTER = "after"


class Ending(StrEnum):
    COMMIT = "commit"
    ROLLBACK = "rollback"
    CUT_BEFORE = "cut before commit"
    CUT_AFTER = "cut after commit"
    """It is committed, and its caller sees an error."""


_BUSY = """
SELECT count(*) FILTER (WHERE wait_event_type = 'Lock') FROM pg_stat_activity WHERE datname = current_database()
"""
PATIENCE_SECONDS = 10


async def play(case: Case, a: Transaction, b: Transaction, order: Order, ending: Ending) -> None:
    """Let the two happen, and what their callers do afterwards. Whatever was promised is in `case.said`."""
    for each in sorted(dict.fromkeys((a, b)), key=lambda each: each.late):
        await each.ready(case)
    pool = case.world.database.pool
    connection = await pool.acquire()
    try:
        transaction = connection.transaction()
        await transaction.start()
        first = await _attempt(case, a, on_connection(case.world.engine, connection))
        other: asyncio.Task[None] | None = None
        if order is Order.WITHIN:
            other = asyncio.create_task(_alone(case, b, "B"))
            await _settled(case, other)
        await _end(case, connection, transaction, ending)
    finally:
        await pool.release(connection)
    if ending is Ending.COMMIT:
        await _learn(case, a, "A", first)
    if other is None:
        other = asyncio.create_task(_alone(case, b, "B"))
    await other
    if ending is not Ending.COMMIT and a.repeats:
        await _alone(case, a, "A")


async def _attempt(case: Case, which: Transaction, engine: Any) -> Any:
    try:
        return await which.act(engine, case)
    except SparkOpsError as refused:
        return refused
    except asyncpg.PostgresError as refused:
        if refused.sqlstate != "SF002":  # a listed refusal of the triggers: recorded twice
            raise
        return refused


async def _learn(case: Case, which: Transaction, who: str, answer: Any) -> None:
    if isinstance(answer, Exception):
        return
    case.said[who] = answer
    await which.then(case, answer)


async def _alone(case: Case, which: Transaction, who: str) -> None:
    await _learn(case, which, who, await _attempt(case, which, of_pool(case)))


async def _settled(case: Case, other: "asyncio.Task[None]") -> None:
    """Return once B is done or waits for what A holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not other.done() and not await case.value(_BUSY):
            await asyncio.sleep(0.002)


async def _end(case: Case, connection: Any, transaction: Any, ending: Ending) -> None:
    if ending in (Ending.COMMIT, Ending.CUT_AFTER):
        await transaction.commit()
    elif ending is Ending.ROLLBACK:
        await transaction.rollback()
    if ending in (Ending.CUT_BEFORE, Ending.CUT_AFTER):
        ended = await case.value("SELECT pg_terminate_backend($1, 5000)", connection.get_server_pid())
        assert ended, "the connection could not be cut"
