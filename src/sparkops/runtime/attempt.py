"""Executes ONE attempt of ONE step and says how it ended. Effects go through the gate; nothing is written here."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import structlog

from sparkops.core.blobs import Blobs
from sparkops.core.config import Settings
from sparkops.core.durations import parse_duration
from sparkops.core.errors import SparkOpsError
from sparkops.core.expressions import ExpressionError
from sparkops.core.ids import new_id
from sparkops.core.json import Json, digest
from sparkops.core.schemas import schema_errors
from sparkops.domains.agents.definition import AgentDefinition
from sparkops.domains.approvals.state import ApprovalStatus
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.advance import advance_run
from sparkops.engine.claim import Claim
from sparkops.engine.complete import Ended
from sparkops.engine.context import Engine
from sparkops.engine.errors import CancelRequested, Fenced, NonDeterministic
from sparkops.engine.graph import Graph, Node
from sparkops.engine.params import Context, StepView, render_with
from sparkops.engine.retry import next_attempt
from sparkops.engine.wait import ask, wait_for_approvals
from sparkops.runtime.agent import Toolbox, run_agent, tool_effect
from sparkops.runtime.effects import CallFailed, Dispatch, StepFailed
from sparkops.runtime.gate import Parked, RecordedGate
from sparkops.runtime.llm.effect import OnCallText, Speaker, failure, perform_anew
from sparkops.runtime.llm.registry import Models
from sparkops.runtime.llm_step import parse_parameters, run_llm
from sparkops.runtime.policies import PolicyCache
from sparkops.runtime.tools.base import Tool, ToolContext
from sparkops.runtime.trust import Trust

log = structlog.get_logger()
_jitter = SystemRandom()

_BUG = {"code": "internal-error", "message": "The platform broke down in this step; the worker's log says why."}

DEFAULT_QUESTION_SECONDS = 24 * 3600

_AGENT = "SELECT definition FROM agent_versions WHERE id = $1"


class Viewer(Protocol):
    """Where the text of a model's answer is shown while it comes. Losing a piece loses nothing."""

    async def text(self, run_id: UUID, step_id: UUID, call_id: UUID, offset: int, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """What attempts of this process share."""

    engine: Engine
    settings: Settings
    blobs: Blobs
    models: Models
    tools: Mapping[str, Tool]
    policies: PolicyCache
    viewer: Viewer
    agents: dict[UUID, AgentDefinition] = field(default_factory=dict)
    """Agent versions never change, so each is read once."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt and what it works with."""

    runtime: Runtime
    claim: Claim
    graph: Graph
    node: Node
    params: Mapping[str, Any]
    gate: RecordedGate

    def context_for(self, dispatch: Dispatch) -> ToolContext:
        return ToolContext(
            project_id=self.claim.project_id,
            run_id=self.claim.run_id,
            step_id=self.claim.lease.step_id,
            call_id=dispatch.call_id,
            database=self.runtime.engine.database,
            blobs=self.runtime.blobs,
            settings=self.runtime.settings,
            deadline=dispatch.deadline,
        )

    def listener(self) -> OnCallText:
        """Return what shows a model's text on the page, with the offset of each piece within its call."""
        shown: dict[UUID, int] = {}

        async def show(call_id: UUID, text: str) -> None:
            offset = shown.get(call_id, 0)
            shown[call_id] = offset + len(text)
            claim = self.claim
            await self.runtime.viewer.text(claim.run_id, claim.lease.step_id, call_id, offset, text)

        return show


async def execute(runtime: Runtime, claim: Claim, trust: Trust) -> Ended | None:
    """Run one attempt to its end, or return None when the step was parked and needs no worker.

    Raises:
        Fenced: another worker has the step; nothing more may be written.
    """
    graph = await runtime.engine.graphs.get(runtime.engine.database.pool, claim.workflow_version_id)
    node = graph.by_key[claim.key]
    deadline = time.monotonic() + claim.timeout_seconds if claim.timeout_seconds else None
    gate = RecordedGate(
        runtime.engine,
        claim,
        runtime.policies,
        trust,
        facts={"workflow": graph.definition.name, "step": claim.key},
        deadline=deadline,
        rides_along=node.type in ("tool", "llm"),
    )
    try:
        params = render_with(node, _context(claim))
        async with asyncio.timeout(claim.timeout_seconds) as limit:
            output = await _perform(_Attempt(runtime, claim, graph, node, params, gate))
    except Parked as parked:
        await _park(runtime, claim, parked)
        return None
    except TimeoutError:
        if not limit.expired():
            raise  # the database's, not the step's
        error = {"code": "timeout", "message": f"The attempt took longer than {claim.timeout_seconds:g} s."}
        return _failed(claim, node, gate, error, retryable=True)
    except (StepFailed, CallFailed) as failed:
        return _failed(claim, node, gate, dict(failed.error), retryable=failed.retryable)
    except (CancelRequested, NonDeterministic, ExpressionError) as refused:
        return _failed(claim, node, gate, _error(refused), retryable=False)
    except (Fenced, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        raise  # another worker has the step, or the database does not answer: that says nothing about the step
    except Exception:  # a bug must cost its step an attempt, not a lease and the blame for a crash
        log.exception("step.broke", step_id=str(claim.lease.step_id), attempt=claim.lease.attempt)
        return _failed(claim, node, gate, _BUG, retryable=True)
    return _ended(claim, gate, StepStatus.SUCCEEDED, output=output)


def _context(claim: Claim) -> Context:
    steps = {key: StepView(step["output"], step["status"]) for key, step in claim.steps.items()}
    return Context(claim.input or {}, steps, str(claim.run_id))


async def _perform(attempt: _Attempt) -> Json:
    match attempt.node.type:
        case "tool":
            return await _tool(attempt)
        case "llm":
            return await _llm(attempt)
        case "agent":
            return await _agent(attempt)
        case "approval":
            return await _approval(attempt)
        case other:
            raise StepFailed("unknown-type", f"This release cannot execute steps of type {other}.")


async def _tool(attempt: _Attempt) -> Json:
    tool = attempt.runtime.tools[attempt.node.name or ""]
    wrong = schema_errors(tool.validator, dict(attempt.params))
    if wrong:
        raise StepFailed("invalid-arguments", "The arguments do not fit: " + "; ".join(wrong))
    outcome = await perform_anew(attempt.gate, tool_effect(tool, attempt.params, attempt.context_for))
    if outcome.status != "done":
        raise failure(outcome)
    return outcome.response


async def _llm(attempt: _Attempt) -> Json:
    parameters = parse_parameters(attempt.params)
    speaker = Speaker(parameters.model, attempt.runtime.models.resolve(parameters), attempt.listener())
    return (await run_llm(parameters, gate=attempt.gate, speaker=speaker)).output


async def _agent(attempt: _Attempt) -> Json:
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


async def _approval(attempt: _Attempt) -> Json:
    """Ask once; wait until a person has answered; then go on with the answer, or fail with a refusal."""
    request = {"title": attempt.params["title"], "show": attempt.params.get("show")}
    expires = attempt.params.get("expires")
    seconds = parse_duration(expires).total_seconds() if expires else DEFAULT_QUESTION_SECONDS
    answer = await ask(
        attempt.runtime.engine,
        attempt.claim,
        {
            "approval_id": str(new_id()),
            "title": request["title"],
            "request": request,
            "request_hash": digest(request),
            "seconds": seconds,
        },
    )
    match ApprovalStatus(answer["status"]):
        case ApprovalStatus.PENDING:
            raise Parked([UUID(answer["approval_id"])])
        case ApprovalStatus.APPROVED:
            return {"approved": True, "by": answer["decided_by"], "comment": answer["comment"]}
        case ApprovalStatus.REJECTED:
            raise StepFailed("rejected", f"A person rejected this: {answer['comment'] or 'no reason given'}")
        case _:
            raise StepFailed("approval-expired", "Nobody answered in time.")


async def _park(runtime: Runtime, claim: Claim, parked: Parked) -> None:
    if parked.approvals:
        await wait_for_approvals(runtime.engine, claim, parked.approvals)
    else:
        await advance_run(runtime.engine, claim.run_id)


def _failed(claim: Claim, node: Node, gate: RecordedGate, error: Mapping[str, Any], *, retryable: bool) -> Ended:
    """End the attempt as its retry policy says: try again after a while, or fail for good."""
    delay = next_attempt(node.retry, claim.failures + 1, retryable=retryable, random=_jitter)
    status = StepStatus.FAILED if delay is None else StepStatus.READY
    return _ended(claim, gate, status, error=error, retry_in=delay)


def _ended(claim: Claim, gate: RecordedGate, status: StepStatus, **how: Any) -> Ended:
    return Ended(claim, status, results=gate.unrecorded, noted=gate.noted, policy_version=gate.policy_version, **how)


def _error(refused: SparkOpsError) -> dict[str, Any]:
    return {"code": refused.code, "message": refused.detail}
