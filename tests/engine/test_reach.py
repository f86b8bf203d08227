"""The second wall of what the engine writes itself, without row-level security: each of its use cases asks once more,
in the statement that finds what it is about, whether who asks may do this there (`Principal.reach`). A key is narrower
than its owner, who is a member of the project in every test here."""

import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest

from sparkops import engine as package
from sparkops.core.errors import Forbidden, NotFound, SparkOpsError
from sparkops.core.ids import new_id
from sparkops.core.permissions import Permission, Role
from sparkops.core.principal import Principal
from sparkops.domains.budgets.definition import NewBudget, Terms
from sparkops.domains.runs.state import SourceKind
from sparkops.engine.accept import RunRequest, accept_run
from sparkops.engine.answer import answer_approval, discuss, reassign
from sparkops.engine.budgets import archive_budget, change_budget, define_budget
from sparkops.engine.cancel import cancel_run
from sparkops.engine.draft import Rerun
from sparkops.engine.events import NewEvent, receive_event
from sparkops.engine.halts import HaltOrder, Kind, Scope, order_halt, release_halt
from sparkops.engine.pause import pause_run, resume_run
from sparkops.engine.removal import ask_deletion, cancel_deletion
from sparkops.engine.rerun import start_rerun
from sparkops.engine.rerun_plan import plan_rerun
from sparkops.engine.resolve import Answer, Resolution, resolve_step
from tests.engine.conftest import World
from tests.engine.tenants import another
from tests.engine.test_consent import held_call


@dataclass(frozen=True)
class Subjects:
    """What there is to act on in the project."""

    run_id: UUID
    step_id: UUID
    approval_id: UUID
    workflow_id: UUID
    halt_id: UUID
    budget_id: UUID


Act = Callable[[World, Principal, Subjects], Awaitable[object]]
FORK = Rerun(SourceKind.FORK, "only")
RESOLUTION = Resolution(Answer.FAIL, "asked", new_id())
STATED = NewBudget.model_validate({"name": "more", "scope": "project", "period": "month", "limit_calls": 5})
TERMS = Terms(name="calls", limit_calls=7)
EVENT = NewEvent("e-1", "paid", None)
DAY = timedelta(days=1)


def pausing(scope: Scope, scope_id: UUID) -> HaltOrder:
    return HaltOrder(Kind.PAUSE, scope, scope_id, "rest")


USE_CASES: Mapping[str, tuple[Permission, Act]] = {
    "accept_run": (
        Permission.RUN_CREATE,
        lambda w, who, s: accept_run(w.engine, who, RunRequest(w.project_id, "one")),
    ),
    "plan_rerun": (Permission.RUN_READ, lambda w, who, s: plan_rerun(w.engine, who, s.run_id, FORK)),
    "start_rerun": (Permission.RUN_CREATE, lambda w, who, s: start_rerun(w.engine, who, s.run_id, FORK)),
    "pause_run": (Permission.RUN_CONTROL, lambda w, who, s: pause_run(w.engine, who, s.run_id)),
    "resume_run": (Permission.RUN_CONTROL, lambda w, who, s: resume_run(w.engine, who, s.run_id)),
    "resolve_step": (
        Permission.RUN_RESOLVE,
        lambda w, who, s: resolve_step(w.engine, who, s.run_id, s.step_id, RESOLUTION),
    ),
    "receive_event": (Permission.EVENT_SEND, lambda w, who, s: receive_event(w.engine, who, w.project_id, EVENT)),
    "discuss": (Permission.APPROVAL_DISCUSS, lambda w, who, s: discuss(w.engine, who, s.approval_id, "which?")),
    "reassign": (
        Permission.APPROVAL_ANSWER,
        lambda w, who, s: reassign(w.engine, who, s.approval_id, to="operator"),
    ),
    "answer_approval": (
        Permission.APPROVAL_ANSWER,
        lambda w, who, s: answer_approval(w.engine, who, s.approval_id, approve=True, comment=None),
    ),
    "cancel_run": (Permission.RUN_CONTROL, lambda w, who, s: cancel_run(w.engine, who, s.run_id)),
    "order_halt": (
        Permission.HALT_ORDER,
        lambda w, who, s: order_halt(w.engine, who, pausing(Scope.PROJECT, w.project_id)),
    ),
    "order_halt of a workflow": (
        Permission.HALT_ORDER,
        lambda w, who, s: order_halt(w.engine, who, pausing(Scope.WORKFLOW, s.workflow_id)),
    ),
    "release_halt": (Permission.HALT_ORDER, lambda w, who, s: release_halt(w.engine, who, s.halt_id)),
    "define_budget": (
        Permission.BUDGET_MANAGE,
        lambda w, who, s: define_budget(w.engine, who, w.project_id, STATED),
    ),
    "change_budget": (Permission.BUDGET_MANAGE, lambda w, who, s: change_budget(w.engine, who, s.budget_id, TERMS)),
    "archive_budget": (Permission.BUDGET_MANAGE, lambda w, who, s: archive_budget(w.engine, who, s.budget_id)),
    "ask_deletion": (
        Permission.PROJECT_DELETE,
        lambda w, who, s: ask_deletion(w.engine, who, project_id=w.project_id, reason="over", delay=DAY),
    ),
    "cancel_deletion": (
        Permission.PROJECT_DELETE,
        lambda w, who, s: cancel_deletion(w.engine, who, project_id=w.project_id),
    ),
}
"""In an order in which each leaves something to the next."""
WITHOUT = {
    "draft_run": "is what `plan_rerun` and `start_rerun` do with what they have found",
    "find_source": "is what `plan_rerun` and `start_rerun` look with",
    "labels_of": "finds nothing",
    "every_place": "is for administrators of the installation, which no key is; tests/api/test_backtests_everywhere.py",
    "redrive": "is for administrators of the installation, which no key is: `needs(installation:manage)`",
}


