"""Labels follow values wherever they go, and what strangers wrote does not lead what is private out of the house."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from sparkops.core.ids import new_id
from sparkops.domains.runs.state import SourceKind
from sparkops.engine.answer import answer_approval
from sparkops.engine.draft import Rerun
from sparkops.engine.events import NewEvent, receive_event
from sparkops.engine.rerun import start_rerun
from sparkops.engine.rerun_plan import plan_rerun
from tests.engine.acts import HOLD_NOOP
from tests.engine.conftest import World
from tests.engine.tools import PRIVATE, UNTRUSTED, Post

HEAD = "version: 1\nname: flow\ninput: {type: object, properties: {n: {type: integer}}}\nsteps:\n"
READS = """
  - {id: web, type: tool, tool: web.read}
  - {id: crm, type: tool, tool: crm.read}
"""
MEETS = (
    HEAD
    + READS
    + """
  - id: both
    type: transform
    needs: [web, crm]
    with: {value: "${{ steps.web.output.text + steps.crm.output.text }}"}
  - {id: mail, type: tool, tool: mail.send, needs: [both], with: {text: "${{ steps.both.output }}"}}
"""
)
STAFF = frozenset({"private:staff"})
OTHER_INPUT = Rerun(SourceKind.RERUN, same_input=False, input={"n": 2})
CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"urgent": {"type": "boolean"}, "kind": {"enum": ["order", "complaint"]}},
    "additionalProperties": False,
}
SAYS = {"turns": [{"text": '{"urgent": true, "kind": "order"}'}]}


def llm(schema: dict[str, Any] | None) -> str:
    """Return what an `llm` step has in `with` that reads the web, with this schema of its answer."""
    asked = {"model": "scripted", "prompt": "${{ steps.web.output.text }}", "max_output_tokens": 50, "script": SAYS}
    return (
        str({**asked, **({"output_schema": schema} if schema else {})})
        .replace("True", "true")
        .replace("False", "false")
    )


@pytest.fixture
def post(world: World) -> Post:
    found = Post()
    world.tools.update(found.tools())
    return found


async def labels(world: World, run_id: UUID) -> dict[str, list[str]]:
    rows = await world.database.pool.fetch("SELECT path, labels FROM steps WHERE run_id = $1", run_id)
    return {row["path"]: sorted(row["labels"]) for row in rows}


async def question(world: World) -> UUID | None:
    found: UUID | None = await world.database.pool.fetchval("SELECT id FROM approvals WHERE status = 'pending'")
    return found


async def played(world: World, source: str, **request: Any) -> UUID:
    """Run a workflow to its end, or to the question that it asks."""
    run_id = await world.run(await world.workflow(source), **request)

    async def ended() -> bool:
        return await world.status(run_id) in ("succeeded", "failed") or await question(world) is not None

    await world.work(ended)
    return run_id


async def test_a_value_carries_the_labels_of_all_that_it_was_made_from(world: World, post: Post) -> None:
    run_id = await played(world, MEETS)
    found = await labels(world, run_id)
    assert {key: found[key] for key in ("web", "crm", "both")} == {
        "web": [UNTRUSTED],
        "crm": [PRIVATE],
        "both": [PRIVATE, UNTRUSTED],
    }
    assert {call["name"]: call["labels"] for call in await world.calls(run_id)} == {
        "web.read": [UNTRUSTED],
        "crm.read": [PRIVATE],
        "mail.send": [],
    }


async def test_what_is_private_waits_for_a_person_before_it_leaves_with_what_strangers_wrote(
    world: World, post: Post
) -> None:
    run_id = await played(world, MEETS)
    asked = await world.database.pool.fetchrow("SELECT id, rule FROM approvals")
    assert (asked["rule"], post.sent) == ("untrusted-meets-private", [])
    await answer_approval(world.engine, world.ben, asked["id"], approve=True, comment=None)
    await world.work_until(run_id)
    assert len(post.sent) == 1


@pytest.mark.parametrize("read", ["web.read", "crm.read"])
async def test_either_alone_may_leave(world: World, post: Post, read: str) -> None:
    source = f"""{HEAD}
  - {{id: a, type: tool, tool: {read}}}
  - {{id: mail, type: tool, tool: mail.send, needs: [a], with: {{text: "${{{{ steps.a.output.text }}}}"}}}}
