"""Killed while it seals, judges the past, wraps keys anew, or answers: nothing is lost, nothing is doubled."""

import pytest

from sparkops.core.envelope import Keys, put_new_key
from sparkops.core.ids import new_id
from sparkops.core.principal import Principal
from sparkops.domains.secrets.queries import VERSIONS
from sparkops.domains.secrets.reference import Reference
from sparkops.engine.answer import AlreadyAnswered, answer_approval
from sparkops.engine.backtests import backtests_wait
from sparkops.engine.seals import anchors_after, seal_some
from sparkops.engine.secrets import Use
from sparkops.runtime.secrets.sources import OfDatabase
from tests.crash.hit_child import CHANGE, KEY_FILE, SEAL_KEYS, SEALED_AT_ONCE, Given, begin, ended, killed
from tests.engine.acts import DENY_NOOP, ONE_STEP
from tests.engine.clearances import asks, pending, questions
from tests.engine.conftest import World
from tests.engine.secretly import put
from tests.engine.test_audit import checked, line
from tests.engine.test_backtests import flips, judged, many, row, start
from tests.engine.test_consent import held_call, person, status
from tests.reused import Clone

PATIENCE_SECONDS = 60
LINES = 10
DECISIONS = 25


async def hit(
    world: World, clone: Clone, redis_url: str, point: str, does: str, who: Principal, **more: object
) -> None:
    """Let a child do this, and be killed at the point."""
    given = Given(
        failpoints=f"{point}=kill",
        does=does,
        database_url=clone.app_url,
        redis_url=redis_url,
        session=new_id(),
        data_dir=world.settings.data_dir,
        sink=0,
        person=who.user_id,
        project=world.project_id,
        **more,  # type: ignore[arg-type]
    )
    process, reached = begin(given)
    assert await ended(process, PATIENCE_SECONDS)
    assert killed(process)
    assert reached.is_set()


@pytest.mark.parametrize("point", ["before_seal", "after_seal"])
async def test_each_line_is_in_one_seal_whoever_died(world: World, clone: Clone, redis_url: str, point: str) -> None:
    for number in range(LINES):
        await line(world, str(number))
    await hit(world, clone, redis_url, point, "seal", world.ada)
    assert len(await anchors_after(world.engine, 0)) == (point == "after_seal")
    while await seal_some(world.engine, SEAL_KEYS, SEALED_AT_ONCE):
        pass
    report = await checked(world, list(await anchors_after(world.engine, 0)))
    assert report.ok, report.findings
    assert (report.lines, report.waiting) == (LINES, 0)


@pytest.mark.parametrize("point", ["before_backtest_page", "after_backtest_page"])
async def test_a_backtest_counts_each_decision_once_whoever_died(
    world: World, clone: Clone, redis_url: str, point: str
) -> None:
    await many(world, DECISIONS)
    job_id = await start(world, DENY_NOOP)
    await hit(world, clone, redis_url, point, "backtest", world.ada)
    assert (await row(world, job_id))["status"] == "running"
    await world.sql("UPDATE backtests SET lease_expires_at = clock_timestamp() - interval '1 second'")
    assert await backtests_wait(world.database)
    assert await judged(world) == 1
    found = await row(world, job_id)
    assert (found["status"], found["judged"], found["attempts"]) == ("done", DECISIONS, 2)
    listed = await flips(world, job_id)
    assert len({flip["decision_id"] for flip in listed}) == len(listed) == found["listed"] == DECISIONS


async def test_keys_that_were_being_changed_open_everything_before_and_after(
    world: World, clone: Clone, redis_url: str
) -> None:
    file = world.settings.data_dir / KEY_FILE
    file.write_text("0f" * 32 + "\n")
    for number in range(3):
        await put(world, f"key-{number}", f"the value of {number}")
    keyring = put_new_key(file)
    await hit(world, clone, redis_url, "mid_rewrap", "rewrap", world.ada)

    async def all_open() -> None:
        source = OfDatabase(world.database, Keys(file=file))
        for number in range(3):
            use = Use(world.project_id, new_id(), new_id(), new_id())
            assert await source.read(use, "project", Reference(f"key-{number}")) == f"the value of {number}"

    await all_open()
    async with world.database.sessions.begin() as session:
        assert await VERSIONS.rewrap(session, keyring) == 3, "none was half done"
        assert await VERSIONS.keys_in_use(session) == {keyring.active: 3}
    await all_open()


@pytest.mark.parametrize("point", ["before_answer", "after_answer"])
async def test_a_vote_counts_once_whoever_died(world: World, clone: Clone, redis_url: str, point: str) -> None:
    _, question = await held_call(world, quorum=2)
    await hit(world, clone, redis_url, point, "answer", world.ben, subject=question)
    if point == "after_answer":
        with pytest.raises(AlreadyAnswered):
            await answer_approval(world.engine, world.ben, question, approve=True, comment=None)
    else:
        await answer_approval(world.engine, world.ben, question, approve=True, comment=None)
    assert await status(world, question) == "pending"
    await answer_approval(world.engine, await person(world, "cyd"), question, approve=True, comment=None)
    assert await status(world, question) == "approved"
    assert await world.database.pool.fetchval("SELECT count(*) FROM approval_votes") == 2


@pytest.mark.parametrize("point", ["before_answer", "after_answer"])
async def test_a_change_is_made_whole_or_not_at_all(world: World, clone: Clone, redis_url: str, point: str) -> None:
    _, question = await held_call(world, quorum=2, may_edit=True)
    await hit(world, clone, redis_url, point, "edit", world.ben, subject=question)
    kept = "SELECT edited_hash, edited_by, (SELECT count(*) FROM approval_votes) AS votes FROM approvals"
    made = tuple(await world.database.pool.fetchrow(kept))
    assert made == ((CHANGE.request_hash, world.ben.user_id, 1) if point == "after_answer" else (None, None, 0))


@pytest.mark.parametrize("subject", ["run.create", "output"])
@pytest.mark.parametrize("point", ["after_answer", "mid_advance", "after_clear"])
async def test_a_run_that_people_let_go_on_does_so_once_whoever_died(
    world: World, clone: Clone, redis_url: str, point: str, subject: str
) -> None:
    await world.rules(asks(subject))
    run_id = await world.run(await world.workflow(ONE_STEP))
    if subject == "output":
        await world.work_until(run_id, "awaiting_approval")
    await hit(world, clone, redis_url, point, "answer", world.ben, subject=await pending(world))
    left = "approved" if point != "after_clear" else "consumed"
    assert [one["status"] for one in await questions(world)] == [left]
    await world.work_until(run_id)
    (question,) = await questions(world)
    assert (await world.status(run_id), question["status"]) == ("succeeded", "consumed")
    kinds = await world.kinds(run_id)
    assert [kinds.count(kind) for kind in ("approval.approved", "run.started", "run.succeeded")] == [1, 1, 1]
