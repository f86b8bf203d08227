"""What calls cost arrives in the ledger to the micro: tokens of every kind, tools, failures, and what nobody knows."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from sparkops.domains.budgets.definition import NewBudget
from sparkops.domains.effects.state import EffectClass
from sparkops.engine.budgets import define_budget
from sparkops.messenger.app import make_app
from sparkops.runtime.effects import CallFailed, OutcomeUnknown
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult
from sparkops.runtime.tools.registry import priced
from sparkops.worker.app import open_runtime
from tests.engine.acts import ONE_STEP
from tests.engine.conftest import World
from tests.engine.secretly import Talker, talking
from tests.reused import Clone

ASKS = """
version: 1
name: asks
steps:
  - {id: only, type: llm, with: {model: talker, prompt: who, max_output_tokens: 99}}
"""
AGAIN = ASKS.replace("name: asks", "name: again").replace("type: llm", "type: llm, retry: {attempts: 2, backoff: 1ms}")
USES = "version: 1\nname: uses\nsteps:\n  - {id: only, type: tool, tool: meter, retry: {attempts: 1}}\n"
PRICES = {
    "input_usd_per_million": "1",
    "output_usd_per_million": "10",
    "cached_input_usd_per_million": "0.1",
    "cache_write_usd_per_million": "1.25",
    "reasoning_usd_per_million": "20",
}
PLAIN = {"input_usd_per_million": "0.15", "output_usd_per_million": "0.15"}


def used(
    read: Any, said: Any, *, cached: int | None = None, written: int | None = None, reasoned: int | None = None
) -> dict[str, Any]:
    """What an endpoint says that it used, in the usual words."""
    return {
        "prompt_tokens": read,
        "completion_tokens": said,
        "total_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoned},
    }


@pytest.fixture
async def shared(world: World) -> UUID:
    """A budget of the project, which everything is counted on beside the run's own."""
    stated = NewBudget.model_validate({"name": "all", "scope": "project", "period": "total", "limit_micros": 10**9})
    return await define_budget(world.engine, world.ada, world.project_id, stated)


@pytest.fixture
async def talker() -> AsyncIterator[Talker]:
    async with talking() as there:
        yield there


async def asked(world: World, talker: Talker, source: str = ASKS, **stated: Any) -> UUID:
    """Run a workflow that asks the talker at the stated prices, to its end."""
    settings, models = talker.models("sk-of-who-is-paid", **stated)
    run_id = await world.run(await world.workflow(source), budget_micros=10**9)
    async with models:
        await world.work_until(run_id, runtime=replace(world.runtime(), settings=settings, models=models))
    return run_id


async def ledger(world: World) -> list[tuple[int, str]]:
    """The lines of the run's own budget: amounts in micros, and whether they are known or presumed."""
    rows = await world.database.pool.fetch(
        "SELECT l.amount_micros, l.kind FROM ledger_entries l JOIN budgets b ON b.id = l.budget_id"
        " WHERE b.definition_id IS NULL ORDER BY l.at, l.id"
    )
    return [tuple(row) for row in rows]


async def spent(world: World) -> set[tuple[int, int]]:
    """What is held and spent of every budget; all of them count the same here."""
    rows = await world.database.pool.fetch("SELECT reserved_micros, spent_micros FROM budgets")
    return {tuple(row) for row in rows}


# Tokens


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        pytest.param(used(1000, 100), 2000, id="plain"),
        pytest.param(used(1000, 100, cached=800), 200 + 80 + 1000, id="read from the cache"),
        pytest.param(used(1000, 100, written=400), 600 + 500 + 1000, id="written to the cache"),
        pytest.param(used(1000, 100, cached=500, written=300), 200 + 50 + 375 + 1000, id="read and written"),
        pytest.param(used(1000, 100, reasoned=60), 1000 + 400 + 1200, id="reasoning"),
        pytest.param(used(100, 10, cached=800), 100 + 80 + 100, id="cached input beside the input"),
        pytest.param(used(100, 10, written=800), 100 + 1000 + 100, id="written input beside the input"),
        pytest.param(used(100, 10, reasoned=60), 100 + 100 + 1200, id="reasoning beside the output"),
        pytest.param(
            used(1000, 100) | {"cache_read_input_tokens": 500, "cache_creation_input_tokens": 300},
            200 + 50 + 375 + 1000,
            id="other words for the cache",
        ),
        pytest.param(used(1000, 100) | {"prompt_cache_hit_tokens": 800}, 200 + 80 + 1000, id="yet other words"),
    ],
)
async def test_tokens_of_every_kind_are_charged_at_their_price(
    world: World, talker: Talker, usage: Mapping[str, Any], cost: int
) -> None:
    talker.usage = usage
    run_id = await asked(world, talker, **PRICES)
    (call,) = await world.calls(run_id)
    assert (call["status"], call["cost_micros"]) == ("done", cost)
    assert (await ledger(world), await spent(world)) == ([(cost, "actual")], {(0, cost)})
    assert await world.database.pool.fetchval("SELECT count(*) FROM ledger_entries") == 2


