"""What a transaction of the registry is, and what several of them ask of a case."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sparkops.engine.context import Engine
from tests.crash.interleavings.cases import Case

Act = Callable[[Engine, Case], Awaitable[Any]]


async def _nothing(case: Case) -> None: ...


async def _no_more(case: Case, said: Any) -> None: ...


async def _true(case: Case, said: Any) -> str | None:
    return None


@dataclass(frozen=True)
class Transaction:
    """`act` does the one transaction on the engine it is given, and returns what its caller then knows. It raises what
    the product raises. `then` is what the caller goes on to do once it knows; a caller that died does not. `ready`
    arranges what the transaction needs beyond the prepared case, once however often it is asked. `repeats` says that
    the product does it again after an error; what is not repeated is left to lapse. `kept` returns what became untrue
    of an answer that a caller saw.
    """

    name: str
    act: Act
    repeats: bool
    then: Callable[[Case, Any], Awaitable[None]] = _no_more
    ready: Callable[[Case], Awaitable[None]] = _nothing
    kept: Callable[[Case, Any], Awaitable[str | None]] = _true
    after: Callable[[Case], Awaitable[None]] = _nothing
    """What must not hold up the cases that follow is taken back."""
    late: bool = False
    """`ready` holds the run back, and comes after that of the other."""


async def was_cancelled(case: Case) -> bool:
    query = "SELECT cancel_requested_at IS NOT NULL FROM runs WHERE id = $1"
    return bool(await case.value(query, case.run_id))


async def status_of(case: Case, key: str) -> str:
    """The status of a step of the workflow itself."""
    return str(await case.value("SELECT status FROM steps WHERE run_id = $1 AND path = $2", case.run_id, key))
