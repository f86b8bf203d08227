"""Which model a definition names, at what price, and the script that may stand in for one.

Agents and `llm` steps share this shape. A scripted model is a declared, deterministic stand-in for use without a key.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sparkops.core.durations import DURATION_HINT, parse_duration
from sparkops.core.expression_text import suggest
from sparkops.core.expressions import Expression, ExpressionInvalid, ValueType, compile_expression
from sparkops.core.templates import compile_template, compile_value, unwrap

SCRIPTED = "scripted"
SCRIPT_VARIABLES: Final = {
    "prompt": ValueType.STRING,
    "turn": ValueType.INT,
    "results": ValueType.LIST,
    "messages": ValueType.LIST,
}
"""What a script's expressions see: `results` are the tool results so far, {tool, arguments, output, is_error} each."""
MAX_SCRIPT_TURNS = 200


class Closed(BaseModel):
    """A part of a definition: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise ValueError("must be a number of dollars")
    return value


def _duration(value: str | None) -> str | None:
    if value is not None:
        parse_duration(value)
    return value


Usd = Annotated[Decimal, Field(ge=0, le=1_000_000), AfterValidator(_finite)]


class Price(Closed):
    """A stated price, in dollars for a million tokens. What is not stated of the last three costs what the others cost:
    input that came from the provider's cache, input written to it, and output spent on reasoning."""

    input_usd_per_million: Usd
    output_usd_per_million: Usd
    cached_input_usd_per_million: Usd | None = None
    cache_write_usd_per_million: Usd | None = None
    reasoning_usd_per_million: Usd | None = None


class ScriptUsage(Closed):
    """What a scripted turn claims to have used."""

    input_tokens: int = Field(ge=0, le=100_000_000)
    output_tokens: int = Field(ge=0, le=100_000_000)


class ScriptToolCall(Closed):
    """A tool call of a scripted turn; strings in `arguments` may hold `${{ expressions }}`."""

    tool: str = Field(min_length=1, max_length=200)
    arguments: dict[str, Any] = Field(default_factory=dict)


class ScriptTurn(Closed):
    """What the stand-in says at one model call: text, tool calls, or both."""

    when: str | None = None
    """Must hold, or the call fails: a script that no longer fits its workflow says so."""
    text: str | None = None
    tool_calls: tuple[ScriptToolCall, ...] = Field(default=(), max_length=100)
    usage: ScriptUsage | None = None
    delay: Annotated[str | None, AfterValidator(_duration)] = Field(default=None, description=DURATION_HINT)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.text is None and not self.tool_calls:
            raise ValueError("a turn needs text or tool_calls")
        return self


class Script(Closed):
    """The turns of a scripted model: the n-th model call of a step uses the n-th."""

    turns: tuple[ScriptTurn, ...] = Field(min_length=1, max_length=MAX_SCRIPT_TURNS)
    price: Price | None = None
    """None: the calls cost nothing."""


class ModelSpec(Closed):
    """The choice of a model: `default`, another name from the settings, or `scripted` with its script."""

    model: str = Field(min_length=1, max_length=200)
    script: Script | None = None
    price: Price | None = None
    """States the price where the library of known prices does not know the model."""

    @model_validator(mode="after")
    def _script_with_scripted(self) -> Self:
        if self.model == SCRIPTED and self.script is None:
            raise ValueError("model: scripted needs a script")
        if self.model != SCRIPTED and self.script is not None:
            raise ValueError("a script is only for model: scripted")
        return self


def shape_errors(error: ValidationError, model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return what is wrong with the shape of a definition: path, message, and a hint where one helps."""
    return [_shape_error(dict(found), model) for found in error.errors()]


def _shape_error(found: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    loc = tuple(found["loc"])
    item: dict[str, Any] = {"path": dotted(loc), "message": _message(found)}
    if found["type"] == "extra_forbidden":
        near = suggest(str(loc[-1]), model.model_fields) if len(loc) == 1 else None
        item["hint"] = near or (f"known keys: {', '.join(model.model_fields)}" if len(loc) == 1 else None)
    return {key: value for key, value in item.items() if value is not None}


def _message(found: dict[str, Any]) -> str:
    if found["type"] == "extra_forbidden":
        return f"unknown key {found['loc'][-1]}"
    if found["type"] == "missing":
        return f"{found['loc'][-1]} is missing"
    return str(found["msg"]).removeprefix("Value error, ")


def dotted(path: Iterable[str | int]) -> str:
    """Return a path as it stands in errors, such as `script.turns.0.text`."""
    return ".".join(str(part) for part in path)


def script_errors(script: Script, *, at: tuple[str | int, ...] = ("script",)) -> list[dict[str, Any]]:
    """Return every expression of the script that cannot be compiled, with its path, position and a hint."""
    errors: list[dict[str, Any]] = []
    for number, turn in enumerate(script.turns):
        here = (*at, "turns", number)
        errors += _compiles(partial(compile_when, turn.when or "true"), (*here, "when"))
        errors += _compiles(partial(compile_template, turn.text or "", SCRIPT_VARIABLES), (*here, "text"))
        for place, call in enumerate(turn.tool_calls):
            path = (*here, "tool_calls", place, "arguments")
            errors += _compiles(partial(compile_value, dict(call.arguments), SCRIPT_VARIABLES), path)
    return errors


def compile_when(source: str) -> Expression:
    """Return the compiled condition of a scripted turn, with or without `${{ }}` around it.

    Raises:
        ExpressionInvalid: it cannot be compiled, or is no condition.
    """
    return compile_expression(unwrap(source)[0], SCRIPT_VARIABLES, result=ValueType.BOOL)


def _compiles(compile_it: Callable[[], object], path: tuple[str | int, ...]) -> list[dict[str, Any]]:
    try:
        compile_it()
    except ExpressionInvalid as error:
        return [
            {
                "path": dotted((*path, *problem.path)),
                "line": problem.line,
                "column": problem.column,
                "message": problem.message,
                **({"hint": problem.hint} if problem.hint else {}),
            }
            for problem in error.problems
        ]
    return []
