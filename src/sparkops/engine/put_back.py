"""T_RELEASE of one step by its worker: it may not go on now, and nobody is to blame."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sparkops.engine.advance import advance_soon
from sparkops.engine.claim import Claim
from sparkops.engine.context import Engine, call

Why = Literal["halted", "no-database", "drained"]


async def put_back(engine: Engine, claim: Claim, results: Sequence[Mapping[str, Any]], why: Why) -> None:
    """Give the step back to the queue: no failure and no crash is counted, and what it sent is recorded.

    Raises:
        Fenced: another attempt has the step.
    """
    answer = await call(
        engine.database.pool, "put_back", {**claim.lease.to_json(), "reason": why, "results": list(results)}
    )
    engine.bell.log_grew(answer["rings"])
    if answer["status"] != "ready":
        await advance_soon(engine, claim.run_id)
