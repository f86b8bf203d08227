"""The moment before an attempt acts: what the rules say about a step that is to start."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sparkops.core.ids import new_id
from sparkops.core.json import Json, digest
from sparkops.domains.policies.facts import Subject
from sparkops.domains.workflows.definition import StepType
from sparkops.engine.effects import PolicyChanged, judge_step
from sparkops.engine.facts import OfRun, read_facts
from sparkops.engine.judging import APPROVAL_SECONDS
from sparkops.runtime.effects import StepFailed
from sparkops.runtime.gate import POLICY_RETRIES, NotAhead, Parked
from sparkops.runtime.policies import Rules
from sparkops.runtime.steps.base import Attempt
from sparkops.runtime.steps.model import agent_of
from sparkops.runtime.turn import with_read

_REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    "rejected": ("rejected", "A person rejected that this step starts"),
    "withdrawn": ("rejected", "The question whether this step may start was withdrawn"),
    "expired": ("approval-expired", "Nobody approved in time that this step starts"),
}


async def ask_to_start(attempt: Attempt) -> None:
    """Return if the step may start; costs nothing where the default allows and no rule is on that.

    Raises:
        StepFailed: the rules deny it, or a person did.
        Parked: it waits for a person.
        NotAhead: the step was run ahead, and the rules are to be asked.
        Fenced, CancelRequested: this attempt must stop.
    """
    gate, claim = attempt.gate, attempt.claim
    for _ in range(POLICY_RETRIES):
        rules = await gate.policies.get(claim.project_id, claim.policy_stamp)
        if not rules.judges(Subject.STEP_START) and not claim.asked:
            return
        if gate.ahead:
            raise NotAhead
        judged = await _judged(attempt, rules)
        try:
            answer = await gate.trust.insist(lambda _: judge_step(attempt.engine, claim.lease, judged))  # noqa: B023
        except PolicyChanged:
            gate.policies.forget(claim.project_id)
        else:
            _heed(answer, judged["reason"])
            return
    raise StepFailed("policy-unstable", "The policy of the project kept changing.", retryable=True)


async def _judged(attempt: Attempt, rules: Rules) -> dict[str, Any]:
    known = {**attempt.gate.known(), **await _of_agent(attempt)}
    wanted = rules.to_read(Subject.STEP_START, known)
    if wanted:
        about = OfRun(attempt.claim.run_id, attempt.step_id)
        known = with_read(known, await read_facts(attempt.engine.database.pool, about, wanted))
    asked = {"start": attempt.claim.path, "type": attempt.claim.type}
    return {
        "policy_version": rules.version,
        "request": asked,
        "request_hash": digest(asked),
        "title": f"May {attempt.claim.path} start?",
        "approval_id": str(new_id()),
        "approval_seconds": APPROVAL_SECONDS,
        **rules.judge(Subject.STEP_START, attempt.claim.key, known),
    }


async def _of_agent(attempt: Attempt) -> dict[str, Json]:
    name = attempt.node.name
    if attempt.node.type != StepType.AGENT or name is None:
        return {}
    agent = await agent_of(attempt.runtime, UUID(attempt.claim.pins["agents"][name]))
    return {"agent.name": name, "agent.version": agent.version}


def _heed(answer: Mapping[str, Any], reason: str | None) -> None:
    match answer["status"]:
        case "allowed":
            return
        case "pending":
            raise Parked([UUID(answer["approval_id"])])
        case "denied":
            raise StepFailed("denied", reason or "denied by policy")
        case status:
            code, words = _REFUSALS[status]
            raise StepFailed(code, f"{words}: {answer['comment']}" if answer["comment"] else f"{words}.")
