"""Steps of types `llm` and `agent`: what models say."""

from uuid import UUID

from sparkops.core.json import Json
from sparkops.domains.agents.definition import AgentDefinition
from sparkops.runtime.agent import Toolbox, run_agent
from sparkops.runtime.llm.effect import Speaker
from sparkops.runtime.llm_step import parse_parameters, run_llm
from sparkops.runtime.steps.base import Attempt, Runtime

_AGENT = "SELECT definition FROM agent_versions WHERE id = $1"


async def run_llm_step(attempt: Attempt) -> Json:
    """Return what the model answered."""
    parameters = parse_parameters(attempt.params)
    speaker = Speaker(parameters.model, attempt.runtime.models.resolve(parameters), attempt.listener())
    return (await run_llm(parameters, gate=attempt.gate, speaker=speaker)).output


async def run_agent_step(attempt: Attempt) -> Json:
    """Return what the agent came to, with what it used."""
    name = attempt.node.name or ""
    definition = await _agent_definition(attempt.runtime, UUID(attempt.claim.pins["agents"][name]))
    toolbox = Toolbox({tool: attempt.runtime.tools[tool] for tool in definition.tools}, attempt.context_for)
    speaker = Speaker(definition.model, attempt.runtime.models.resolve(definition), attempt.listener())
    result = await run_agent(
        definition,
        attempt.params["prompt"],
        name=name,
        gate=attempt.gate,
        speaker=speaker,
        toolbox=toolbox,
        max_turns=attempt.params.get("max_turns"),
    )
    return {"text": result.text, "turns": result.turns, "model": result.model, "usage": result.usage.to_json()}


async def _agent_definition(runtime: Runtime, version_id: UUID) -> AgentDefinition:
    known = runtime.agents.get(version_id)
    if known is None:
        document = await runtime.engine.database.pool.fetchval(_AGENT, version_id)
        known = runtime.agents[version_id] = AgentDefinition.model_validate(document)
    return known