async def test_the_known_price_of_a_model_is_charged_with_what_it_says_of_the_cache(
    world: World, talker: Talker
) -> None:
    talker.usage = used(1_000_000, 0, cached=1_000_000)
    await asked(world, talker, model="gpt-4o-mini")
    assert await ledger(world) == [(75_000, "actual")]


@pytest.mark.parametrize("usage", [used(10, 0, cached=20), used(10, 0, cached=6, written=6)])
async def test_cached_input_beside_the_input_loses_no_answer_at_a_known_price(
    world: World, talker: Talker, usage: Mapping[str, Any]
) -> None:
    talker.usage = usage
    run_id = await asked(world, talker, model="claude-sonnet-4-5")
    (call,) = await world.calls(run_id)
    assert (await world.status(run_id), call["sends"], call["status"]) == ("succeeded", 1, "done")
    assert await ledger(world) == [(call["cost_micros"], "actual")]


@pytest.mark.filterwarnings("ignore:Failed to extract usage", "ignore:Pydantic serializer warnings")
@pytest.mark.parametrize(
    "usage", [None, used(0, 0), used(-10, 5), used(10.5, 5), used(10**12, 5), used(10, 5, cached=-4)]
)
async def test_usage_that_cannot_be_is_charged_at_what_was_held(world: World, talker: Talker, usage: Any) -> None:
    talker.usage = usage
    run_id = await asked(world, talker, **PRICES)
    held = await world.database.pool.fetchval("SELECT amount_micros FROM reservations")
    assert held > 99 * 20
    assert (await world.status(run_id), await ledger(world)) == ("succeeded", [(held, "actual")])


@pytest.mark.parametrize(("tokens", "micros"), [(3, 0), (10, 2), (30, 4), (50, 8), (4, 1)])
async def test_a_charge_is_rounded_once_half_to_even(world: World, talker: Talker, tokens: int, micros: int) -> None:
    talker.usage = used(tokens, 0)
    await asked(world, talker, **PLAIN)
    assert await ledger(world) == ([(micros, "actual")])


@pytest.mark.usefixtures("shared")
async def test_what_is_spent_is_the_sum_of_the_lines(world: World, talker: Talker) -> None:
    many = "version: 1\nname: many\nsteps:\n" + "".join(
        f"  - {{id: s{n}, type: llm, with: {{model: talker, prompt: p{n}, max_output_tokens: 9}}}}\n" for n in range(7)
    )
    talker.usage = used(11, 3)
    await asked(world, talker, many, **PLAIN)
    lines = await ledger(world)
    assert lines == [(2, "actual")] * 7, "2.1 micros each, and no fraction is carried on"
    assert await spent(world) == {(0, 14)}


# Calls that fail


async def test_a_call_that_is_refused_costs_nothing(world: World, talker: Talker) -> None:
    talker.refuses = True
    run_id = await asked(world, talker, **PRICES)
    (call,) = await world.calls(run_id)
    assert (call["status"], call["cost_micros"]) == ("failed", 0)
    assert (await ledger(world), await spent(world)) == ([], {(0, 0)})


