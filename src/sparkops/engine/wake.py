"""T_WAKE: steps whose awaited thing is there become ready. Twice is harmless; the sweep repairs what died."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import structlog

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.failpoints import failpoint
from sparkops.engine.context import Engine, call

log = structlog.get_logger()

WAKE_BATCH = 50
"""Runs that one transaction of waking may hold."""
DUE_BATCH = 200

Kind = Literal["run", "event", "frames", "budget"]

_UNWOKEN = "SELECT step_id, kind FROM engine.unwoken($1)"


async def wake_steps(engine: Engine, steps: Sequence[UUID], kind: Kind) -> int:
    """Make those of these steps ready that wait for something of this kind. Returns how many did."""
    woken = 0
    for start in range(0, len(steps), WAKE_BATCH):
        answer = await call(engine.database.pool, "wake_steps", list(steps[start : start + WAKE_BATCH]), kind)
        failpoint("after_wake")
        engine.bell.log_grew(answer["rings"])
        woken += answer["ready"]
    if woken:
        engine.bell.work("run")
    return woken


async def wake_parents(engine: Engine, steps: Sequence[str]) -> None:
    """Wake the steps whose sub-workflows have ended. Never raises: what was committed before stays, and so does its
    answer; the sweep wakes the steps if this could not."""
    if not steps:
        return
    failpoint("before_wake")
    try:
        await wake_steps(engine, [UUID(step) for step in steps], "run")
    except LOST_CONNECTION as error:
        log.warning("wake.failed", error=str(error) or type(error).__name__)


async def wake_due(engine: Engine) -> int:
    """Make steps ready whose time has come, up to one batch. Returns how many."""
    answer = await call(engine.database.pool, "wake_due", DUE_BATCH)
    failpoint("after_wake_due")
    engine.bell.log_grew(answer["rings"])
    if answer["ready"]:
        engine.bell.work("run")
    woken: int = answer["ready"]
    return woken


async def wake_forgotten(engine: Engine) -> int:
    """Make steps ready whose awaited thing came, but whose waker died. Returns how many."""
    rows = await engine.database.pool.fetch(_UNWOKEN, WAKE_BATCH)
    kinds: tuple[Kind, ...] = ("run", "frames", "budget")
    return sum(
        [await wake_steps(engine, [row["step_id"] for row in rows if row["kind"] == kind], kind) for kind in kinds]
    )
