"""Secrets on a real database: given to a call on its way out, on record as references, struck out of what returns."""

import asyncio
import io
import logging
import secrets as chance
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import insert
from sqlalchemy.engine import make_url

from sparkops.core import log
from sparkops.core.config import Connection
from sparkops.core.envelope import Keys, put_new_key
from sparkops.core.errors import Conflict, Invalid
from sparkops.core.ids import new_id
from sparkops.domains.projects.models import Project
from sparkops.domains.secrets import queries, service
from sparkops.domains.secrets.queries import VERSIONS
from sparkops.domains.secrets.reference import Reference
from sparkops.engine.answer import answer_approval
from sparkops.engine.secrets import Use, use_secret
from sparkops.messenger.app import make_app
from sparkops.messenger.bell import RedisBell
from tests.engine.acts import HOLD_NOOP
from tests.engine.conftest import World
from tests.engine.secretly import KEYS, Listener, Shop, everything_stored, put, secretly, talking, traces
from tests.runtime.test_sql_query import PASSWORD, Readers, readers

__all__ = ["readers"]

PAYS = """
version: 1
name: pays
input: {type: object, additionalProperties: true}
steps:
  - id: pay
    type: tool
    tool: shop.pay
    with: {key: "Bearer secret://stripe-key", to: "${{ input.to }}", how: "${{ input.how }}"}
"""
VALUE = "sk+live/of it=0123456789"


async def pay(world: World, shop: Shop, **inputs: Any) -> UUID:
    name = await world.workflow(PAYS)
    run_id = await world.run(name, input={"to": "bob", "how": "", **inputs})
    await world.work_until(run_id, runtime=secretly(world, shop.tool))
    return run_id


