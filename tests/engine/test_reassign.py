"""Whoever may answer a question lets somebody else answer in their place; nobody else loses or gains a say by it."""

from typing import Any
from uuid import UUID

import pytest

from sparkops.core.errors import NotFound
from sparkops.core.principal import Principal
from sparkops.engine.answer import (
    AlreadyAnswered,
    ApprovalClosed,
    NobodyToAnswer,
    NotAnApprover,
    OwnRequest,
    TooFewVoices,
    answer_approval,
    reassign,
)
from tests.engine.acts import ONE_STEP, govern
from tests.engine.clearances import asks, pending
from tests.engine.conftest import World
from tests.engine.test_consent import person

BEN = "ben@example.com"
CYD = "cyd@example.com"


async def asked(world: World, **approval: Any) -> UUID:
    """A run that waits for people, as a rule wants it; returns the run."""
    await world.rules(asks("run.create", **({"approval": approval} if approval else {})))
    return await world.run(await world.workflow(ONE_STEP))


async def gives(world: World, who: Principal, to: str, comment: str | None = None) -> None:
    await reassign(world.engine, who, await pending(world), to=to, comment=comment)


async def agrees(world: World, who: Principal) -> None:
    await answer_approval(world.engine, who, await pending(world), approve=True, comment=None)


async def agreed(world: World) -> int:
    count: int = await world.database.pool.fetchval("SELECT (engine.consent(a) ->> 'agreed')::int FROM approvals a")
    return count


async def test_another_person_answers_in_the_place_of_whom_the_rule_names(world: World) -> None:
    cyd = await person(world, "cyd")
    run_id = await asked(world, approvers=[BEN])
    with pytest.raises(NotAnApprover):
        await agrees(world, cyd)
    await gives(world, world.ben, CYD, "I am away.")
    with pytest.raises(NotAnApprover):
        await agrees(world, world.ben)
    await agrees(world, cyd)
    assert await world.status(run_id) == "running"
    (line,) = await world.database.pool.fetch("SELECT actor, detail FROM audit WHERE action = 'approval.reassign'")
    assert (line["actor"], line["detail"]["to"], line["detail"]["comment"]) == (
        f"user:{world.ben.user_id}",
        CYD,
        "I am away.",
    )
    assert "approval.reassigned" in await world.kinds(run_id)


async def test_a_role_answers_in_the_place_of_a_person(world: World) -> None:
    cyd, dan = await person(world, "cyd"), await person(world, "dan", "developer")
    run_id = await asked(world, approvers=[BEN])
    await gives(world, world.ben, "operator")
    with pytest.raises(NotAnApprover):
        await agrees(world, dan)
    await agrees(world, cyd)
    assert await world.status(run_id) == "running"


async def test_others_whom_the_rule_names_may_still_answer(world: World) -> None:
    await person(world, "cyd")
    dan = await person(world, "dan")
    run_id = await asked(world, approvers=[BEN, dan.email])
    await gives(world, world.ben, CYD)
    await answer_approval(world.engine, dan, await pending(world), approve=False, comment="no")
    assert await world.status(run_id) == "denied"


async def test_a_voice_that_a_role_was_given_counts_once(world: World) -> None:
    cyd, dan = await person(world, "cyd"), await person(world, "dan")
    erin = await person(world, "erin", "developer")
    run_id = await asked(world, approvers=[BEN, erin.email], quorum=2)
    await gives(world, world.ben, "operator")
    for who in (cyd, dan):
        await agrees(world, who)
    assert (await agreed(world), await world.status(run_id)) == (1, "awaiting_approval")
    await agrees(world, erin)
    assert await world.status(run_id) == "running"


async def test_a_voice_that_is_handed_on_from_a_role_is_still_one(world: World) -> None:
    cyd, dan, erin = await person(world, "cyd"), await person(world, "dan"), await person(world, "erin", "developer")
    await asked(world, approvers=[BEN, "ada@example.com"], quorum=2)
    await gives(world, world.ben, "operator")
    await gives(world, cyd, erin.email)
    for who in (dan, erin):
        await agrees(world, who)
    assert await agreed(world) == 1


async def test_who_has_given_their_voice_away_does_not_count_any_more(world: World) -> None:
    cyd = await person(world, "cyd")
    dan = await person(world, "dan")
    run_id = await asked(world, approvers=[BEN, dan.email], quorum=2)
    await agrees(world, world.ben)
    await gives(world, world.ben, CYD)
    assert await agreed(world) == 0
    await agrees(world, dan)
    assert await world.status(run_id) == "awaiting_approval"
    await agrees(world, cyd)
    assert await world.status(run_id) == "running"


