"""Steps of types `llm` and `agent`: what models say."""

from uuid import UUID

from sparkops.core.json import Json
from sparkops.core.labels import trusted
from sparkops.core.schemas import is_closed
from sparkops.domains.agents.definition import AgentDefinition
from sparkops.runtime.agent import Toolbox, run_agent
from sparkops.runtime.llm_step import parse_parameters, run_llm
from sparkops.runtime.steps.base import Agent, Attempt, Runtime

_AGENT = "SELECT definition, version FROM agent_versions WHERE id = $1"


async def run_llm_step(attempt: Attempt) -> Json:
    """Return what the model answered."""
    parameters = parse_parameters(attempt.params)
    speaker = attempt.speaker(parameters.model, attempt.runtime.models.resolve(parameters, attempt.project))
    output = (await run_llm(parameters, gate=attempt.gate, speaker=speaker)).output
    labels = attempt.gate.labels
    if labels.seen and parameters.output_schema is not None and is_closed(parameters.output_schema):
        labels.hand_out(trusted(labels.seen))
    return output


async def run_agent_step(attempt: Attempt) -> Json:
    """Return what the agent came to, with what it used."""
    name = attempt.node.name or ""
    agent = await agent_of(attempt.runtime, UUID(attempt.claim.pins["agents"][name]))
    definition = agent.definition
    toolbox = Toolbox({tool: attempt.runtime.tools[tool] for tool in definition.tools}, attempt.context_for)
    speaker = attempt.speaker(definition.model, attempt.runtime.models.resolve(definition, attempt.project))
    result = await run_agent(
        definition,
        attempt.params["prompt"],
        name=name,
        gate=attempt.gate,
        speaker=speaker,
        toolbox=toolbox,
        version=agent.version,
        max_turns=attempt.params.get("max_turns"),
    )
    return {"text": result.text, "turns": result.turns, "model": result.model, "usage": result.usage.to_json()}


async def agent_of(runtime: Runtime, version_id: UUID) -> Agent:
    """Return a version of an agent, read once by each process."""
    known = runtime.agents.get(version_id)
    if known is None:
        row = await runtime.engine.database.pool.fetchrow(_AGENT, version_id)
        known = Agent(AgentDefinition.model_validate(row["definition"]), row["version"])
        runtime.agents[version_id] = known
    return known
