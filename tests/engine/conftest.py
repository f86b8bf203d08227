"""A project with people, workflows and agents, and a worker whose loop runs in the test's own event loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.db import Database
from sparkops.core.ids import new_id
from sparkops.core.json import digest
from sparkops.core.payloads import Payloads
from sparkops.core.permissions import Role
from sparkops.core.principal import Place, Principal
from sparkops.domains.agents.models import Agent, AgentVersion
from sparkops.domains.identity.models import Membership, User
from sparkops.domains.policies.models import PolicyStamp
from sparkops.domains.policies.service import change_policy
from sparkops.domains.projects.models import Project
from sparkops.domains.workflows.definition import parse_definition
from sparkops.domains.workflows.models import Workflow, WorkflowVersion
from sparkops.engine.accept import Accepted, RunRequest, accept_run
from sparkops.engine.claim import Claim, claim, claim_isolated, isolated_steps_wait
from sparkops.engine.context import Connection, Engine, SilentBell, Worker
from sparkops.engine.diagnosis import examine
from sparkops.engine.invariants import INVARIANTS, audit
from sparkops.runtime.attempt import Runtime
from sparkops.runtime.llm.registry import Models
from sparkops.runtime.policies import PolicyCache
from sparkops.runtime.tools.base import Tool
from sparkops.runtime.tools.registry import builtin_tools
from sparkops.worker.isolated import IsolatedLoop
from sparkops.worker.loop import WorkerLoop, open_worker
from tests.locks import someone_waits
from tests.tiers import WHOLE

LIMIT_SECONDS = 30.0
"""More than any condition takes on a busy machine; a test that waits for longer has found something."""


AUDIT_SECONDS = 600.0
"""What each rule may take after a long test."""

_MANY_STEPS = "SELECT EXISTS (SELECT FROM steps OFFSET 1000)"
"""Says whether rules need another plan than the one their connection remembers from tests of a few rows."""


class NoViewer:
    async def text(self, run_id: UUID, step_id: UUID, call_id: UUID, offset: int, text: str) -> None: ...


@dataclass
class World:
    """One project. `ada` starts runs, `ben` answers questions, `eve` has just been taken out of it."""

    engine: Engine
    project_id: UUID
    ada: Principal
    ben: Principal
    eve: Principal
    blobs: Blobs
    settings: Settings
    models: Models
    tools: dict[str, Tool] = field(default_factory=builtin_tools)

    @property
    def database(self) -> Database:
        return self.engine.database

    async def workflow(self, source: str) -> str:
        """Store a workflow and return its name."""
        definition = parse_definition(source, agents=None, tools=None)
        workflow_id = new_id()
        async with self.database.sessions.begin() as session:
            await session.execute(
                insert(Workflow).values(
                    id=workflow_id, project_id=self.project_id, name=definition.name, latest_version=1
                )
            )
            await session.execute(
                insert(WorkflowVersion).values(
                    id=new_id(),
                    project_id=self.project_id,
                    workflow_id=workflow_id,
                    version=1,
                    source=source,
                    definition=dict(definition.document),
                    digest=digest(source),
                )
            )
        return definition.name

    async def agent(self, name: str, definition: Mapping[str, Any]) -> None:
        agent_id = new_id()
        async with self.database.sessions.begin() as session:
            await session.execute(
                insert(Agent).values(id=agent_id, project_id=self.project_id, name=name, latest_version=1)
            )
            await session.execute(
                insert(AgentVersion).values(
                    id=new_id(),
                    project_id=self.project_id,
                    agent_id=agent_id,
                    version=1,
                    definition=dict(definition),
                    digest=digest(dict(definition)),
                )
            )

    async def rules(self, *rules: Mapping[str, Any]) -> None:
        """Replace the rules that the project keeps as a plain list."""
        async with self.database.sessions.begin() as session:
            await change_policy(session, self.ada, project_id=self.project_id, rules=[dict(rule) for rule in rules])

    async def accept(self, workflow: str, **request: Any) -> Accepted:
        return await accept_run(self.engine, self.ada, RunRequest(self.project_id, workflow, **request))

    async def run(self, workflow: str, **request: Any) -> UUID:
        return (await self.accept(workflow, **request)).run_id

    def with_lease(self, *, seconds: float) -> "World":
        """The same world with another lease, for tests that must see one run out."""
        return replace(self, engine=replace(self.engine, lease=timedelta(seconds=seconds)))

    def runtime(self) -> Runtime:
        return Runtime(
            self.engine,
            self.settings,
            self.blobs,
            self.models,
            self.tools,
            PolicyCache(self.database),
            NoViewer(),
        )

    async def worker(self, slots: int = 10) -> Worker:
        return await open_worker(self.engine, new_id(), ["run"], slots)

    async def work(
        self,
        until: Callable[[], Awaitable[bool]],
        *,
        slots: int = 10,
        runtime: Runtime | None = None,
        seconds: float = LIMIT_SECONDS,
    ) -> None:
        """Run a worker until the condition holds, for half a minute at most where nothing else is said."""
        runtime = runtime or self.runtime()
        loop = WorkerLoop(
            runtime, await self.worker(slots), slots=slots, drain_seconds=1, companions=[IsolationHere(runtime)]
        )
        running = asyncio.create_task(loop.run())
        try:
            async with asyncio.timeout(seconds):
                while not await until():
                    assert not running.done(), "the worker stopped"
                    await asyncio.sleep(0.02)
        finally:
            loop.drain()
            await running

    async def work_until(
        self, run_id: UUID, *statuses: str, runtime: Runtime | None = None, seconds: float = LIMIT_SECONDS
    ) -> None:
        """Run a worker until the run has one of these statuses, or any final one."""
        wanted = set(statuses) or {"succeeded", "failed", "cancelled", "denied"}

        async def reached() -> bool:
            return (await self.status(run_id)) in wanted

        await self.work(reached, runtime=runtime, seconds=seconds)

    async def claims(self, worker: Worker, limit: int = 1) -> list[Claim]:
        """Claim as a process for isolated steps does, and what is left as any worker does."""
        claims = await claim_isolated(self.engine, worker, limit=limit, empty=True)
        return claims + (await claim(self.engine, worker, limit=limit - len(claims)) if len(claims) < limit else [])

    async def claimed(self, run_id: UUID) -> tuple[Worker, Claim]:
        """Claim the one ready step there is, and check that it belongs to this run."""
        worker = await self.worker()
        (held,) = await self.claims(worker)
        assert held.run_id == run_id
        return worker, held

    @asynccontextmanager
    async def transaction(self, *, commit: bool = True) -> AsyncIterator[Engine]:
        """An engine whose use cases all run in one open transaction, which ends with the block."""
        async with self.database.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield on_connection(self.engine, connection)
            except BaseException:
                await transaction.rollback()
                raise
            await (transaction.commit() if commit else transaction.rollback())

    async def reaches(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Return once the condition holds; fail after half a minute."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while not await condition():
                await asyncio.sleep(0.01)

    async def blocked(self, act: Awaitable[Any]) -> "asyncio.Task[Any]":
        """Start this, and return once it waits for a lock that somebody else holds."""
        task = asyncio.ensure_future(act)
        while not await self.someone_waits():
            assert not task.done(), "it did not have to wait"
            await asyncio.sleep(0.005)
        return task

    async def someone_waits(self) -> bool:
        """Say whether a connection to this database waits for a lock."""
        return await someone_waits(self.database.pool)

    async def sql(self, statement: str, *values: object) -> str:
        """Execute under the role of the application."""
        return str(await self.database.pool.execute(statement, *values))

    async def lapse(self, step_id: UUID) -> None:
        """Let the lease of a step have run out."""
        await self.sql(
            "UPDATE steps SET lease_expires_at = clock_timestamp() - interval '1 second' WHERE id = $1", step_id
        )

    async def status(self, run_id: UUID) -> str:
        return str(await self.database.pool.fetchval("SELECT status FROM runs WHERE id = $1", run_id))

    async def row(self, run_id: UUID) -> Mapping[str, Any]:
        return dict(await self.database.pool.fetchrow("SELECT * FROM runs WHERE id = $1", run_id))

    async def steps(self, run_id: UUID) -> dict[str, Mapping[str, Any]]:
        rows = await self.database.pool.fetch("SELECT * FROM steps WHERE run_id = $1 ORDER BY position", run_id)
        return {row["node_key"]: dict(row) for row in rows}

    async def calls(self, run_id: UUID) -> list[Mapping[str, Any]]:
        rows = await self.database.pool.fetch("SELECT * FROM calls WHERE run_id = $1 ORDER BY step_id, seq", run_id)
        return [dict(row) for row in rows]

    async def kinds(self, run_id: UUID) -> list[str]:
        rows = await self.database.pool.fetch("SELECT seq, kind FROM events WHERE run_id = $1 ORDER BY seq", run_id)
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1)), "the log has a gap"
        return [row["kind"] for row in rows]


@dataclass(frozen=True)
class IsolationHere:
    """Runs isolated steps one at a time in this process, where production starts one for them."""

    runtime: Runtime

    async def run(self, draining: asyncio.Event) -> None:
        engine = self.runtime.engine
        worker = Worker(new_id(), await engine.database.pool.fetchval("SELECT epoch FROM system"), ("run",))
        while not draining.is_set():
            if await isolated_steps_wait(engine, worker):
                await self._drained_with(draining, IsolatedLoop(self.runtime, worker, drain_seconds=1))
            await asyncio.sleep(0.05)

    async def _drained_with(self, draining: asyncio.Event, alone: IsolatedLoop) -> None:
        told = asyncio.create_task(draining.wait())
        told.add_done_callback(lambda _: alone.drain())
        await alone.run()
        told.cancel()


@dataclass(frozen=True)
class _OneConnection:
    """What use cases take for a pool, so that several of them share one transaction."""

    connection: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        yield self.connection


def on_connection(engine: Engine, connection: Connection) -> Engine:
    """Return this engine with every statement on one connection."""
    database = engine.database
    pool: Any = _OneConnection(connection)
    return replace(engine, database=replace(database, pool=pool))


def person_of(
    name: str, *project_ids: UUID, user_id: UUID | None = None, role: Role = Role.OWNER, is_admin: bool = False
) -> Principal:
    """Somebody whom a door found to be something in these projects; who they are by now, the database says."""
    places = {id_: Place(id_, "lab", role) for id_ in project_ids}
    return Principal(user_id or new_id(), f"{name}@example.com", name, is_admin=is_admin, places=places)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    project_id = new_id()
    people = ada, ben, eve = [person_of(name, project_id) for name in ("ada", "ben", "eve")]
    async with database.sessions.begin() as session:
        await session.execute(insert(Project).values(id=project_id, slug="lab", name="Lab"))
        for person in people:
            await session.execute(
                insert(User).values(id=person.user_id, email=person.email, name=person.name, password_hash="-")
            )
        for person in people[:2]:
            await session.execute(
                insert(Membership).values(project_id=project_id, user_id=person.user_id, role="operator")
            )
        await session.execute(insert(PolicyStamp).values(scope_id=project_id, version=1))
    settings = Settings(data_dir=tmp_path)
    async with Models(settings) as models:
        blobs = Blobs.in_directory(settings.blob_dir)
        engine = Engine(database, SilentBell(), payloads=Payloads(blobs), policies=PolicyCache(database))
        yield World(engine, project_id, ada, ben, eve, blobs, settings, models)


@pytest.fixture(autouse=True)
async def audited(world: World) -> AsyncIterator[None]:
    """Whatever a test did, the invariants hold afterwards."""
    yield
    if WHOLE or await world.database.pool.fetchval(_MANY_STEPS):  # a rule may take longer than a statement may
        findings = await examine(world.database, seconds=AUDIT_SECONDS)
        names = {invariant.name for invariant in INVARIANTS}
        assert [each for each in findings if each.name in names and not each.ok] == []
        return
    broken = await audit(world.database.pool)
    assert not broken, "\n".join(f"{each.invariant.name}: {each.rows}" for each in broken)