def test_every_use_case_of_the_engine_that_somebody_asks_for_is_tried_here() -> None:
    found = set()
    for module in pkgutil.iter_modules(package.__path__):
        for name, function in inspect.getmembers(import_module(f"sparkops.engine.{module.name}"), inspect.isfunction):
            asked = "principal" in inspect.signature(function).parameters and not name.startswith("_")
            if asked and function.__module__.startswith("sparkops.engine."):
                found.add(name)
    assert found == {name.partition(" ")[0] for name in USE_CASES} | WITHOUT.keys()


async def made(world: World) -> Subjects:
    """A run with a question, a halt that is over, and a budget, all of ada's project, which is not her only one."""
    held, approval_id = await held_call(world)
    order = await order_halt(world.engine, world.ada, pausing(Scope.PROJECT, world.project_id))
    await release_halt(world.engine, world.ada, order.halt_id)
    budget = STATED.model_copy(update={"name": "calls"})
    pool = world.database.pool
    return Subjects(
        held.run_id,
        held.lease.step_id,
        approval_id,
        await pool.fetchval("SELECT workflow_id FROM runs WHERE id = $1", held.run_id),
        order.halt_id,
        await define_budget(world.engine, world.ada, world.project_id, budget),
    )


async def everything(world: World) -> list[Any]:
    """What these use cases write."""
    tables = ("runs", "halts", "budget_definitions", "approvals", "approval_messages", "received_events", "audit")
    found = []
    for table in (*tables, "project_deletions"):
        found.append(await world.database.pool.fetch(f"SELECT * FROM {table} ORDER BY id"))
    return found


async def refused(world: World, who: Principal, act: Act, subjects: Subjects) -> bool:
    try:
        await act(world, who, subjects)
    except (NotFound, Forbidden):
        return True
    except SparkOpsError:
        return False
    return False


@pytest.mark.parametrize("narrow", ["another project", "every other scope", "another role"])
async def test_who_may_not_do_it_there_finds_nothing_though_the_owner_of_the_key_may(world: World, narrow: str) -> None:
    subjects, other = await made(world), await another(world)
    keys: Mapping[str, Callable[[Permission], Principal]] = {
        "another project": lambda _: replace(other.ada, places={other.project_id: other.ada.places[other.project_id]}),
        "every other scope": lambda needed: replace(world.ada, scopes=frozenset(Permission) - {needed}),
        "another role": lambda needed: replace(
            world.ada, places={id_: replace(place, role=Role.VIEWER) for id_, place in world.ada.places.items()}
        ),
    }
    before, let_through = await everything(world), []
    for name, (needed, act) in USE_CASES.items():
        if narrow == "another role" and needed is Permission.RUN_READ:
            continue
        if not await refused(world, keys[narrow](needed), act, subjects):
            let_through.append(name)
    assert not let_through
    assert await everything(world) == before


async def test_the_same_is_done_for_who_may(world: World) -> None:
    subjects = await made(world)
    await world.sql("UPDATE memberships SET role = 'owner'")
    stopped = [name for name, (_, act) in USE_CASES.items() if await refused(world, world.ada, act, subjects)]
    assert stopped == [
        "reassign",
        "answer_approval",
    ]  # who started the run is no approver of it; what they may not is another test's