async def test_one_person_with_two_voices_counts_once_for_every_group(world: World) -> None:
    cyd, dan, erin = await person(world, "cyd"), await person(world, "dan"), await person(world, "erin")
    await world.rules(
        asks("run.create", approval={"approvers": [BEN]}),
        {**asks("run.create", approval={"approvers": [dan.email, erin.email], "quorum": 2}), "name": "other"},
    )
    run_id = await world.run(await world.workflow(ONE_STEP))
    await gives(world, world.ben, CYD)
    await gives(world, dan, CYD)
    await agrees(world, cyd)
    standing = await world.database.pool.fetchval("SELECT engine.consent(a) FROM approvals a")
    assert (standing["agreed"], standing["missing"], standing["enough"]) == (1, [], False)
    assert await world.status(run_id) == "awaiting_approval"
    await agrees(world, erin)
    assert await world.status(run_id) == "running"


async def test_a_voice_is_not_given_away_where_too_few_could_agree_then(world: World) -> None:
    """Of the two who have to agree one would have both voices, and the question would expire."""
    dan = await person(world, "dan")
    run_id = await asked(world, approvers=[BEN, dan.email], quorum=2)
    for to in (dan.email, "operator"):
        with pytest.raises(TooFewVoices, match="2 people have to agree, and then only 1 could") as refused:
            await gives(world, world.ben, to)
        assert (refused.value.members["left"], refused.value.members["quorum"]) == (1, 2)
    assert await world.database.pool.fetchval("SELECT reassigned FROM approvals") == []
    cyd = await person(world, "cyd")
    await gives(world, world.ben, CYD)
    with pytest.raises(TooFewVoices):
        await gives(world, dan, CYD)
    for who in (cyd, dan):
        await agrees(world, who)
    assert await world.status(run_id) == "running"


async def test_who_hands_on_gives_every_voice_that_they_have(world: World) -> None:
    """So that each group of approvers keeps somebody who can agree for it."""
    cyd, dan = await person(world, "cyd"), await person(world, "dan")
    await world.rules(
        asks("run.create", approval={"approvers": [BEN]}),
        {**asks("run.create", approval={"approvers": [dan.email]}), "name": "other"},
    )
    run_id = await world.run(await world.workflow(ONE_STEP))
    await gives(world, world.ben, dan.email)
    await gives(world, dan, CYD)
    with pytest.raises(NotAnApprover):
        await agrees(world, dan)
    await agrees(world, cyd)
    assert await world.status(run_id) == "running"


async def test_whoever_is_called_later_counts_among_those_who_could_agree(world: World) -> None:
    dan, erin = await person(world, "dan"), await person(world, "erin", "developer")
    escalation = {"escalate_after": "1h", "escalate_to": [erin.email]}
    run_id = await asked(world, approvers=[BEN, dan.email], quorum=2, **escalation)
    await gives(world, world.ben, dan.email)
    await world.sql("UPDATE approvals SET escalate_at = clock_timestamp() - interval '1 second'")
    await govern(world)
    for who in (dan, erin):
        await agrees(world, who)
    assert await world.status(run_id) == "running"


async def test_a_voice_that_an_earlier_release_wrote_down_counts(world: World) -> None:
    cyd = await person(world, "cyd")
    run_id = await asked(world, approvers=[BEN])
    given = [{"by": str(world.ben.user_id), "to": CYD, "voice": str(world.ben.user_id), "at": None, "comment": None}]
    await world.sql("UPDATE approvals SET reassigned = $1", given)
    await agrees(world, cyd)
    assert await world.status(run_id) == "running"


@pytest.mark.parametrize("to", [" Cyd@Example.com ", "Operator"])
async def test_whom_a_voice_is_given_to_is_known_in_any_case_of_letters(world: World, to: str) -> None:
    cyd = await person(world, "cyd")
    await asked(world, approvers=[BEN])
    await gives(world, world.ben, to)
    assert await world.database.pool.fetchval("SELECT reassigned -> 0 ->> 'to' FROM approvals") == to.strip().lower()
    await agrees(world, cyd)


async def test_what_is_given_back_is_theirs_again(world: World) -> None:
    cyd = await person(world, "cyd")
    run_id = await asked(world, approvers=[BEN])
    await gives(world, world.ben, CYD)
    await gives(world, cyd, BEN)
    with pytest.raises(NotAnApprover):
        await agrees(world, cyd)
    await agrees(world, world.ben)
    assert await world.status(run_id) == "running"