"""
    run_id = await played(world, source)
    assert (await world.status(run_id), len(post.sent)) == ("succeeded", 1)


async def test_what_a_step_does_not_read_it_does_not_carry(world: World, post: Post) -> None:
    source = f"""{HEAD}{READS}
  - {{id: mail, type: tool, tool: mail.send, needs: [web, crm], with: {{text: hello}}}}
"""
    run_id = await played(world, source)
    assert (await labels(world, run_id))["mail"] == []
    assert len(post.sent) == 1


async def test_a_chain_that_is_run_ahead_carries_labels_as_one_that_is_claimed(world: World, post: Post) -> None:
    chain = f"""{HEAD}
  - {{id: a, type: tool, tool: web.read}}
  - {{id: b, type: tool, tool: crm.read, needs: [a], with: {{of: "${{{{ steps.a.output.text }}}}"}}}}
  - {{id: c, type: tool, tool: noop, needs: [b], with: {{of: "${{{{ steps.b.output.text }}}}"}}}}
  - {{id: d, type: tool, tool: noop, needs: [c], with: {{of: "${{{{ input.n }}}}"}}}}
"""
    run_id = await played(world, chain, input={"n": 1}, labels=frozenset({"private:staff"}))
    both = [PRIVATE, UNTRUSTED]
    assert await labels(world, run_id) == {"a": [UNTRUSTED], "b": both, "c": both, "d": ["private:staff"]}


async def test_an_agent_carries_what_its_tools_gave_it(world: World, post: Post) -> None:
    reads = [{"tool": "web.read", "arguments": {}}]
    sends = [{"tool": "mail.send", "arguments": {"text": "${{ results[0].output.text }}"}}]
    script = {"turns": [{"tool_calls": reads}, {"tool_calls": sends}, {"text": "done"}]}
    agent = {"model": "scripted", "instructions": "obey", "tools": ["web.read", "mail.send"], "script": script}
    await world.agent("clerk", agent)
    source = f"""{HEAD}
  - {{id: crm, type: tool, tool: crm.read}}
  - {{id: clerk, type: agent, agent: clerk, needs: [crm], with: {{prompt: "${{{{ steps.crm.output.text }}}}"}}}}
"""
    run_id = await played(world, source)
    assert (post.sent, await question(world) is None) == ([], False)
    await answer_approval(world.engine, world.ben, await question(world), approve=False, comment="no")  # type: ignore[arg-type]
    await world.work_until(run_id)
    assert ((await labels(world, run_id))["clerk"], post.sent) == ([PRIVATE, UNTRUSTED], [])


@pytest.mark.parametrize(("schema", "left"), [(CLOSED, []), (None, [UNTRUSTED]), ({"type": "object"}, [UNTRUSTED])])
async def test_only_an_answer_in_a_closed_schema_is_trusted(
    world: World, post: Post, schema: dict[str, Any] | None, left: list[str]
) -> None:
    source = f"""{HEAD}
  - {{id: web, type: tool, tool: web.read}}
  - {{id: ask, type: llm, needs: [web], with: {llm(schema)}}}
"""
    run_id = await played(world, source)
    assert (await labels(world, run_id))["ask"] == left


async def test_a_closed_schema_leaves_what_is_private(world: World, post: Post) -> None:
    asks = llm(CLOSED).replace("steps.web", "steps.crm")
    source = f"""{HEAD}
  - {{id: crm, type: tool, tool: crm.read}}
  - {{id: ask, type: llm, needs: [crm], with: {asks}}}
"""
    assert (await labels(world, await played(world, source)))["ask"] == [PRIVATE]


MAP = f"""{HEAD}
  - {{id: web, type: tool, tool: web.read}}
  - id: each
    type: map
    needs: [web]
    with: {{over: "${{{{ [steps.web.output.text, 'b'] }}}}"}}
    steps:
      - {{id: say, type: transform, with: {{value: 1}}}}
      - {{id: look, type: tool, tool: BODY, needs: [say], with: {{n: "${{{{ steps.say.output }}}}"}}}}
      - {{id: own, type: tool, tool: noop, with: {{n: "${{{{ item }}}}"}}}}
