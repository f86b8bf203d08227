"""The outbox: events of runs on their way to parts that subscribed to them, at least once each.

An entry is written in the transaction of the event that it tells of. Its stable id is (subscription, run_id, seq): who
gets it twice knows by that. The entries of one run are handed out in the order of `seq`, but that is no promise: two
workers deliver side by side, and what failed comes later.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sparkops.core.errors import Conflict, Invalid, NotFound
from sparkops.core.principal import Principal
from sparkops.engine.context import Engine, Worker, call

MAX_ATTEMPTS = 20
"""With pauses up to five minutes: more than an hour, in which a receiver may be away."""
EVERYTHING = ("*",)

_KIND = re.compile(r"\*|[a-z_]+\.(\*|[a-z_]+)")
_SUBSCRIBE = """
INSERT INTO subscriptions (name, kinds, project_id) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET kinds = excluded.kinds, project_id = excluded.project_id, active = true
WHERE (subscriptions.kinds, subscriptions.project_id, subscriptions.active)
      IS DISTINCT FROM (excluded.kinds, excluded.project_id, true)
"""


class NotDead(Conflict):
    code, title = "not-dead", "Only what was given up can be sent again"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event for one subscription. `attempt` counts from 1."""

    id: UUID
    project_id: UUID
    run_id: UUID
    seq: int
    kind: str
    payload: Mapping[str, Any]
    attempt: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries in the hands of this process, until the lease ends; `token` fences who comes too late."""

    token: UUID
    entries: Sequence[Entry]
    dead: Sequence[UUID]
    """Entries that were given up instead: the process died at each attempt."""


async def subscribe(engine: Engine, name: str, kinds: Sequence[str], *, project_id: UUID | None = None) -> None:
    """From now on every event of these kinds gets an entry under this name; repeating changes nothing.

    A kind is `step.failed`, a whole group `step.*`, or everything `*`. `project_id` None: of all projects.

    Raises:
        Invalid: a kind is not one, or there is none.
    """
    wrong = [kind for kind in kinds if not _KIND.fullmatch(kind)]
    if wrong or not kinds:
        raise Invalid(f"Kinds of events look like run.failed, step.* or *; not {', '.join(wrong) or 'nothing'}.")
    await engine.database.pool.execute(_SUBSCRIBE, name, list(kinds), project_id)


async def unsubscribe(engine: Engine, name: str) -> None:
    """No more entries under this name, and none of those that wait is handed out until it subscribes again."""
    await engine.database.pool.execute("UPDATE subscriptions SET active = false WHERE name = $1 AND active", name)


async def claim_entries(
    engine: Engine,
    worker: Worker,
    name: str,
    *,
    limit: int,
    lease: timedelta,
    max_attempts: int = MAX_ATTEMPTS,
) -> Batch:
    """Take up to `limit` due entries of a subscription for so long, the oldest first.

    Raises:
        WrongEpoch: the worker must stop.
    """
    answer = await call(engine.database.pool, "claim_outbox", name, limit, lease, worker.epoch, max_attempts)
    entries = [
        Entry(
            id=UUID(data["id"]),
            project_id=UUID(data["project_id"]),
            run_id=UUID(data["run_id"]),
            seq=data["seq"],
            kind=data["kind"],
            payload=data["payload"],
            attempt=data["attempt"],
        )
        for data in answer["entries"]
    ]
    return Batch(UUID(answer["token"]), entries, [UUID(entry_id) for entry_id in answer["dead"]])


async def delivered(engine: Engine, batch: Batch) -> int:
    """Record that the entries have arrived, and return for how many that counts: the others were taken over."""
    answer = await call(engine.database.pool, "close_outbox", batch.token, _ids(batch), None, MAX_ATTEMPTS)
    return int(answer["closed"])


async def failed(
    engine: Engine, batch: Batch, error: Mapping[str, Any], *, max_attempts: int = MAX_ATTEMPTS
) -> Sequence[UUID]:
    """Record that nobody knows whether the entries have arrived: they are due again after a pause.

    Returns those that were given up instead.
    """
    answer = await call(engine.database.pool, "close_outbox", batch.token, _ids(batch), dict(error), max_attempts)
    return [UUID(entry_id) for entry_id in answer["dead"]]


def _ids(batch: Batch) -> list[UUID]:
    return [entry.id for entry in batch.entries]


async def redrive(engine: Engine, principal: Principal, entry_id: UUID) -> None:
    """Send an entry again that was given up, with all its attempts; the audit says who wanted it.

    Raises:
        NotFound: there is none.
        NotDead: it has been delivered, or is on its way.
    """
    was = await call(engine.database.pool, "redrive", entry_id, principal.user_id)
    if was is None:
        raise NotFound("There is no such outbox entry here.")
    if was != "dead":
        raise NotDead(f"It is {was}.", status_now=was)


async def prune(engine: Engine, limit: int) -> int:
    """Remove up to `limit` entries that were delivered more than a day ago; return how many."""
    return int(await call(engine.database.pool, "prune_outbox", limit))
