"""Executes ONE attempt of ONE step and says how it ended. Effects go through the gate; nothing is written here."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from random import SystemRandom
from typing import Any, Final

import asyncpg
import structlog

from sparkops.core.db import NO_ANSWER
from sparkops.core.errors import SparkOpsError, Unavailable
from sparkops.core.expressions import ExpressionError
from sparkops.core.json import Json
from sparkops.core.payloads import Stored, ValueLost, ValueTooLarge
from sparkops.domains.runs.state import StepStatus
from sparkops.engine.advance import advance_soon
from sparkops.engine.claim import Claim
from sparkops.engine.complete import Ended
from sparkops.engine.decide import OUTPUT_TOO_LARGE
from sparkops.engine.errors import CancelRequested, Fenced, Halted, NonDeterministic
from sparkops.engine.expand import TooManySteps
from sparkops.engine.graph import Graph, Node
from sparkops.engine.params import Context, FrameView, StepView
from sparkops.engine.put_back import Why, put_back
from sparkops.engine.retry import next_attempt
from sparkops.engine.wait import wait_for_approvals, wait_for_budget
from sparkops.runtime.effects import CallFailed, StepFailed
from sparkops.runtime.gate import Parked, RecordedGate
from sparkops.runtime.labels import labels_of
from sparkops.runtime.steps.approval import run_approval
from sparkops.runtime.steps.base import Attempt, LetGo, Runtime, Viewer, Waiting
from sparkops.runtime.steps.loop import run_loop
from sparkops.runtime.steps.map import run_map
from sparkops.runtime.steps.model import run_agent_step, run_llm_step
from sparkops.runtime.steps.start import ask_to_start
from sparkops.runtime.steps.tool import run_tool
from sparkops.runtime.steps.wait import run_wait
from sparkops.runtime.steps.workflow import run_workflow
from sparkops.runtime.trust import Trust

__all__ = ["Runtime", "Viewer", "Waiting", "execute"]

log = structlog.get_logger()
_jitter = SystemRandom()

_BUG = {"code": "internal-error", "message": "The platform broke down in this step; the worker's log says why."}
_REFUSED = (CancelRequested, NonDeterministic, ExpressionError, TooManySteps, ValueTooLarge)
_UNREADABLE = (Unavailable, ValueLost)
"""A large value cannot be read or written; it may be back when the step is tried again."""

_KINDS: Final[Mapping[str, Callable[[Attempt], Awaitable[Json]]]] = {
    "tool": run_tool,
    "llm": run_llm_step,
    "agent": run_agent_step,
    "approval": run_approval,
    "wait": run_wait,
    "workflow": run_workflow,
    "map": run_map,
    "loop": run_loop,
}


async def execute(
    runtime: Runtime, claim: Claim, trust: Trust, unrecorded: list[Mapping[str, Any]] | None = None
) -> Ended | Waiting:
    """Run one attempt to its end, or until the step was parked or given back and needs no worker.

    `unrecorded`: an empty list, in which lie at any time the outcomes that have come back and are not written yet. Who
    cancels this has to write them.

    Raises:
        Fenced: another worker has the step; nothing more may be written.
    """
    engine = runtime.engine
    graph = await trust.insist(lambda _: engine.graphs.get(engine.database.pool, claim.workflow_version_id))
    node = graph.find(claim.key)
    gate = _gate(runtime, claim, trust, graph, node, unrecorded=[] if unrecorded is None else unrecorded)
    try:
        async with asyncio.timeout(claim.seconds) as limit:
            context = await _context(runtime, claim)
            attempt = Attempt(runtime, claim, graph, node, context, gate, await runtime.slug(claim.project_id))
            await ask_to_start(attempt)
            output = await _perform(attempt)
        stored = await _stored(runtime, claim, output)
    except LetGo as waits:
        return waits.waiting
    except Parked as parked:
        return await _park(runtime, gate, parked)
    except TimeoutError as away:
        return _timed_out(claim, node, gate) if limit.expired() else await _put_back(runtime, gate, away)
    except (StepFailed, CallFailed) as failed:
        return _failed(claim, node, gate, dict(failed.error), retryable=failed.retryable)
    except (*_REFUSED, *_UNREADABLE) as refused:
        return _failed(claim, node, gate, _error(refused), retryable=isinstance(refused, _UNREADABLE))
    except (Halted, *NO_ANSWER) as away:  # says nothing about the step, which goes back to the queue
        return await _put_back(runtime, gate, away)
    except (Fenced, asyncpg.PostgresError, OSError):
        raise  # another worker has the step, or the database refuses: that says nothing about the step
    except Exception:  # a bug must cost its step an attempt, not a lease and the blame for a crash
        log.exception("step.broke", step_id=str(claim.lease.step_id), attempt=claim.lease.attempt)
        return _failed(claim, node, gate, _BUG, retryable=True)
    return _ended(claim, gate, StepStatus.SUCCEEDED, output=stored.value, text=stored.text)


async def execute_ahead(runtime: Runtime, graph: Graph, claim: Claim, trust: Trust) -> Ended | None:
    """Run a step that nobody holds yet to its end, if nothing of it has to be written down before.

    `claim` is what a claim of the step would be, but for the lease, which is that of a step before it. None: it did not
    succeed, or needs more; whoever claims it meets the same again, and says so.
    """
    node = graph.find(claim.key)
    gate = _gate(runtime, claim, trust, graph, node, unrecorded=[], ahead=True)
    try:
        async with asyncio.timeout(claim.seconds):
            context, project = await _context(runtime, claim), await runtime.slug(claim.project_id)
            attempt = Attempt(runtime, claim, graph, node, context, gate, project)
            await ask_to_start(attempt)
            output = await _perform(attempt)
            stored = await _stored(runtime, claim, output)
    except Exception:  # outermost for such a step: nothing was written, and nothing is lost
        return None
    return _ended(claim, gate, StepStatus.SUCCEEDED, output=stored.value, text=stored.text)


def _gate(
    runtime: Runtime,
    claim: Claim,
    trust: Trust,
    graph: Graph,
    node: Node,
    *,
    unrecorded: list[Mapping[str, Any]],
    ahead: bool = False,
) -> RecordedGate:
    return RecordedGate(
        runtime.engine,
        claim,
        runtime.policies,
        trust,
        facts={
            "workflow.name": graph.definition.name,
            "step.key": claim.key,
            "step.type": claim.type,
            "step.attempt": claim.lease.attempt,
        },
        labels=labels_of(claim, node),
        deadline=time.monotonic() + claim.seconds if claim.seconds is not None else None,
        rides_along=node.type in ("tool", "llm"),
        ahead=ahead,
        unrecorded=unrecorded,
        known_secrets=partial(runtime.secrets.filter_of, claim.project_id),
    )


async def _context(runtime: Runtime, claim: Claim) -> Context:
    """Return what the expressions of the step see, with large values read.

    Raises:
        StepFailed: there is more of them than may be read at once.
        Unavailable, ValueLost: one cannot be read.
    """

    async def plain(stored: Json) -> Any:
        return await runtime.engine.payloads.load(claim.project_id, stored)

    try:
        steps = {key: StepView(await plain(step["output"]), step["status"]) for key, step in claim.steps.items()}
        seen = {name: await plain(value) for name, value in (claim.frame or {}).items()}
        frame = None if claim.frame is None else FrameView(**seen)
        return Context(await plain(claim.input) or {}, steps, str(claim.run_id), frame)
    except ValueTooLarge as error:
        raise StepFailed("input-too-large", error.detail) from None


async def _stored(runtime: Runtime, claim: Claim, output: Json) -> Stored:
    """Return an output as its row keeps it, without secrets."""
    try:
        clean = runtime.secrets.filter_of(claim.project_id).value(output)
        return await runtime.engine.payloads.store(claim.project_id, clean)
    except ValueTooLarge as error:
        raise StepFailed(OUTPUT_TOO_LARGE, error.detail) from None


async def _perform(attempt: Attempt) -> Json:
    kind = _KINDS.get(attempt.node.type)
    if kind is None:
        raise StepFailed("unknown-type", f"This release cannot execute steps of type {attempt.node.type}.")
    return await kind(attempt)


async def _park(runtime: Runtime, gate: RecordedGate, parked: Parked) -> Waiting:
    """Let the step wait for a person or a budget; where it waits for neither it is uncertain already.

    Where it waits for both the person comes first: the next attempt meets the budget again.
    """
    budget = parked.budget
    if parked.approvals:
        await gate.trust.insist(
            lambda _: wait_for_approvals(runtime.engine, gate.claim, parked.approvals, parked.looked)
        )
    elif budget is not None:
        waited = await gate.trust.insist(lambda _: wait_for_budget(runtime.engine, gate.claim, budget))
        return Waiting(waited.due_in if waited.status == "waiting" else None)
    else:
        await advance_soon(runtime.engine, gate.claim.run_id)
    return Waiting()


async def _put_back(runtime: Runtime, gate: RecordedGate, away: Exception) -> Waiting:
    """Give the step back. What it has written is there, and the next attempt finds it."""
    why: Why = "halted" if isinstance(away, Halted) else "no-database"
    await gate.trust.insist(lambda _: put_back(runtime.engine, gate.claim, gate.unrecorded, why))
    return Waiting()


def _timed_out(claim: Claim, node: Node, gate: RecordedGate) -> Ended:
    """End an attempt whose time is up: after the step's deadline there is no other."""
    if claim.seconds == claim.timeout_seconds:
        error = {"code": "timeout", "message": f"The attempt took longer than {claim.timeout_seconds:g} s."}
        return _failed(claim, node, gate, error, retryable=True)
    error = {"code": "deadline", "message": "The step was not done within its deadline."}
    return _failed(claim, node, gate, error, retryable=False)


