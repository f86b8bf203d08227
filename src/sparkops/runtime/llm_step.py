"""A step of type `llm`: one model call, its answer as text or as checked JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from sparkops.core.json import Json, loads
from sparkops.core.model_spec import ModelSpec, shape_errors
from sparkops.core.schemas import compile_schema, schema_errors
from sparkops.runtime.effects import Gate, StepFailed
from sparkops.runtime.llm.base import ModelAnswer, ModelRequest, UserMessage
from sparkops.runtime.llm.effect import Speaker

DEFAULT_MAX_OUTPUT_TOKENS = 1_024


class LlmParameters(ModelSpec):
    """The `with` of an `llm` step, its expressions evaluated."""

    prompt: str = Field(min_length=1)
    system: str | None = None
    max_output_tokens: int = Field(default=DEFAULT_MAX_OUTPUT_TOKENS, ge=1, le=1_000_000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    output_schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class LlmResult:
    """`output` is the text, or the JSON value that fits `output_schema`."""

    output: Json
    answer: ModelAnswer


def parse_parameters(parameters: Mapping[str, Any]) -> LlmParameters:
    """Return the parameters of an `llm` step.

    Raises:
        StepFailed: an expression gave something that does not fit.
    """
    try:
        return LlmParameters.model_validate(dict(parameters))
    except ValidationError as error:
        wrong = "; ".join(f"{found['path']}: {found['message']}" for found in shape_errors(error, LlmParameters))
        raise StepFailed("invalid-parameters", f"The parameters of the step do not fit: {wrong}.") from None


async def run_llm(parameters: LlmParameters, *, gate: Gate, speaker: Speaker) -> LlmResult:
    """Ask once and return the answer.

    Raises:
        StepFailed: the call was denied or failed, or the answer does not fit `output_schema`. A recorded answer is
            never asked for again, so an answer that does not fit fails the step for good. Exceptions of the gate pass.
    """
    request = ModelRequest(
        messages=(UserMessage(parameters.prompt),),
        max_output_tokens=parameters.max_output_tokens,
        system=parameters.system,
        temperature=parameters.temperature,
        output_schema=parameters.output_schema,
    )
    answer = await speaker.ask(gate, request, {})
    if parameters.output_schema is None:
        return LlmResult(answer.text, answer)
    return LlmResult(_structured(answer, parameters.output_schema), answer)


def _structured(answer: ModelAnswer, schema: Mapping[str, Any]) -> Json:
    try:
        value: Json = loads(answer.text)
    except ValueError:
        cut = " It was cut at max_output_tokens; raise it." if answer.finish_reason == "length" else ""
        raise StepFailed("invalid-output", f"The model did not answer with JSON.{cut}") from None
    try:
        wrong = schema_errors(compile_schema(schema, formats=True), value)
    except ValueError as error:
        raise StepFailed("invalid-parameters", f"output_schema is not a usable JSON Schema: {error}.") from None
    if wrong:
        raise StepFailed("invalid-output", "The model's answer does not fit output_schema: " + "; ".join(wrong))
    return value
