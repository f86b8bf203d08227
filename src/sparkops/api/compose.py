"""Answers that several domains contribute to: one statement per domain for a whole page, never one per row."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.deps import Door
from sparkops.api.tokens import Signer
from sparkops.api.views.approvals import Answer, AskingBudget, Demands, Reassigned, SubjectKind, Vote
from sparkops.api.views.approvals import Approval as ApprovalView
from sparkops.api.views.base import Ref
from sparkops.api.views.catalogue import StepOutline
from sparkops.api.views.control import Halt as HaltView
from sparkops.api.views.runs import Call as CallView
from sparkops.api.views.runs import (
    CallEdit,
    ChildRun,
    Failure,
    Priority,
    RunBudget,
    RunConcurrency,
    RunParent,
    RunSource,
    RunSummary,
    TokenCount,
    WorkflowRef,
)
from sparkops.api.views.runs import Decision as DecisionView
from sparkops.api.views.runs import Run as RunView
from sparkops.api.views.runs import Step as StepView
from sparkops.core.clock import utc_now
from sparkops.core.principal import Principal
from sparkops.domains.approvals.models import Approval, ApprovalVote
from sparkops.domains.approvals.queries import agreed_edits, standings, votes
from sparkops.domains.approvals.service import asked_hash, reminds
from sparkops.domains.approvals.state import ApprovalStatus
from sparkops.domains.control.models import Halt
from sparkops.domains.effects.models import Call
from sparkops.domains.effects.queries import Usage, usage_of_runs
from sparkops.domains.effects.state import CallKind, CallStatus, EffectClass
from sparkops.domains.identity.queries import names_of
from sparkops.domains.policies.models import PolicyDecision
from sparkops.domains.policies.queries import decisions
from sparkops.domains.projects.queries import projects_to_be_deleted, slugs_of
from sparkops.domains.runs.queries import runs_by_id, step_keys
from sparkops.domains.runs.state import RunStatus
from sparkops.domains.workflows.options import JoinRule
from sparkops.domains.workflows.queries import VersionName, names_of_workflows, version_names
from sparkops.engine.accept import Begun
from sparkops.engine.graph import Node
from sparkops.engine.halts import Kind, Scope

_PRIORITY_NAMES: Mapping[int, Priority] = {-1: "high", 0: "normal", 1: "low"}


def failure(error: Mapping[str, Any] | None) -> Failure | None:
    """Return what is shown of a recorded error."""
    return Failure(code=error["code"], message=error["message"]) if error else None


def outline(definition: Mapping[str, Any]) -> list[StepOutline]:
    """Return the steps of a workflow's document, with what each of them uses."""
    return [
        StepOutline(id=step["id"], type=step["type"], needs=step.get("needs") or [], name=_used_by(step))
        for step in definition["steps"]
    ]


def _used_by(step: Mapping[str, Any]) -> str | None:
    if step["type"] == "llm":
        model = step.get("with", {}).get("model")
        return model if isinstance(model, str) else None
    return step.get("tool") or step.get("agent") or step.get("workflow")


def workflow_ref(version: VersionName) -> WorkflowRef:
    """Return what is shown of the version that a run executes."""
    return WorkflowRef(id=version.workflow_id, name=version.name, version=version.version)


def _agent_versions(run: asyncpg.Record) -> list[UUID]:
    return [UUID(version) for version in run["pins"].get("agents", {}).values()]


async def run_summaries(door: Door, runs: Sequence[asyncpg.Record]) -> list[RunSummary]:
    """Return runs as lists show them, in the order given."""
    return [RunSummary(**shown) for shown in await _shown(door, runs)]