async def test_what_somebody_gave_away_is_given_back_by_nobody_else(world: World) -> None:
    cyd, dan = await person(world, "cyd"), await person(world, "dan")
    run_id = await asked(world, approvers=[BEN, dan.email])
    await gives(world, world.ben, CYD)
    with pytest.raises(NobodyToAnswer):
        await gives(world, dan, BEN)
    await agrees(world, cyd)
    assert await world.status(run_id) == "running"


async def test_who_has_agreed_and_comes_to_speak_for_the_others_too_says_yes_once_more(world: World) -> None:
    dan = await person(world, "dan")
    await world.rules(
        asks("run.create", approval={"approvers": [BEN]}),
        {**asks("run.create", approval={"approvers": [dan.email]}), "name": "other"},
    )
    run_id = await world.run(await world.workflow(ONE_STEP))
    await agrees(world, dan)
    with pytest.raises(AlreadyAnswered):
        await agrees(world, dan)
    await gives(world, world.ben, dan.email)
    assert await world.status(run_id) == "awaiting_approval"
    await agrees(world, dan)
    assert await world.status(run_id) == "running"


async def test_where_anybody_may_answer_who_gives_their_voice_away_does_not_any_more(world: World) -> None:
    cyd = await person(world, "cyd")
    run_id = await asked(world)
    await gives(world, world.ben, CYD)
    with pytest.raises(NotAnApprover):
        await agrees(world, world.ben)
    await agrees(world, cyd)
    assert await world.status(run_id) == "running"


async def test_a_voice_goes_with_whom_the_rule_names(world: World) -> None:
    """Who has left the project has none, and so has nobody in their place."""
    cyd = await person(world, "cyd")
    await asked(world, approvers=[BEN])
    await gives(world, world.ben, CYD)
    await world.sql("DELETE FROM memberships WHERE user_id = $1", world.ben.user_id)
    with pytest.raises(NotAnApprover):
        await agrees(world, cyd)


@pytest.mark.parametrize(
    "to", ["ada@example.com", "eve@example.com", "viv@example.com", BEN, "viewer", "admin", "anybody", "x@y.z"]
)
async def test_a_voice_is_given_to_nobody_who_could_not_answer(world: World, to: str) -> None:
    """Who started the run, a stranger, somebody whose role may not answer, oneself, a role that nobody has."""
    await person(world, "viv", "viewer")
    await asked(world)
    with pytest.raises(NobodyToAnswer):
        await gives(world, world.ben, to)
    assert await world.database.pool.fetchval("SELECT reassigned FROM approvals") == []


async def test_a_role_that_only_who_started_the_run_has_is_nobody(world: World) -> None:
    await world.sql("UPDATE memberships SET role = 'admin' WHERE user_id = $1", world.ada.user_id)
    await asked(world)
    with pytest.raises(NobodyToAnswer):
        await gives(world, world.ben, "admin")


async def test_nobody_gives_away_what_is_not_theirs(world: World) -> None:
    cyd = await person(world, "cyd")
    await asked(world, approvers=[BEN])
    with pytest.raises(NotAnApprover):
        await gives(world, cyd, "operator")
    with pytest.raises(OwnRequest):
        await gives(world, world.ada, CYD)
    with pytest.raises(NotFound):
        await gives(world, world.eve, CYD)
    await gives(world, world.ben, CYD)
    with pytest.raises(NotAnApprover):
        await gives(world, world.ben, "operator")


async def test_a_question_that_was_answered_is_not_given_to_anybody(world: World) -> None:
    await person(world, "cyd")
    await asked(world)
    question = await pending(world)
    await agrees(world, world.ben)
    with pytest.raises(ApprovalClosed):
        await reassign(world.engine, world.ben, question, to=CYD)


async def test_a_question_that_is_answered_and_reassigned_at_once_is_one_after_the_other(world: World) -> None:
    await person(world, "cyd")
    await asked(world)
    question = await pending(world)
    async with world.transaction() as other:
        await answer_approval(other, world.ben, question, approve=True, comment=None)
        second = await world.blocked(reassign(world.engine, world.ben, question, to=CYD))
    with pytest.raises(ApprovalClosed):
        await second


async def test_a_new_question_asks_those_whom_the_rules_name(world: World) -> None:
    """What somebody did with their voice was about the question that is withdrawn."""
    cyd = await person(world, "cyd")
    run_id = await asked(world, approvers=[BEN])
    await gives(world, world.ben, CYD)
    await world.rules(asks("run.create", approval={"approvers": [BEN, "owner"]}))
    await agrees(world, cyd)
    assert await world.status(run_id) == "awaiting_approval"
    with pytest.raises(NotAnApprover):
        await agrees(world, cyd)
    await agrees(world, world.ben)
    assert await world.status(run_id) == "running"
