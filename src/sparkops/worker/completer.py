"""The ends that gather while one commit is in flight share the next."""

from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from sparkops.core.batching import Batcher
from sparkops.core.errors import SparkOpsError
from sparkops.engine.claim import Claim
from sparkops.engine.complete import Ended, complete
from sparkops.engine.context import Engine, Worker
from sparkops.engine.errors import Fenced, JudgedAnew

log = structlog.get_logger()

MAX_BATCH = 200


class Completer:
    """Records ends that the database can apply alone. One transaction is in flight at a time."""

    def __init__(self, engine: Engine, worker: Worker, room: Callable[[Sequence[UUID]], int]) -> None:
        self._engine = engine
        self._worker = worker
        self._room = room
        self._batcher: Batcher[Ended, Sequence[Claim]] = Batcher(self._complete, limit=MAX_BATCH)

    async def add(self, ended: Ended) -> Sequence[Claim]:
        """Record one end and return the steps that this process has next.

        Raises:
            Fenced: another attempt has the step.
            JudgedAnew: the rules have changed; the attempt must be made again.
            asyncpg.PostgresError, OSError: the outcome is unknown; adding it again finds out.
        """
        return await self._batcher.add(ended)

    async def _complete(self, ends: Sequence[Ended]) -> Sequence[Sequence[Claim] | BaseException]:
        """The first end that is recorded takes all the steps that come next."""
        room = self._room([ended.claim.project_id for ended in ends])
        done = await complete(self._engine, self._worker, ends, claim=room)
        claims: Sequence[Claim] = done.claims
        answers: list[Sequence[Claim] | BaseException] = []
        for ended in ends:
            refusal = _refusal(ended, done.closed, done.stale)
            answers.append(refusal or claims)
            claims = claims if refusal else ()
        if claims:
            log.error("claims.orphaned", count=len(claims))
        return answers


def _refusal(ended: Ended, closed: frozenset[object], stale: frozenset[object]) -> SparkOpsError | None:
    step_id = ended.claim.lease.step_id
    if step_id in stale:
        return JudgedAnew("The rules have changed since the step's call was judged.")
    return None if step_id in closed else Fenced(f"Step {ended.claim.key} was taken over.", where="complete")
