"""The built-in tools as definitions, and the smallest of them."""

import time
from dataclasses import replace
from typing import cast

from sparkops.core.schemas import schema_errors
from sparkops.domains.effects.state import EffectClass
from sparkops.runtime.tools.base import ToolContext
from sparkops.runtime.tools.registry import builtin_tools

NO_CONTEXT = cast(ToolContext, None)


def test_every_tool_has_a_digest_that_changes_with_its_definition() -> None:
    tools = builtin_tools()
    assert set(tools) == {"noop", "sql.query", "sql.execute", "files.read", "files.write"}
    assert len({tool.hash for tool in tools.values()}) == 5
    assert {name: tool.hash for name, tool in builtin_tools().items()} == {
        name: tool.hash for name, tool in tools.items()
    }
    noop = tools["noop"]
    for changed in (
        replace(noop, description="Does harm."),
        replace(noop, parameters={"type": "object"}),
        replace(noop, effect_class=EffectClass.UNSAFE),
    ):
        assert changed.hash != noop.hash


def test_what_may_be_repeated_is_said() -> None:
    classes = {name: tool.effect_class for name, tool in builtin_tools().items()}
    assert classes == {
        "noop": EffectClass.PURE,
        "sql.query": EffectClass.PURE,
        "sql.execute": EffectClass.UNSAFE,
        "files.read": EffectClass.PURE,
        "files.write": EffectClass.IDEMPOTENT,
    }


async def test_noop_waits_and_gives_its_arguments_back() -> None:
    noop = builtin_tools()["noop"]
    began = time.monotonic()
    result = await noop.run({"delay_ms": 30, "note": "x"}, NO_CONTEXT)
    assert time.monotonic() - began >= 0.03
    assert (result.output, result.cost_micros) == ({"delay_ms": 30, "note": "x"}, 0)
    assert schema_errors(noop.validator, {"delay_ms": 60_001})