class BreaksOff(Talker):
    """Its first answer breaks off in the middle."""

    def text(self, key: str) -> bytes:
        whole = super().text(key)
        return whole if len(self.keys) > 1 else whole[: len(whole) // 2]


async def test_a_call_whose_answer_was_lost_is_charged_at_what_was_held_and_the_next_at_its_cost(world: World) -> None:
    async with talking(BreaksOff(usage=used(100, 10))) as talker:
        run_id = await asked(world, talker, AGAIN, **PRICES)
    assert await world.status(run_id) == "succeeded"
    held = await world.database.pool.fetchval("SELECT amount_micros FROM reservations ORDER BY held_at LIMIT 1")
    assert await ledger(world) == [(held, "presumed"), (200, "actual")]
    assert await spent(world) == {(0, held + 200)}


async def test_an_answer_that_the_step_cannot_use_is_charged(world: World, talker: Talker) -> None:
    talker.usage = used(100, 10)
    closed = ASKS.replace("max_output_tokens: 99", "max_output_tokens: 99, output_schema: {type: object}")
    run_id = await asked(world, talker, closed, **PRICES)
    assert await world.status(run_id) == "failed"
    assert (200, "actual") in await ledger(world)


# Prices that nobody knows


@pytest.mark.parametrize(
    "stated",
    [{"model": "nobody-knows-it"}, {"input_usd_per_million": "1"}, {"cached_input_usd_per_million": "0"}],
    ids=["unknown", "no price of output", "only that of the cache"],
)
@pytest.mark.parametrize("otherwise", [{}, {"unknown_price": "refuse"}])
async def test_a_model_without_a_price_is_not_asked(
    world: World, talker: Talker, stated: Mapping[str, Any], otherwise: Mapping[str, Any]
) -> None:
    run_id = await asked(world, talker, **stated, **otherwise)
    step = (await world.steps(run_id))["only"]
    assert (step["status"], step["error"]["code"]) == ("failed", "price-unknown")
    assert (talker.keys, await world.calls(run_id)) == ([], [])


async def test_a_model_whose_price_nobody_knows_is_free_where_the_settings_say_so(world: World, talker: Talker) -> None:
    run_id = await asked(world, talker, unknown_price="free")
    assert (await world.status(run_id), len(talker.keys)) == ("succeeded", 1)
    assert (await ledger(world), await spent(world)) == ([], {(0, 0)})


async def test_half_a_price_is_none_whatever_the_settings_say_of_unknown_ones(world: World, talker: Talker) -> None:
    await asked(world, talker, model="gpt-4o-mini", output_usd_per_million="1", unknown_price="free")
    assert talker.keys == []


# Tools


def meter(how: str = "answers") -> Tool:
    """A tool that tells what is held for it while it is used, or does not."""

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        if how == "fails":
            raise CallFailed("broken", "it is broken", retryable=False)
        if how == "loses":
            raise OutcomeUnknown("nobody knows")
        return ToolResult({"held": await context.database.pool.fetchval("SELECT max(reserved_micros) FROM budgets")})

    return Tool("meter", "Tells.", {"type": "object"}, EffectClass.IDEMPOTENT, run)


async def used_meter(world: World, how: str, *, budget: int = 10_000) -> UUID:
    """Run a workflow that uses the meter, at a fifth of a cent, to its end."""
    world.tools.update(priced({"meter": meter(how)}, {"meter": Decimal("0.002")}))
    run_id = await world.run(await world.workflow(USES), budget_micros=budget)
    await world.work_until(run_id)
    return run_id


@pytest.mark.usefixtures("shared")
async def test_the_price_of_a_tool_is_held_while_it_is_used_and_then_spent(world: World) -> None:
    run_id = await used_meter(world, "answers")
    assert (await world.steps(run_id))["only"]["output"] == {"held": 2_000}
    assert (await ledger(world), await spent(world)) == ([(2_000, "actual")], {(0, 2_000)})


@pytest.mark.parametrize(("how", "lines"), [("fails", []), ("loses", [(2_000, "presumed")])])
async def test_a_tool_that_does_not_answer_costs_nothing_unless_nobody_knows(
    world: World, how: str, lines: list[tuple[int, str]]
) -> None:
    run_id = await used_meter(world, how)
    assert (await world.status(run_id), await ledger(world)) == ("failed", lines)


async def test_a_tool_whose_price_does_not_fit_is_not_used(world: World) -> None:
    run_id = await used_meter(world, "loses", budget=1_999)
    assert (await world.steps(run_id))["only"]["error"]["code"] == "budget-exceeded"
    assert (await ledger(world), await spent(world)) == ([], {(0, 0)})


async def test_a_worker_charges_what_the_settings_say_of_a_tool_that_stays_in_its_process(
    world: World, clone: Clone, redis_url: str
) -> None:
    prices = {"noop": "0.002"}
    stated = {"data_dir": world.settings.data_dir, "app_database_url": clone.app_url, "redis_url": redis_url}
    settings = type(world.settings).model_validate({**stated, "tool_prices": prices})
    run_id = await world.run(await world.workflow(ONE_STEP))
    async with open_runtime(settings, make_app(redis_url)) as runtime:
        await world.work_until(run_id, runtime=runtime)
    (call,) = await world.calls(run_id)
    assert (call["cost_micros"], await ledger(world)) == (2_000, [(2_000, "actual")])