async def test_a_call_is_given_the_value_and_the_record_keeps_the_reference(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    shop = Shop()
    run_id = await pay(world, shop)
    assert await world.status(run_id) == "succeeded"
    assert shop.paid == [{"key": f"Bearer {VALUE}", "to": "bob", "how": ""}]
    (call,) = await world.calls(run_id)
    assert call["request"]["arguments"] == {"key": "Bearer secret://stripe-key", "to": "bob", "how": ""}
    assert call["response"]["you sent"] == {"Authorization": "Bearer Bearer [secret:stripe-key]"}
    assert traces(VALUE, await everything_stored(world)) == []


async def test_a_use_is_on_record_with_its_call_and_in_the_audit_trail(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    run_id = await pay(world, Shop())
    (call,) = await world.calls(run_id)
    (use,) = await world.database.pool.fetch("SELECT * FROM secret_uses")
    assert (use["call_id"], use["run_id"], use["step_id"]) == (call["id"], run_id, call["step_id"])
    assert (use["name"], use["version"], use["scope"], use["source"]) == ("stripe-key", 1, "project", "database")
    (line,) = await world.database.pool.fetch("SELECT * FROM audit WHERE action = 'secret.read'")
    assert (line["project_id"], line["actor"], line["object"]) == (world.project_id, "worker", "secret:stripe-key")
    assert line["detail"]["call_id"] == str(call["id"])


@pytest.mark.parametrize("how", ["fails", "breaks"])
async def test_a_failure_tells_nothing_of_the_value(world: World, how: str, logged: io.StringIO) -> None:
    await put(world, "stripe-key", VALUE)
    run_id = await pay(world, Shop(), how=how)
    assert await world.status(run_id) == "failed"
    assert traces(VALUE, await everything_stored(world)) == []
    assert traces(VALUE, logged.getvalue()) == []
    if how == "fails":
        error = (await world.steps(run_id))["pay"]["error"]
        assert error["message"].startswith("The key Bearer [secret:stripe-key] is refused: ")


async def test_a_large_answer_is_cleaned_before_it_goes_to_object_storage(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    run_id = await pay(world, Shop(), how="tells much")
    (call,) = await world.calls(run_id)
    assert "$blob" in call["response"]
    stored = await everything_stored(world)
    assert "paid with Bearer [secret:stripe-key]" in stored
    assert traces(VALUE, stored) == []


async def test_what_an_expression_gives_is_never_a_reference(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    await put(world, "other-key", "another-value-of-it")
    shop = Shop()
    await pay(world, shop, to="secret://other-key")
    assert shop.paid[0]["to"] == "secret://other-key"
    assert await world.database.pool.fetchval("SELECT count(*) FROM secret_uses WHERE name = 'other-key'") == 0


async def test_a_model_cannot_ask_for_a_secret(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    turns = [{"tool_calls": [{"tool": "shop.pay", "arguments": {"key": "secret://stripe-key"}}]}, {"text": "done"}]
    await world.agent(
        "spy", {"model": "scripted", "instructions": "pay", "tools": ["shop.pay"], "script": {"turns": turns}}
    )
    source = "version: 1\nname: asks\nsteps:\n  - {id: only, type: agent, agent: spy, with: {prompt: go}}\n"
    run_id = await world.run(await world.workflow(source))
    shop = Shop()
    await world.work_until(run_id, runtime=secretly(world, shop.tool))
    assert shop.paid == [{"key": "secret://stripe-key"}]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("{key: 'secret://nowhere'}", "secret-unknown"),
        ("{key: 'secret://stripe-key?version=2'}", "secret-unknown"),
        ("{key: 'secret://of-them'}", "secret-unknown"),
        ("{key: 'secret://ours'}", "secret-unknown"),
        ("{key: 'secret://gone'}", "secret-unknown"),
        ('{key: "secret://stripe-key ${{ run.id }}"}', "invalid-arguments"),
    ],
)
async def test_nothing_is_sent_where_a_reference_leads_nowhere(world: World, arguments: str, code: str) -> None:
    """Secrets of another project, of the installation, and archived ones are none."""
    await put(world, "stripe-key", VALUE)
    other = new_id()
    async with world.database.sessions.begin() as session:
        await session.execute(insert(Project).values(id=other, slug="other", name="Other"))
    await put(world, "of-them", "a-value-of-theirs", project=other)
    await put(world, "ours", "of-the-installation", of_installation=True)
    await put(world, "gone", "a-value-that-is-gone")
    async with world.database.sessions.begin() as session:
        found = await queries.locked_by_name(session, project_id=world.project_id, name="gone")
        assert found is not None
        await service.archive(session, found)
    source = f"version: 1\nname: pays\nsteps:\n  - {{id: pay, type: tool, tool: shop.pay, with: {arguments}}}\n"
    run_id = await world.run(await world.workflow(source))
    shop = Shop()
    await world.work_until(run_id, runtime=secretly(world, shop.tool))
    assert (await world.steps(run_id))["pay"]["error"]["code"] == code
    assert shop.paid == []
    assert await world.database.pool.fetchval("SELECT count(*) FROM secret_uses") == 0


async def test_a_tool_that_keeps_what_it_is_given_takes_no_secret(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    arguments = "{name: notes.md, content: 'the key is secret://stripe-key'}"
    source = f"version: 1\nname: keeps\nsteps:\n  - {{id: keep, type: tool, tool: files.write, with: {arguments}}}\n"
    run_id = await world.run(await world.workflow(source))
    await world.work_until(run_id, runtime=secretly(world))
    assert (await world.steps(run_id))["keep"]["error"]["code"] == "secret-not-taken"


async def test_a_local_tool_with_a_secret_is_prepared_before_it_runs(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    source = (
        "version: 1\nname: tries\nsteps:\n  - {id: only, type: tool, tool: noop, with: {key: 'secret://stripe-key'}}\n"
    )
    run_id = await world.run(await world.workflow(source))
    await world.work_until(run_id, runtime=secretly(world))
    (call,) = await world.calls(run_id)
    assert call["prepared_at"] is not None
    assert call["response"] == {"key": "[secret:stripe-key]"}
    assert (await world.row(run_id))["output"] == {"only": {"key": "[secret:stripe-key]"}}


async def test_a_new_version_holds_from_the_next_call_on(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    shop = Shop()
    runtime = secretly(world, shop.tool)
    name = await world.workflow(PAYS)
    for version in (1, 2):
        run_id = await world.run(name, input={"to": "bob", "how": ""})
        await world.work_until(run_id, runtime=runtime)
        await put(world, "stripe-key", f"value-number-{version + 1}")
    assert [paid["key"] for paid in shop.paid] == [f"Bearer {VALUE}", "Bearer value-number-2"]


async def test_what_an_approver_sees_and_changes_holds_no_value(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    await world.rules({**HOLD_NOOP, "effect": "require_approval"})
    name = await world.workflow(PAYS)
    run_id = await world.run(name, input={"to": "bob", "how": ""})
    shop = Shop()
    runtime = secretly(world, shop.tool)

    async def is_asked() -> bool:
        return bool(await world.database.pool.fetchval("SELECT count(*) FROM approvals"))

    await world.work(is_asked, runtime=runtime)
    asked = await world.database.pool.fetchrow("SELECT * FROM approvals")
    assert asked["proposed_request"]["arguments"]["key"] == "Bearer secret://stripe-key"
    await answer_approval(world.engine, world.ben, asked["id"], approve=True, comment=None)
    await world.work_until(run_id, runtime=runtime)
    assert shop.paid[0]["key"] == f"Bearer {VALUE}"
    assert traces(VALUE, await everything_stored(world)) == []


# Rows and keys


async def a_use(world: World) -> Use:
    return Use(world.project_id, new_id(), new_id(), new_id())


async def test_rows_that_were_swapped_do_not_open(world: World, owner_url: str) -> None:
    await put(world, "one-key", "the-first-value")
    await put(world, "other-key", "the-second-value")
    owner = await asyncpg.connect(owner_url)
    rows = await owner.fetch("SELECT id, wrapped_key, ciphertext FROM secret_versions ORDER BY id")
    for row, other in ((rows[0], rows[1]), (rows[1], rows[0])):
        await owner.execute(
            "UPDATE secret_versions SET wrapped_key = $2, ciphertext = $3 WHERE id = $1",
            row["id"],
            other["wrapped_key"],
            other["ciphertext"],
        )
    await owner.close()
    source = (
        "version: 1\nname: pays\nsteps:\n  - {id: pay, type: tool, tool: shop.pay, with: {key: 'secret://one-key'}}\n"
    )
    run_id = await world.run(await world.workflow(source))
    shop = Shop()
    await world.work_until(run_id, runtime=secretly(world, shop.tool))
    assert (await world.steps(run_id))["pay"]["error"]["code"] == "secret-lost"
    assert shop.paid == []


async def test_the_application_cannot_change_a_value_or_forget_a_use(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    for statement in (
        "UPDATE secret_versions SET ciphertext = ''",
        "UPDATE secret_versions SET version = 9",
        "DELETE FROM secret_versions",
        "UPDATE secrets SET name = 'other'",
        "UPDATE secret_uses SET name = 'other'",
        "DELETE FROM secret_uses",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.sql(statement)


async def test_a_name_is_taken_once_in_a_project_and_in_the_installation(world: World) -> None:
    for project_id in (world.project_id, None):
        async with world.database.sessions.begin() as session:
            made = await service.create_secret(session, KEYS.ring(), project_id=project_id, name="key", value=VALUE)
        with pytest.raises(Conflict):
            async with world.database.sessions.begin() as session:
                await service.create_secret(session, KEYS.ring(), project_id=project_id, name="key", value=VALUE)
        assert made.latest_version == 1


@pytest.mark.parametrize("value", ["seven--", "x" * 40_000, "with a \0 in it"])
def test_a_value_that_could_not_be_kept_safe_is_refused_and_not_quoted(value: str) -> None:
    with pytest.raises(Invalid) as refused:
        service.check_value(value)
    assert value not in refused.value.detail


async def test_the_key_is_changed_while_calls_go_on_and_none_fails(world: World, tmp_path: Path) -> None:
    file = tmp_path / "secrets.key"
    file.write_text("0f" * 32 + "\n")
    keys = Keys(file=file)
    names = [f"key-{number}" for number in range(150)]
    for name in names:
        await put(world, name, f"the-value-of-{name}")
    source = secretly(world, keys=keys).secrets.source
    assert source is not None
    stop, read = asyncio.Event(), 0

    async def reads() -> None:
        nonlocal read
        while not stop.is_set():
            name = chance.choice(names)
            assert await source.read(await a_use(world), "project", Reference(name)) == f"the-value-of-{name}"
            read += 1

    readers = [asyncio.create_task(reads()) for _ in range(4)]
    for _ in range(3):
        keyring = put_new_key(file)
        while True:
            async with world.database.sessions.begin() as session:
                if not await VERSIONS.rewrap(session, keyring):
                    break
        async with world.database.sessions.begin() as session:
            assert await VERSIONS.keys_in_use(session) == {keyring.active: 150}
    stop.set()
    await asyncio.gather(*readers)
    assert read > 20


async def test_two_who_put_a_version_at_once_make_two(world: World) -> None:
    await put(world, "stripe-key", VALUE)
    async with world.database.sessions.begin() as session:
        found = await queries.locked_by_name(session, project_id=world.project_id, name="stripe-key")
        assert found is not None
        other = await world.blocked(put(world, "stripe-key", "from-the-other"))
        await service.put_version(session, KEYS.ring(), found, value="from-the-first")
    await other
    rows = await world.database.pool.fetch("SELECT version FROM secret_versions ORDER BY version")
    assert [row["version"] for row in rows] == [1, 2, 3]


async def test_a_read_and_its_record_are_one(world: World) -> None:
    """What is handed out is on record: where the transaction ends badly, nothing was handed out and nothing is."""
    await put(world, "stripe-key", VALUE)
    async with world.transaction(commit=False) as engine:
        assert await use_secret(engine.database, await a_use(world), "project", Reference("stripe-key")) is not None
    assert await world.database.pool.fetchval("SELECT count(*) FROM secret_uses") == 0
    assert await world.database.pool.fetchval("SELECT count(*) FROM audit WHERE action = 'secret.read'") == 0


# Models


ASKS = """
version: 1
name: asks
steps:
  - {id: only, type: llm, with: {model: talker, prompt: who, max_output_tokens: 99}}
"""


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What this process logs."""
    written = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers, root.level
    log.configure(level="debug")
    root.handlers[0].setStream(written)  # type: ignore[attr-defined]
    for noisy in ("asyncio", "httpcore2", "httpx2", "openai"):
        logging.getLogger(noisy).setLevel(logging.DEBUG)
    yield written
    root.handlers = before
    root.setLevel(level)
    log.configure(level="warning")


@pytest.mark.parametrize("api_key", ["secret://talker-key", "sk-plain-in-the-settings-0123"])
async def test_the_key_of_a_model_leaves_for_the_model_alone(
    world: World, redis_url: str, logged: io.StringIO, api_key: str
) -> None:
    value = "sk-talker-0123456789abcdef" if api_key.startswith("secret:") else api_key
    await put(world, "talker-key", "sk-talker-0123456789abcdef", of_installation=True)
    async with talking() as talker, Listener(redis_url).listening() as redis:
        settings, models = talker.models(api_key)
        bell = RedisBell(make_app(redis_url), redis)
        runtime = replace(secretly(world), settings=settings, models=models, viewer=bell)
        run_id = await world.run(await world.workflow(ASKS))
        async with models:
            await world.work_until(run_id, runtime=runtime)
        await bell.close()
        kept = [str(await redis.get(name)) for name in await redis.keys("sparkops:text:*")]
    assert talker.keys == [value]
    assert await world.status(run_id) == "succeeded"
    (call,) = await world.calls(run_id)
    mark = "[secret:talker-key]" if api_key.startswith("secret:") else "[secret:setting]"
    assert call["response"]["text"].startswith(f"My key is {mark}, in base64 {mark}")
    assert kept == [str(call["response"]["text"].encode())]
    assert traces(value, "\n".join([*kept, logged.getvalue()])) == []
    assert traces(value, await everything_stored(world)) == []


async def test_everything_that_goes_through_redis_is_clean(world: World, redis_url: str) -> None:
    value = "sk-talker-0123456789abcdef"
    await put(world, "talker-key", value, of_installation=True)
    listener = Listener(redis_url)
    async with talking() as talker, listener.listening() as redis:
        settings, models = talker.models("secret://talker-key")
        bell = RedisBell(make_app(redis_url), redis)
        runtime = replace(secretly(world), settings=settings, models=models, viewer=bell)
        run_id = await world.run(await world.workflow(ASKS))
        async with models:
            await world.work_until(run_id, runtime=runtime)
        await bell.close()
    said = "\n".join(listener.heard)
    assert '"PUBLISH" "sparkops:stream:' in said
    assert traces(value, said) == []


async def test_a_model_endpoint_that_quotes_its_key_in_a_refusal_tells_nobody(world: World) -> None:
    value = "sk-talker-0123456789abcdef"
    await put(world, "talker-key", value, of_installation=True)
    async with talking() as talker:
        talker.refuses = True
        settings, models = talker.models("secret://talker-key")
        run_id = await world.run(await world.workflow(ASKS))
        async with models:
            await world.work_until(run_id, runtime=replace(secretly(world), settings=settings, models=models))
    error = (await world.steps(run_id))["only"]["error"]
    assert "Incorrect API key provided: [secret:talker-key]" in error["message"]
    assert traces(value, await everything_stored(world)) == []


async def test_a_new_version_of_a_models_key_is_used_by_the_next_call(world: World) -> None:
    await put(world, "talker-key", "sk-first-0123456789", of_installation=True)
    async with talking() as talker:
        settings, models = talker.models("secret://talker-key")
        runtime = replace(secretly(world), settings=settings, models=models)
        name = await world.workflow(ASKS)
        async with models:
            for _ in range(2):
                run_id = await world.run(name)
                await world.work_until(run_id, runtime=runtime)
                await put(world, "talker-key", "sk-second-0123456789", of_installation=True)
    assert talker.keys == ["sk-first-0123456789", "sk-second-0123456789"]


# Canaries

CANARIES = 200


async def test_of_two_hundred_canaries_none_is_stored_or_logged(world: World, logged: io.StringIO) -> None:
    values = {f"canary-{number}": chance.token_urlsafe(9 + number % 24) + '/+ é"' for number in range(CANARIES)}
    for name, value in values.items():
        await put(world, name, value)
    hows = ("", "", "fails", "breaks", "tells much")
    steps = [
        f"  - {{id: s{number}, type: tool, tool: shop.pay, on_error: continue,"
        f" with: {{key: 'secret://{name}', how: '{hows[number % len(hows)]}'}}}}"
        for number, name in enumerate(values)
    ]
    last = "  - {id: all, type: transform, needs: [s0, s1], with: {value: '${{ steps.s0.output }}'}}"
    source = "\n".join(["version: 1", "name: canaries", "steps:", *steps, last, ""])
    run_id = await world.run(await world.workflow(source))
    shop = Shop()
    await world.work_until(run_id, runtime=secretly(world, shop.tool), seconds=90)
    assert {paid["key"] for paid in shop.paid} == set(values.values()), "every canary has been out"
    stored, said = await everything_stored(world), logged.getvalue()
    assert stored.count("[secret:canary-") > CANARIES
    assert "cannot pay with [secret:canary-" in said
    found = {name: traces(value, stored) + traces(value, said) for name, value in values.items()}
    assert {name: forms for name, forms in found.items() if forms} == {}


QUERIES = """
version: 1
name: asks
steps:
  - {id: ask, type: tool, tool: sql.query, with: {connection: weather, sql: "SELECT current_user AS who"}}
output: ${{ steps.ask.output.rows[0].who }}
"""


async def test_the_address_of_a_database_is_a_secret_that_a_query_is_given_on_its_way_out(
    world: World, readers: Readers, app_url: str, logged: io.StringIO
) -> None:
    """A real query in a run, over a real connection; a new version holds from the next one on."""
    await readers.admin(f'GRANT CONNECT ON DATABASE "{make_url(app_url).database}" TO sparkops_app')
    connection = Connection(url=SecretStr("secret://weather-db"), projects=("lab",))
    world = replace(world, settings=world.settings.model_copy(update={"connections": {"weather": connection}}))
    name, urls = await world.workflow(QUERIES), []
    for _ in range(2):
        role = await readers.role()
        url = make_url(readers.servers.url(role, readers.database)).set(password=PASSWORD)
        urls.append(url.render_as_string(hide_password=False))
        await put(world, "weather-db", urls[-1], of_installation=True)
        run_id = await world.run(name)
        await world.work_until(run_id, runtime=secretly(world))
        assert (await world.row(run_id))["output"] == role, await world.row(run_id)
    uses = await world.database.pool.fetch("SELECT name, scope, version FROM secret_uses ORDER BY id")
    assert [tuple(row) for row in uses] == [("weather-db", "installation", 1), ("weather-db", "installation", 2)]
    said = await everything_stored(world) + logged.getvalue()
    assert [traces(url, said) for url in urls] == [[], []]