def _failed(claim: Claim, node: Node, gate: RecordedGate, error: Mapping[str, Any], *, retryable: bool) -> Ended:
    """End the attempt as its retry policy says: try again after a while, or fail for good."""
    delay = next_attempt(node.retry, claim.failures + 1, code=error.get("code"), retryable=retryable, random=_jitter)
    status = StepStatus.FAILED if delay is None else StepStatus.READY
    return _ended(claim, gate, status, error=_clean(gate, error), retry_in=delay)


def _clean(gate: RecordedGate, error: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error without secrets: it may quote what a tool or a model said."""
    known = gate.known_secrets()
    return {**error, "message": known.text(error["message"])} if known else dict(error)


def _ended(claim: Claim, gate: RecordedGate, status: StepStatus, **how: Any) -> Ended:
    return Ended(
        claim,
        status,
        results=gate.unrecorded,
        noted=gate.noted,
        policy_version=gate.policy_version,
        labels=_new_labels(gate, status),
        **how,
    )


def _new_labels(gate: RecordedGate, status: StepStatus) -> frozenset[str] | None:
    """Return the labels of the step as it ends here; None where its row has just these, or it has not ended."""
    labels = gate.labels.out if status is StepStatus.SUCCEEDED else frozenset(gate.labels.seen)
    return None if status is StepStatus.READY or labels == gate.labels.kept else labels


def _error(refused: SparkOpsError) -> dict[str, Any]:
    return {"code": refused.code, "message": refused.detail}