"""


async def test_all_steps_of_a_frame_carry_what_the_map_has_seen(world: World, post: Post) -> None:
    found = await labels(world, await played(world, MAP.replace("BODY", "crm.read")))
    both = [PRIVATE, UNTRUSTED]
    assert (found["each[0].say"], found["each[1].look"], found["each"]) == ([UNTRUSTED], both, both)
    assert found["each[0].own"] == [UNTRUSTED]


async def test_a_map_carries_what_its_items_give_and_nothing_more(world: World, post: Post) -> None:
    source = f"""{HEAD}
  - {{id: web, type: tool, tool: web.read}}
  - id: each
    type: map
    needs: [web]
    with: {{over: "${{{{ [steps.web.output.text, 'b'] }}}}"}}
    steps:
      - {{id: ask, type: llm, with: {llm(CLOSED).replace("steps.web.output.text", "item")}}}
"""
    found = await labels(world, await played(world, source))
    assert (found["each[0].ask"], found["each"]) == ([], [])


async def test_a_frame_that_ends_as_it_starts_carries_labels_as_others_do(world: World, post: Post) -> None:
    source = f"""{HEAD}
  - {{id: web, type: tool, tool: web.read}}
  - id: each
    type: map
    needs: [web]
    with: {{over: "${{{{ [steps.web.output.text] }}}}"}}
    steps:
      - {{id: say, type: transform, with: {{value: "${{{{ item }}}}"}}}}
"""
    assert (await labels(world, await played(world, source)))["each"] == [UNTRUSTED]


async def test_frames_that_the_database_ends_carry_labels_as_others_do(world: World, post: Post) -> None:
    source = f"""{HEAD}
  - id: each
    type: map
    with: {{over: 3, concurrency: 1}}
    steps:
      - {{id: look, type: tool, tool: crm.read, with: {{n: "${{{{ item }}}}"}}}}
"""
    run_id = await played(world, source)
    assert (await labels(world, run_id))["each"] == [PRIVATE]
    frames = await world.database.pool.fetch("SELECT labels FROM frames")
    assert [row["labels"] for row in frames] == [[PRIVATE]] * 3


async def test_a_pass_carries_what_the_passes_before_it_gave(world: World, post: Post) -> None:
    source = f"""{HEAD}
  - id: again
    type: loop
    with: {{max: 2}}
    steps:
      - {{id: say, type: transform, with: {{value: "${{{{ previous }}}}"}}}}
      - {{id: web, type: tool, tool: web.read, needs: [say], if: "${{{{ iteration == 1 }}}}"}}
    output: "${{{{ [steps.web.output, steps.say.output] }}}}"
"""
    found = await labels(world, await played(world, source))
    assert (found["again#1.say"], found["again#2.say"], found["again"]) == ([], [UNTRUSTED], [UNTRUSTED])


CHILD = """version: 1
name: child
input: {type: object, properties: {text: {type: string}}}
steps:
  - {id: keep, type: transform, with: {value: "${{ input.text }}"}}
  - {id: crm, type: tool, tool: crm.read}
output: ${{ steps.OUT.output }}
"""


@pytest.mark.parametrize(("out", "back"), [("keep", [UNTRUSTED]), ("crm", [PRIVATE])])
async def test_a_sub_run_gets_the_labels_of_its_input_and_gives_back_those_of_its_output(
    world: World, post: Post, out: str, back: list[str]
) -> None:
    await world.workflow(CHILD.replace("OUT", out))
    source = f"""{HEAD}
  - {{id: web, type: tool, tool: web.read}}
  - {{id: sub, type: workflow, workflow: child, needs: [web], with: {{text: "${{{{ steps.web.output.text }}}}"}}}}
"""
    run_id = await played(world, source)
    assert (await labels(world, run_id))["sub"] == back
    of_input = await world.database.pool.fetchval("SELECT labels FROM runs WHERE parent_run_id = $1", run_id)
    assert of_input == [UNTRUSTED]


async def test_an_event_from_outside_is_untrusted(world: World) -> None:
    source = f"""{HEAD}
  - {{id: paid, type: wait, with: {{event: paid}}}}
  - {{id: then, type: transform, needs: [paid], with: {{value: "${{{{ steps.paid.output.data }}}}"}}}}
