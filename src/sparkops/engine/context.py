"""What the engine works with: the database, the doorbell, and how long a lease lasts. Doors build it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypedDict
from uuid import UUID

import asyncpg

from sparkops.core.batching import Act, Batcher
from sparkops.core.config import DEFAULT_RUN_BUDGET_MICROS
from sparkops.core.db import Database
from sparkops.core.errors import SparkOpsError
from sparkops.core.json import Json
from sparkops.core.origin import origin
from sparkops.core.payloads import Payloads
from sparkops.domains.policies.facts import Subject
from sparkops.engine.errors import Refusals
from sparkops.engine.versions import GraphCache

ACCEPT_BATCH = 100
PREPARE_BATCH = 50

Together = Callable[[Sequence[Mapping[str, Any]]], Awaitable[Sequence[Mapping[str, Any]]]]


class Ring(TypedDict):
    """A run's log has grown up to `seq`."""

    run_id: str
    project_id: str
    seq: int


class Bell(Protocol):
    """Tells others that there is something to look at. May lose anything; never raises, never waits."""

    def work(self, queue: str) -> None:
        """A queue has work: wake its workers."""
        ...

    def log_grew(self, rings: Sequence[Ring]) -> None:
        """Logs have grown: wake who is watching."""
        ...


class SilentBell:
    """Rings nowhere. Everything still happens, by the polls, about a second later."""

    def work(self, queue: str) -> None: ...

    def log_grew(self, rings: Sequence[Ring]) -> None: ...


class Judge(Protocol):
    """The rules of one project, under one stamp."""

    @property
    def version(self) -> int: ...

    def judges(self, subject: Subject) -> bool:
        """Say whether anything on this subject has to be judged; if not, all of it is allowed."""
        ...

    def to_read(self, subject: Subject, known: Mapping[str, Json]) -> frozenset[str]:
        """Return the facts that a decision needs and that have to be read first."""
        ...

    def judge(self, subject: Subject, name: str | None, known: Mapping[str, Json]) -> dict[str, Any]:
        """Judge one thing by these facts; the answer has what `engine.decide` takes."""
        ...


class Policies(Protocol):
    """The rules of all projects, as a process knows them."""

    async def get(self, project_id: UUID, stamp: int = 0, on: "Connection | None" = None) -> Judge:
        """Return the rules of a project, those of this stamp or later ones."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """What every use case of this floor takes first."""

    database: Database
    bell: Bell
    lease: timedelta = timedelta(seconds=15)
    run_budget_micros: int = DEFAULT_RUN_BUDGET_MICROS
    graphs: GraphCache = field(default_factory=GraphCache)
    payloads: Payloads = field(default_factory=Payloads)
    """The way to large values; a process that was given none cannot read or write them."""
    policies: Policies | None = None
    """By which runs are judged; a process that was given none leaves what has to be judged to others."""
    accepts: "Batcher[Mapping[str, Any], Mapping[str, Any]]" = field(init=False, repr=False, compare=False)
    """Runs on their way into the database: what is asked for meanwhile shares the next transaction."""

    prepares: "Batcher[Mapping[str, Any], Mapping[str, Any]]" = field(init=False, repr=False, compare=False)
    """The same for turns of steps that are about to do something, project by project: none waits for another's."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "accepts", Batcher(_each_where_refused(self._accept), limit=ACCEPT_BATCH))
        object.__setattr__(self, "prepares", Batcher(_each_where_refused(self._prepare), limit=PREPARE_BATCH))

    async def _accept(self, documents: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        answers: Sequence[Mapping[str, Any]] = await call(self.database.pool, "accept_all", list(documents))
        return answers

    async def _prepare(self, documents: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        answer = await call(self.database.pool, "prepare", list(documents))
        self.bell.log_grew(answer["rings"])
        answers: Sequence[Mapping[str, Any]] = answer["answers"]
        return answers


def _each_where_refused(act: Together) -> Act[Mapping[str, Any], Mapping[str, Any]]:
    """Return `act` as it acts on each document alone where the database refuses them together.

    Nothing was written then, and what is wrong with one document is not its neighbours'.
    """

    async def acted(documents: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any] | BaseException]:
        try:
            return await act(documents)
        except asyncpg.PostgresConnectionError:
            raise
        except (SparkOpsError, asyncpg.PostgresError) as error:
            return [error] if len(documents) == 1 else [(await acted([document]))[0] for document in documents]

    return acted


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process as the database knows it. `epoch` was read when it started."""

    session_id: UUID
    epoch: UUID
    queues: tuple[str, ...]


class Connection(Protocol):
    """What this floor asks of asyncpg: a connection within a transaction, or a pool, whose calls are one each."""

    async def fetchval(self, query: str, *args: object) -> Any: ...

    async def fetchrow(self, query: str, *args: object) -> Any: ...

    async def fetch(self, query: str, *args: object) -> list[Any]: ...


async def call(on: Connection, function: str, *args: object) -> Any:
    """Run one database function and return its JSON. On a pool it is a transaction of its own.

    Within a request the function knows where it comes from, for the audit trail.

    Raises:
        Fenced, NonDeterministic, WrongEpoch, CancelRequested, Halted: as the function says.
    """
    marks = ", ".join(f"${position}" for position in range(1, len(args) + 1))
    # lint: allow sql-text -- names of functions stand in the code
    statement = f"SELECT engine.{function}({marks})"
    asked = origin()
    if asked is not None:  # a function in FROM is called before those of the result
        statement += f" FROM set_config('sparkops.origin', ${len(args) + 1}, true)"
        args = (*args, asked.as_text())
    with Refusals(function):
        return await on.fetchval(statement, *args)