async def _shown(door: Door, runs: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """Return what lists show of runs, by the names that it has there."""
    versions = await door.known.versions(door.database, {run["workflow_version_id"] for run in runs})
    scripted = await door.known.scripted(door.database, {one for run in runs for one in _agent_versions(run)})

    def shown(run: asyncpg.Record) -> dict[str, Any]:
        version = versions[run["workflow_version_id"]]
        return {
            "id": run["id"],
            "project": run["project"],
            "workflow": workflow_ref(version),
            "status": run["status"],
            "trigger": run["trigger"],
            "error": failure(run["error"]),
            "created_by": _ref(run["created_by"], run["creator"]),
            "created_at": run["created_at"],
            "started_at": run["started_at"],
            "finished_at": run["finished_at"],
            "priority": _PRIORITY_NAMES[run["priority"]],
            "paused_at": run["paused_at"],
            "paused_by": _ref(run["paused_by"], run["pauser"]),
            "cancel_requested_at": run["cancel_requested_at"],
            "cost_micros": run["cost_micros"],
            "tokens": TokenCount(input=run["input_tokens"], output=run["output_tokens"]),
            "budget": _budget(run),
            "steps_total": run["step_count"],
            "last_seq": run["last_seq"] or 0,
            "scripted": version.scripted or any(scripted[one] for one in _agent_versions(run)),
            "source": _source(run),
        }

    return [shown(run) for run in runs]


def _ref(row_id: UUID | None, name: str | None) -> Ref | None:
    return Ref(id=row_id, name=name) if row_id and name else None


def _budget(run: asyncpg.Record) -> RunBudget | None:
    if run["limit_micros"] is None:
        return None
    return RunBudget(
        limit_micros=run["limit_micros"], spent_micros=run["spent_micros"], reserved_micros=run["reserved_micros"]
    )


async def begun_run(door: Door, principal: Principal, project: str, run_id: UUID, begun: Begun) -> RunView:
    """Return a run that was accepted just now, from what is known of it: what nobody has changed needs no reading."""
    agents = [UUID(version) for version in begun.pins.get("agents", {}).values()]
    scripted = begun.graph.scripted
    if agents and not scripted:
        scripted = any((await door.known.scripted(door.database, agents)).values())
    return RunView(
        id=run_id,
        project=project,
        workflow=WorkflowRef(id=begun.workflow_id, name=begun.graph.definition.name, version=begun.version),
        status=RunStatus.RUNNING,
        trigger=begun.trigger,
        error=None,
        created_by=Ref(id=principal.user_id, name=principal.name),
        priority=_PRIORITY_NAMES[begun.priority],
        paused_at=None,
        paused_by=None,
        source=None,
        created_at=begun.created_at,
        started_at=begun.started_at,
        finished_at=None,
        cancel_requested_at=None,
        cost_micros=0,
        tokens=TokenCount(input=0, output=0),
        budget=RunBudget(limit_micros=begun.limit_micros, spent_micros=0, reserved_micros=0),
        steps_total=sum(begun.steps_by_status.values()),
        last_seq=begun.last_seq,
        scripted=scripted,
        input=begun.input,
        output=None,
        steps_by_status=dict(begun.steps_by_status),
        deadline_at=None,
        ends_as=None,
        parent=None,
        concurrency=None,
        queued_behind=None,
        queued_budgets=[],
        log_removed_at=None,
        values_removed_at=None,
    )


async def run_whole(door: Door, run: asyncpg.Record) -> RunView:
    """Return one run with input, output and where its steps stand."""
    [shown] = await _shown(door, [run])
    return RunView(
        **shown,
        input=run["input"],
        output=run["output"],
        steps_by_status=run["steps_by_status"] or {},
        deadline_at=run["deadline_at"],
        ends_as=run["ends_as"],
        parent=_parent(run),
        concurrency=_concurrency(run),
        queued_behind=run["queued_behind"],
        queued_budgets=run["queued_budgets"] or [],
        log_removed_at=run["log_removed_at"],
        values_removed_at=run["values_removed_at"],
    )


def _parent(run: asyncpg.Record) -> RunParent | None:
    if run["parent_run_id"] is None or run["parent_step_id"] is None:
        return None
    return RunParent(run_id=run["parent_run_id"], step_id=run["parent_step_id"], step_key=run["parent_key"])


def _concurrency(run: asyncpg.Record) -> RunConcurrency | None:
    if run["concurrency_key"] is None or run["concurrency_limit"] is None:
        return None
    return RunConcurrency(key=run["concurrency_key"], limit=run["concurrency_limit"])


def _source(run: asyncpg.Record) -> RunSource | None:
    if run["source_run_id"] is None or run["source_kind"] is None:
        return None
    return RunSource(run_id=run["source_run_id"], kind=run["source_kind"])


def _named(row_id: UUID | None, names: Mapping[UUID, str]) -> Ref | None:
    return Ref(id=row_id, name=names[row_id]) if row_id and row_id in names else None


async def step_views(door: Door, steps: Sequence[asyncpg.Record]) -> list[StepView]:
    """Return steps of one run, without outputs."""
    return [StepView(**shown) for shown in await steps_shown(door, steps)]


async def steps_shown(door: Door, steps: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """Return what lists show of steps of one run, by the names that it has there."""
    if not steps:
        return []
    graph = await door.engine.graphs.get(door.database.pool, steps[0]["workflow_version_id"])
    keys = await _keys(door, steps)
    children = {step["child_version_id"] for step in steps if step["child_version_id"]}
    versions = await door.known.versions(door.database, children)
    return [_step_shown(step, graph.find(step["node_key"]), keys, versions) for step in steps]


async def _keys(door: Door, steps: Sequence[asyncpg.Record]) -> Mapping[UUID, str]:
    """Return the keys of these steps and of all that they need."""
    keys = {step["id"]: step["node_key"] for step in steps}
    elsewhere = {need for step in steps for need in step["needs"]} - keys.keys()
    if elsewhere:
        async with door.database.reads.begin() as session:
            keys.update(await step_keys(session, step_ids=elsewhere))
    return keys


def _child(step: asyncpg.Record, versions: Mapping[UUID, VersionName]) -> ChildRun | None:
    if step["child_version_id"] is None:
        return None
    workflow = workflow_ref(versions[step["child_version_id"]])
    return ChildRun(run_id=step["child_run_id"], workflow=workflow, status=step["child_status"])


def _step_shown(
    step: asyncpg.Record, node: Node, keys: Mapping[UUID, str], versions: Mapping[UUID, VersionName]
) -> dict[str, Any]:
    return {
        "id": step["id"],
        "key": step["node_key"],
        "path": step["path"],
        "type": step["type"],
        "position": step["position"],
        "needs": [keys[need] for need in step["needs"]],
        "join": node.join.rule,
        "join_count": node.join.count if node.join.rule is JoinRule.AT_LEAST else None,
        "name": node.name,
        "status": step["status"],
        "attempt": step["attempt"],
        "failures": step["failures"],
        "crashes": step["crashes"],
        "ready_at": step["ready_at"],
        "started_at": step["started_at"],
        "finished_at": step["finished_at"],
        "waiting_for": step["waiting_for"],
        "error": failure(step["error"]),
        "cost_micros": step["cost_micros"],
        "copied_from": step["copied_from"],
        "parent_id": step["parent_id"],
        "frame_no": step["frame_no"],
        "undo_of": step["undo_of"],
        "held": step["held"],
        "not_before": step["not_before"],
        "fails_at": step["fails_at"],
        "wake_at": step["wake_at"],
        "chosen": step["chosen"],
        "frames": step["expansion"],
        "child": _child(step, versions),
    }


async def call_views(session: AsyncSession, principal: Principal, calls: Sequence[Call]) -> list[CallView]:
    """Return calls with the decisions that they were allowed or denied under."""
    wanted = {call.decision_id for call in calls if call.decision_id}
    verdicts = await decisions(session, principal, decision_ids=wanted)
    keys = await step_keys(session, step_ids={call.step_id for call in calls})
    asked = {call.approval_id for call in calls if call.approval_id}
    edits = {one.id: one for one in await agreed_edits(session, principal, approval_ids=asked)} if asked else {}
    people = await names_of(session, user_ids=_people(edits.values())) if edits else {}
    return [
        _call_view(call, keys[call.step_id], _verdict(call, verdicts), _edit(call, edits, people)) for call in calls
    ]


def _edit(call: Call, edits: Mapping[UUID, Approval], people: Mapping[UUID, str]) -> CallEdit | None:
    edited = edits.get(call.approval_id) if call.approval_id else None
    if edited is None or edited.edited_by is None or edited.edited_at is None:
        return None
    by = _named(edited.edited_by, people) or Ref(id=edited.edited_by, name="somebody")
    return CallEdit(request=edited.edited_request, by=by, at=edited.edited_at)


def _verdict(call: Call, verdicts: Mapping[UUID, PolicyDecision]) -> PolicyDecision | None:
    return verdicts.get(call.decision_id) if call.decision_id else None


def _call_view(call: Call, step_key: str, verdict: PolicyDecision | None, edit: CallEdit | None) -> CallView:
    return CallView(
        id=call.id,
        step_id=call.step_id,
        step_key=step_key,
        seq=call.seq,
        kind=CallKind(call.kind),
        name=call.name,
        effect_class=EffectClass(call.effect_class),
        status=CallStatus(call.status),
        request=call.request,
        response=call.response,
        error=failure(call.error),
        usage=call.usage,
        cost_micros=call.cost_micros,
        sends=call.sends,
        attempt=call.attempt,
        proposed_at=call.proposed_at,
        prepared_at=call.prepared_at,
        finished_at=call.finished_at,
        decision=DecisionView.model_validate(verdict) if verdict else None,
        approval_id=call.approval_id,
        edit=edit,
    )


async def approval_views(
    session: AsyncSession, principal: Principal, signer: Signer, approvals: Sequence[Approval]
) -> list[ApprovalView]:
    """Return questions with the names of everything they touch."""
    ids = {one.id for one in approvals}
    standing = await standings(session, principal, approval_ids=ids)
    said = await votes(session, approval_ids=ids)
    decided = await decisions(
        session, principal, decision_ids={one.decision_id for one in approvals if one.decision_id}
    )
    runs = await runs_by_id(session, principal, run_ids={one.run_id for one in approvals})
    slugs = await slugs_of(session, principal, project_ids={one.project_id for one in approvals})
    versions = await version_names(session, version_ids={run.workflow_version_id for run in runs.values()})
    keys = await step_keys(session, step_ids={one.step_id for one in approvals if one.step_id})
    usage = await usage_of_runs(session, run_ids=runs.keys())
    people = await names_of(session, user_ids=_people(approvals) | {vote.user_id for vote in said})

    def vote_view(vote: ApprovalVote, one: Approval) -> Vote:
        by = _named(vote.user_id, people) or Ref(id=vote.user_id, name="somebody")
        current = vote.request_hash == asked_hash(one)
        return Vote(by=by, vote=cast(Answer, vote.vote), comment=vote.comment, at=vote.at, current=current)

    def view(one: Approval) -> ApprovalView:
        stands = standing[one.id]
        groups: list[list[str]] = one.demands["approvers"]
        decision = decided.get(one.decision_id) if one.decision_id else None
        return ApprovalView(
            id=one.id,
            project=slugs[one.project_id],
            run_id=one.run_id,
            step_id=one.step_id,
            workflow=workflow_ref(versions[runs[one.run_id].workflow_version_id]),
            step_key=keys[one.step_id] if one.step_id else None,
            subject_kind=cast(SubjectKind, one.subject_kind),
            title=one.title,
            reason=one.reason,
            rule=one.rule,
            name=one.name,
            proposed_request=one.proposed_request,
            request_hash=asked_hash(one),
            edited_request=one.edited_request,
            edited_by=_named(one.edited_by, people),
            edited_at=one.edited_at,
            demands=Demands.model_validate(one.demands, from_attributes=False),
            budgets=[AskingBudget.model_validate(budget) for budget in one.budgets],
            reassigned=[_reassigned(given, people) for given in one.reassigned],
            votes=[vote_view(vote, one) for vote in said if vote.approval_id == one.id],
            agreed=stands.agreed,
            missing=[groups[place - 1] for place in stands.missing],
            may_answer=stands.may_answer,
            escalate_at=one.escalate_at,
            escalated_at=one.escalated_at,
            reminder=reminds(one, utc_now()),
            reminded_at=one.reminded_at,
            at_stake_micros=decision.facts.get("call.bound_micros") if decision else None,
            link=f"/a/{one.id}?s={signer.mark(one.id)}",
            status=ApprovalStatus(one.status),
            requested_by=_named(one.requested_by, people),
            requested_at=one.requested_at,
            expires_at=one.expires_at,
            decided_by=_named(one.decided_by, people),
            decided_at=one.decided_at,
            comment=one.comment,
            money_micros=usage.get(one.run_id, Usage()).cost_micros,
        )

    return [view(one) for one in approvals]


async def halt_views(session: AsyncSession, principal: Principal, halts: Sequence[Halt]) -> list[HaltView]:
    """Return halts with the names of what they halt, and of whom."""
    slugs = await slugs_of(session, principal, project_ids={one.project_id for one in halts if one.project_id})
    workflows = await names_of_workflows(
        session, workflow_ids={one.scope_id for one in halts if one.scope == Scope.WORKFLOW}
    )
    people = await names_of(
        session, user_ids={who for one in halts for who in (one.created_by, one.released_by) if who}
    )
    stops = {one.id: one.project_id for one in halts if one.project_id and _is_stop_of_project(one)}
    ending = await projects_to_be_deleted(session, principal, project_ids=set(stops.values())) if stops else ()

    def view(one: Halt) -> HaltView:
        return HaltView(
            id=one.id,
            kind=Kind(one.kind),
            scope=Scope(one.scope),
            project=slugs[one.project_id] if one.project_id else None,
            workflow=_named(one.scope_id, workflows),
            reason=one.reason,
            ordered_by=_named(one.created_by, people),
            ordered_at=one.created_at,
            released_by=_named(one.released_by, people),
            released_at=one.released_at,
            kept_by_deletion=stops.get(one.id) in ending,
        )

    return [view(one) for one in halts]


def _is_stop_of_project(halt: Halt) -> bool:
    return halt.kind == Kind.STOP and halt.scope == Scope.PROJECT and halt.released_at is None


def _reassigned(given: Mapping[str, Any], people: Mapping[UUID, str]) -> Reassigned:
    by = UUID(given["by"])
    named = _named(by, people) or Ref(id=by, name="somebody")
    return Reassigned(by=named, to=given["to"], at=datetime.fromisoformat(given["at"]), comment=given["comment"])


def _people(approvals: Collection[Approval]) -> set[UUID]:
    by = {UUID(given["by"]) for one in approvals for given in one.reassigned}
    return by | {who for one in approvals for who in (one.requested_by, one.decided_by, one.edited_by) if who}
