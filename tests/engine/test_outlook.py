"""People who are asked about a write to a database see what it would do; nothing of it is done before they agree."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.config import Settings
from sparkops.core.redaction import SEEN
from sparkops.domains.effects.state import EffectClass
from sparkops.engine.answer import answer_approval
from sparkops.engine.effects import note_outlook
from sparkops.engine.halts import HaltOrder, Kind, Scope, order_halt
from sparkops.local.stack import EmbeddedServers
from sparkops.runtime.attempt import execute
from sparkops.runtime.outlook import Outlook, Rows
from sparkops.runtime.steps.base import Waiting
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from sparkops.runtime.trust import Trust
from tests.engine.conftest import World
from tests.engine.test_consent import edit, person
from tests.runtime.bank import PASSWORD, Bank, opened_bank

ASK: Mapping[str, Any] = {
    "name": "writes",
    "on": ["tool.call"],
    "tools": ["sql.execute", "look"],
    "effect": "require_approval",
    "reason": "Somebody looks at it first.",
    "approval": {"may_edit": True},
}
CLOSE = """
version: 1
name: close
steps:
  - id: write
    type: tool
    tool: sql.execute
    with: {connection: bank, sql: "UPDATE accounts SET closed = true WHERE id <= $1", parameters: [4]}
"""
LOOK = """
version: 1
name: look
steps:
  - {id: write, type: tool, tool: look}
"""


@pytest.fixture
async def bank(postgres_server: EmbeddedServers) -> AsyncIterator[Bank]:
    async with opened_bank(postgres_server) as made:
        yield made


def with_bank(world: World, bank: Bank, **limits: Any) -> World:
    connection = {"url": bank.url, "write": True, "projects": ["*"], **limits}
    given = {"data_dir": world.settings.data_dir, "connections": {"bank": connection}}
    return replace(world, settings=Settings.model_validate(given))


async def question(world: World, run_id: UUID) -> Mapping[str, Any]:
    """Work until the run waits for people, and return what they are asked."""

    async def waiting() -> bool:
        return str((await world.steps(run_id))["write"]["status"]) == "waiting"

    await world.work(waiting)
    return dict(await world.database.pool.fetchrow("SELECT * FROM approvals WHERE status = 'pending'"))


async def agree(world: World, asked: Mapping[str, Any]) -> None:
    await answer_approval(world.engine, world.ben, UUID(str(asked["id"])), approve=True, comment=None)


def looking(look: Any) -> Tool:
    """A tool that tells beforehand what `look` gives."""

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return ToolResult("done")

    return Tool("look", "Looks.", {"type": "object"}, EffectClass.UNSAFE, run, preview=look)


async def test_a_write_is_shown_before_consent_and_done_after_it(world: World, bank: Bank) -> None:
    world = with_bank(world, bank)
    await world.rules(ASK)
    before = await bank.state()
    run_id = await world.run(await world.workflow(CLOSE))
    asked = await question(world, run_id)
    outlook = asked["outlook"]
    assert outlook["what"] == "Update public.accounts"
    assert outlook["rows"] == {"count": 4, "basis": "exact", "why": None}
    assert any("accounts" in line for line in outlook["plan"])
    assert (outlook["request_hash"], asked["revision"]) == (asked["request_hash"], 1)
    assert outlook["made_at"]
    assert PASSWORD not in str(asked)
    assert await bank.state() == before
    await agree(world, asked)
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert (call["status"], call["response"]["affected"], call["sends"]) == ("done", 4, 1)
    assert await bank.value("SELECT count(*) FROM accounts WHERE closed AND id <= 4") == 4


async def test_what_a_rule_denies_is_not_looked_at_and_what_is_allowed_neither(world: World) -> None:
    looks: list[str] = []

    async def look(arguments: Mapping[str, Any], context: ToolContext) -> Outlook:
        looks.append("looked")
        return Outlook("Look", Rows(1, "exact"))

    world.tools["look"] = looking(look)
    name = await world.workflow(LOOK)
    await world.work_until(await world.run(name))
    await world.rules({**ASK, "effect": "deny", "approval": None})
    await world.work_until(await world.run(name))
    assert looks == []
    await world.rules(ASK)
    await question(world, await world.run(name))
    assert looks == ["looked"]


async def test_it_is_looked_once_the_question_stands_and_not_again_when_people_have_agreed(world: World) -> None:
    seen: list[str] = []

    async def look(arguments: Mapping[str, Any], context: ToolContext) -> Outlook:
        seen.append(await world.database.pool.fetchval("SELECT status FROM calls WHERE id = $1", context.call_id))
        return Outlook("Look", Rows(1, "exact"))

    world.tools["look"] = looking(look)
    await world.rules(ASK)
    run_id = await world.run(await world.workflow(LOOK))
    await agree(world, await question(world, run_id))
    await world.work_until(run_id)
    assert seen == ["waiting_approval"]
    assert await world.status(run_id) == "succeeded"


async def test_a_worker_that_dies_while_it_looks_is_followed_by_one_that_looks_again(world: World) -> None:
    looking_now, looked_again, looks = asyncio.Event(), asyncio.Event(), 0

    async def look(arguments: Mapping[str, Any], context: ToolContext) -> Outlook:
        nonlocal looks
        looks += 1
        looking_now.set()
        if looks == 1:  # for as long as the other one has not looked
            await looked_again.wait()
        looked_again.set()
        return Outlook(f"Look {looks}", Rows(None, "unknown", "it is a test"))

    world.tools["look"] = looking(look)
    await world.rules(ASK)
    run_id = await world.run(await world.workflow(LOOK))

    async def lost() -> bool:
        if looks == 1 and looking_now.is_set():
            looking_now.clear()
            await world.lapse((await world.steps(run_id))["write"]["id"])
        return str((await world.steps(run_id))["write"]["status"]) == "waiting"

    await world.work(lost)
    asked = dict(await world.database.pool.fetchrow("SELECT * FROM approvals"))
    assert (asked["outlook"]["what"], looks) == ("Look 2", 2)


# Where an approver has changed the request


def echo(then: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None) -> Tool:
    """A tool that tells its arguments beforehand, after `then`."""

    async def look(arguments: Mapping[str, Any], context: ToolContext) -> Outlook:
        if then is not None:
            await then(arguments)
        return Outlook(f"Look at {arguments.get('n')}", Rows(1, "exact"))

    return looking(look)


async def change(world: World, asked: Mapping[str, Any], arguments: Mapping[str, Any], tool: Tool) -> str:
    """Let ben make these arguments of it, and agree to them; returns the digest of his request."""
    wanted = edit(arguments, tool=tool.name, tool_hash=tool.hash)
    shown = asked["edited_hash"] or asked["request_hash"]
    await answer_approval(world.engine, world.ben, asked["id"], approve=True, comment=None, shown=shown, edit=wanted)
    return wanted.request_hash


async def looked_at(world: World, run_id: UUID, request_hash: str) -> Mapping[str, Any]:
    """Work until people are told what this request would do, and the step waits for them; returns the question."""

    async def told() -> bool:
        row = await world.database.pool.fetchrow(_TOLD, run_id)
        return row is not None and (row["of"], row["status"]) == (request_hash, "waiting")

    await world.work(told)
    return dict(await world.database.pool.fetchrow("SELECT * FROM approvals WHERE run_id = $1", run_id))


_TOLD = """
SELECT a.outlook ->> 'request_hash' AS of, s.status FROM approvals a JOIN steps s ON s.id = a.step_id
 WHERE a.run_id = $1