"""
    run_id = await world.run(await world.workflow(source))
    await receive_event(world.engine, world.ada, world.project_id, NewEvent("e-1", "paid", {"n": 1}))
    await world.work_until(run_id)
    assert await labels(world, run_id) == {"paid": ["untrusted:event"], "then": ["untrusted:event"]}


async def test_the_input_of_a_run_that_strangers_started_is_untrusted(world: World) -> None:
    source = f"{HEAD}  - {{id: a, type: transform, with: {{value: '${{{{ input.n }}}}'}}}}\n"
    run_id = await played(world, source, input={"n": 1}, trigger="webhook")
    assert await labels(world, run_id) == {"a": ["untrusted:event"]}


async def test_a_file_carries_the_labels_of_who_wrote_it(world: World, post: Post) -> None:
    source = f"""{HEAD}
  - {{id: web, type: tool, tool: web.read}}
  - id: write
    type: tool
    tool: files.write
    needs: [web]
    with: {{name: a.md, content: "${{{{ steps.web.output.text }}}}"}}
  - {{id: read, type: tool, tool: files.read, needs: [write], with: {{name: a.md}}}}
"""
    run_id = await played(world, source)
    found = await labels(world, run_id)
    assert (found["write"], found["read"]) == ([UNTRUSTED], [UNTRUSTED])
    (row,) = await world.database.pool.fetch("SELECT labels FROM artifacts")
    of_calls = {call["name"]: call["labels"] for call in await world.calls(run_id)}
    assert (row["labels"], of_calls["files.write"], of_calls["files.read"]) == ([UNTRUSTED], [], [UNTRUSTED])


async def test_a_second_chance_keeps_the_labels(world: World, post: Post) -> None:
    source = MEETS.replace("tool: mail.send", "tool: noop").replace("with: {text", "with: {delay_ms")
    run_id = await played(world, source, labels=frozenset({"private:staff"}))
    assert (await world.row(run_id))["status"] == "failed"
    again = await start_rerun(world.engine, world.ada, run_id, Rerun(SourceKind.RETRY))
    found = await labels(world, again.run_id)
    assert {key: found[key] for key in ("web", "crm", "both")} == {
        "web": [UNTRUSTED],
        "crm": [PRIVATE],
        "both": [PRIVATE, UNTRUSTED],
    }
    assert (await world.row(again.run_id))["labels"] == ["private:staff"]
    assert {call["name"]: call["labels"] for call in await world.calls(again.run_id)}["web.read"] == [UNTRUSTED]
    await world.work_until(again.run_id)


async def test_another_input_keeps_the_labels_that_the_source_had(world: World, post: Post) -> None:
    """Who corrects a typing error of a labelled input has not said that it is trusted now."""
    run_id = await played(world, f"{HEAD}  - {{id: echo, type: transform, with: {{value: 1}}}}\n", labels=STAFF)
    again = await start_rerun(world.engine, world.ada, run_id, OTHER_INPUT)
    assert (await world.row(again.run_id))["labels"] == ["private:staff"]


@pytest.mark.parametrize(
    ("stated", "of_a_person", "of_a_key"),
    [
        (frozenset(), [], ["private:staff"]),
        ({UNTRUSTED}, [UNTRUSTED], ["private:staff", UNTRUSTED]),
        (None, ["private:staff"], ["private:staff"]),
    ],
)
async def test_a_person_says_what_labels_another_input_has_and_a_key_only_adds_some(
    world: World, post: Post, stated: set[str] | None, of_a_person: list[str], of_a_key: list[str]
) -> None:
    run_id = await played(world, f"{HEAD}  - {{id: echo, type: transform, with: {{value: 1}}}}\n", labels=STAFF)
    key = replace(world.ada, key_id=new_id())
    request = replace(OTHER_INPUT, labels=None if stated is None else frozenset(stated))
    for who, expected in ((world.ada, of_a_person), (key, of_a_key)):
        assert (await plan_rerun(world.engine, who, run_id, request)).labels == expected
    again = await start_rerun(world.engine, world.ada, run_id, request)
    assert (await world.row(again.run_id))["labels"] == of_a_person


async def test_what_read_the_input_is_not_kept_where_a_label_is_new(world: World, post: Post) -> None:
    """A kept step would bring the input along without that label."""
    source = f"""{HEAD}
  - {{id: reads, type: tool, tool: noop, with: {{seq: "${{{{ input.n }}}}"}}}}
  - {{id: other, type: tool, tool: noop}}
  - {{id: ends, type: transform, needs: [reads, other], with: {{value: "${{{{ steps.reads.output }}}}"}}}}
