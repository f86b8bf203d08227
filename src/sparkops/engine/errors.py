"""What the protocol's transactions refuse, by the SQLSTATE that the database functions raise."""

import asyncpg

from sparkops.core.errors import Conflict, Forbidden, SparkOpsError
from sparkops.core.json import loads


class Fenced(Conflict):
    """The worker no longer holds the step: it drops what it has, tells nobody and does not retry."""

    code, title = "stale-lease", "The lease is held by another worker or has run out"


class JudgedAnew(SparkOpsError):
    """The end of an attempt noted calls that were judged under rules which have changed: make the attempt again."""

    code, title = "rules-changed", "The rules have changed"


class NonDeterministic(SparkOpsError):
    """A step asks for something else than what an earlier attempt recorded under the same number."""

    code, title = "non-deterministic", "The step does not repeat what it did before"


class WrongEpoch(SparkOpsError):
    """The database was restored or promoted since this worker started; it must restart."""

    code, title = "wrong-epoch", "This worker belongs to another epoch of the database"


class CancelRequested(SparkOpsError):
    """The run was asked to stop: nothing more may be prepared."""

    code, title = "cancel-requested", "The run was asked to stop"


class Halted(SparkOpsError):
    """A stop is in force: nothing is prepared until it is released, and the step goes back to the queue."""

    code, title = "halted", "A stop is in force"


class OverBudget(Forbidden):
    """A budget limits how many runs there are, or what they may be expected to cost: only a raised limit or the next
    period would help. Where it would ask people (`action` is `require_approval`) nobody is told: they are asked."""

    code, title = "budget-exceeded", "A budget has no room for this run"


_BY_SQLSTATE: dict[str, type[SparkOpsError]] = {
    "SF001": Fenced,
    "SF003": NonDeterministic,
    "SF005": WrongEpoch,
    "SF006": CancelRequested,
    "SF007": Halted,
    "SF008": OverBudget,
}


class Refusals:
    """Turns the refusals of a database function into their types, which name it; everything else passes as it is."""

    def __init__(self, function: str) -> None:
        self._function = function

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, asyncpg.PostgresError) and (refusal := _BY_SQLSTATE.get(error.sqlstate or "")):
            told = loads(error.detail) if refusal is OverBudget and error.detail else {"where": self._function}
            raise refusal(error.message or str(error), **told) from None