"""
BOTH: Mapping[str, Any] = {**ASK, "approval": {"may_edit": True, "quorum": 2}}


async def test_an_edit_is_looked_at_before_others_agree_to_it_and_nothing_is_done(world: World, bank: Bank) -> None:
    world, cyd = with_bank(world, bank), await person(world, "cyd")
    await world.rules(BOTH)
    before = await bank.state()
    run_id = await world.run(await world.workflow(CLOSE))
    asked = await question(world, run_id)
    arguments = {**asked["proposed_request"]["arguments"], "parameters": [2]}
    changed = await change(world, asked, arguments, world.tools["sql.execute"])
    again = await looked_at(world, run_id, changed)
    assert (again["id"], again["status"], again["outlook"]["rows"]["count"]) == (asked["id"], "pending", 2)
    assert await bank.state() == before
    await answer_approval(world.engine, cyd, again["id"], approve=True, comment=None, shown=changed)
    await world.work_until(run_id)
    (call,) = await world.calls(run_id)
    assert (call["status"], call["response"]["affected"], call["sends"]) == ("done", 2, 1)


async def test_an_edit_back_to_what_was_proposed_is_looked_at_too(world: World) -> None:
    world.tools["look"] = echo()
    await world.rules(BOTH)
    run_id = await world.run(await world.workflow(LOOK))
    asked = await question(world, run_id)
    again = await looked_at(world, run_id, await change(world, asked, {"n": 2}, world.tools["look"]))
    assert again["outlook"]["what"] == "Look at 2"
    await person_changes_back(world, again)
    assert (await looked_at(world, run_id, asked["request_hash"]))["outlook"]["what"] == "Look at None"


async def person_changes_back(world: World, asked: Mapping[str, Any]) -> None:
    cyd = await person(world, "cyd", "owner")
    back = edit({}, tool="look", tool_hash=world.tools["look"].hash)
    await answer_approval(
        world.engine, cyd, asked["id"], approve=True, comment=None, shown=asked["edited_hash"], edit=back
    )


async def test_an_edit_that_comes_while_the_worker_looks_is_looked_at_afterwards(world: World) -> None:
    hashes: list[str] = []

    async def then(arguments: Mapping[str, Any]) -> None:
        if not hashes:
            asked = await world.database.pool.fetchrow("SELECT * FROM approvals")
            hashes.append(await change(world, asked, {"n": 2}, world.tools["look"]))

    world.tools["look"] = echo(then)
    await world.rules(BOTH)
    run_id = await world.run(await world.workflow(LOOK))

    async def changed() -> bool:
        return bool(hashes)

    await world.work(changed)
    assert (await looked_at(world, run_id, hashes[0]))["outlook"]["what"] == "Look at 2"


async def test_an_outlook_on_what_is_not_asked_about_any_more_takes_no_place(world: World) -> None:
    """A worker that was slow tells of the request as it was."""
    world.tools["look"] = echo()
    await world.rules(BOTH)
    run_id = await world.run(await world.workflow(LOOK))
    asked = await question(world, run_id)
    changed = await change(world, asked, {"n": 2}, world.tools["look"])
    again = await looked_at(world, run_id, changed)
    await change(world, again, {"n": 3}, world.tools["look"])
    _, held = await world.claimed(run_id)
    for of in (asked["request_hash"], changed):
        await note_outlook(world.engine, held.lease, asked["id"], of, {"what": "late"})
    assert (await world.database.pool.fetchval("SELECT outlook ->> 'what' FROM approvals")) == "Look at 2"


async def test_an_edit_wakes_no_step_whose_tool_tells_nothing_beforehand(world: World) -> None:
    quiet = replace(looking(None), preview=None)
    world.tools["look"] = quiet
    await world.rules(BOTH)
    run_id = await world.run(await world.workflow(LOOK))
    await change(world, await question(world, run_id), {"n": 2}, quiet)
    step = (await world.steps(run_id))["write"]
    assert (step["status"], step["attempt"]) == ("waiting", 1)


@pytest.mark.parametrize("fault", ["bug", "slow", "large"])
async def test_what_cannot_be_told_never_keeps_people_from_being_asked(
    world: World, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkops.runtime.outlook.SECONDS", 0.2)

    async def look(arguments: Mapping[str, Any], context: ToolContext) -> Outlook:
        if fault == "bug":
            raise ZeroDivisionError
        if fault == "slow":
            await asyncio.sleep(60)
        return Outlook("Look", Rows(1, "exact"), plan=["x" * 300] * 1000)

    world.tools["look"] = looking(look)
    await world.rules(ASK)
    asked = await question(world, await world.run(await world.workflow(LOOK)))
    words = {"bug": "broke down: ZeroDivisionError", "slow": "in time", "large": "more than fits"}
    assert words[fault] in str(asked["outlook"])
    assert len(str(asked["outlook"])) < 1_000


@pytest.mark.parametrize(("seconds", "looks"), [(1.5, 1), (0.5, 0)])
async def test_looking_ahead_leaves_the_attempt_the_time_to_wait_for_people(
    world: World, seconds: float, looks: int
) -> None:
    """The attempt may take less time than a target is asked for."""
    asked_for: list[str] = []

    async def look(arguments: Mapping[str, Any], context: ToolContext) -> Outlook:
        asked_for.append("looked")
        await asyncio.sleep(60)
        return Outlook("Look", Rows(1, "exact"))

    world.tools["look"] = looking(look)
    await world.rules(ASK)
    timed = LOOK.replace("tool: look}", f"tool: look, timeout: {round(seconds * 1000)}ms}}")
    asked = await question(world, await world.run(await world.workflow(timed)))
    assert "in time" in str(asked["outlook"])
    assert len(asked_for) == looks
    assert await world.database.pool.fetchval("SELECT count(*) FROM step_attempts") == 1


async def test_secrets_that_are_known_are_struck_out_of_it(world: World) -> None:
    async def look(arguments: Mapping[str, Any], context: ToolContext) -> Outlook:
        SEEN.learn("bank", "correct-horse-battery", project_id=None)
        return Outlook("Look", Rows(1, "exact"), besides=["It is correct-horse-battery."])

    world.tools["look"] = looking(look)
    await world.rules(ASK)
    asked = await question(world, await world.run(await world.workflow(LOOK)))
    assert asked["outlook"]["besides"] == ["It is [secret:bank]."]


async def test_nothing_is_looked_at_under_a_stop(world: World) -> None:
    looks: list[str] = []

    async def look(arguments: Mapping[str, Any], context: ToolContext) -> Outlook:
        looks.append("looked")
        return Outlook("Look", Rows(1, "exact"))

    world.tools["look"] = looking(look)
    await world.rules(ASK)
    run_id = await world.run(await world.workflow(LOOK))
    _, held = await world.claimed(run_id)
    await order_halt(world.engine, world.ada, HaltOrder(Kind.STOP, Scope.PROJECT, world.project_id, "because"))
    assert await execute(world.runtime(), held, Trust.since(time.monotonic(), 15)) == Waiting()
    assert looks == []
    assert await world.database.pool.fetchval("SELECT count(*) FROM approvals") == 0