"""
    run_id = await played(world, source, input={"n": 1}, labels=STAFF)
    for labels, kept in (
        (STAFF | {UNTRUSTED}, ["other"]),
        (STAFF, ["reads", "other"]),
        (frozenset(), ["reads", "other"]),
    ):
        request = Rerun(SourceKind.FORK, "ends", labels=labels)
        plan = await plan_rerun(world.engine, world.ada, run_id, request)
        assert [step.fate.key for step in plan.steps if step.fate.kept] == kept


async def test_labels_of_recorded_calls_are_there_for_the_next_attempt(world: World, post: Post) -> None:
    """The first attempt reads the web and then waits for a person; the second is answered from the record."""
    reads, looks = {"tool": "web.read", "arguments": {}}, {"tool": "noop", "arguments": {}}
    script = {"turns": [{"tool_calls": [reads]}, {"tool_calls": [looks]}, {"text": "done"}]}
    await world.agent(
        "clerk", {"model": "scripted", "instructions": "-", "tools": ["web.read", "noop"], "script": script}
    )
    await world.rules({**HOLD_NOOP, "tools": ["noop"]})
    run_id = await played(world, f"{HEAD}  - {{id: clerk, type: agent, agent: clerk, with: {{prompt: go}}}}\n")
    asked = await question(world)
    assert asked is not None
    await answer_approval(world.engine, world.ben, asked, approve=True, comment=None)
    await world.work_until(run_id)
    assert await labels(world, run_id) == {"clerk": [UNTRUSTED]}


async def test_what_a_person_says_carries_nothing_of_what_they_were_shown(world: World, post: Post) -> None:
    source = f"""{HEAD}
  - {{id: web, type: tool, tool: web.read}}
  - id: sure
    type: approval
    needs: [web]
    with: {{title: sure, show: "${{{{ steps.web.output.text }}}}"}}
"""
    run_id = await played(world, source)
    asked = await question(world)
    assert asked is not None
    await answer_approval(world.engine, world.ben, asked, approve=True, comment="yes")
    await world.work_until(run_id)
    assert (await labels(world, run_id))["sure"] == []


async def test_a_person_takes_the_labels_from_what_they_vouch_for(world: World, post: Post) -> None:
    source = f"""{HEAD}{READS}
  - id: sure
    type: approval
    needs: [web, crm]
    with: {{title: sure, vouch: "${{{{ [steps.web.output.text, steps.crm.output.text] }}}}"}}
  - {{id: mail, type: tool, tool: mail.send, needs: [sure], with: {{text: "${{{{ steps.sure.output.value }}}}"}}}}
"""
    run_id = await played(world, source)
    asked = await question(world)
    shown = await world.database.pool.fetchval("SELECT proposed_request -> 'show' FROM approvals")
    vouched = ["what web.read has", "what crm.read has"]
    assert (shown, asked is not None) == ({"vouch": vouched}, True)
    await answer_approval(world.engine, world.ben, asked, approve=True, comment=None)  # type: ignore[arg-type]
    await world.work_until(run_id)
    assert (await labels(world, run_id))["sure"] == []
    assert post.sent == [{"text": vouched}]


async def test_where_there_are_no_labels_none_are_written(world: World) -> None:
    run_id = await played(world, f"{HEAD}  - {{id: a, type: tool, tool: noop}}\n")
    assert (await labels(world, run_id), (await world.calls(run_id))[0]["labels"]) == ({"a": []}, [])
