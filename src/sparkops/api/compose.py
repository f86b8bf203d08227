"""Answers that several domains contribute to: one statement per domain for a whole page, never one per row."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from sparkops.api.views.approvals import Approval as ApprovalView
from sparkops.api.views.approvals import SubjectKind
from sparkops.api.views.base import Ref
from sparkops.api.views.catalogue import StepOutline
from sparkops.api.views.runs import Call as CallView
from sparkops.api.views.runs import Decision as DecisionView
from sparkops.api.views.runs import Failure, RunBudget, RunSummary, TokenCount, WorkflowRef
from sparkops.api.views.runs import Run as RunView
from sparkops.api.views.runs import Step as StepView
from sparkops.core.principal import Principal
from sparkops.domains.agents.queries import scripted_versions
from sparkops.domains.approvals.models import Approval
from sparkops.domains.approvals.state import ApprovalStatus
from sparkops.domains.budgets.queries import budgets_of_runs
from sparkops.domains.effects.models import Call
from sparkops.domains.effects.queries import Usage, cost_of_steps, usage_of_runs
from sparkops.domains.effects.state import CallKind, CallStatus, EffectClass
from sparkops.domains.identity.queries import names_of
from sparkops.domains.policies.models import PolicyDecision
from sparkops.domains.policies.queries import decisions
from sparkops.domains.projects.queries import slugs_of
from sparkops.domains.runs.models import Run, Step
from sparkops.domains.runs.queries import last_seqs, runs_by_id, step_counts, step_keys
from sparkops.domains.runs.state import RunStatus, StepStatus
from sparkops.domains.workflows.queries import VersionName, definition_of, version_names
from sparkops.engine.accept import Begun

SessionMaker = async_sessionmaker[AsyncSession]


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
    return step.get("tool") or step.get("agent")


def _workflow_ref(version: VersionName) -> WorkflowRef:
    return WorkflowRef(id=version.workflow_id, name=version.name, version=version.version)


def _agent_versions(run: Run) -> list[UUID]:
    return [UUID(version) for version in run.pins.get("agents", {}).values()]


async def run_summaries(session: AsyncSession, principal: Principal, runs: Sequence[Run]) -> list[RunSummary]:
    """Return runs as lists show them, in the order given."""
    ids = [run.id for run in runs]
    slugs = await slugs_of(session, principal, project_ids={run.project_id for run in runs})
    versions = await version_names(session, version_ids={run.workflow_version_id for run in runs})
    people = await names_of(session, user_ids={run.created_by for run in runs if run.created_by})
    scripted = await scripted_versions(session, version_ids={one for run in runs for one in _agent_versions(run)})
    usage = await usage_of_runs(session, run_ids=ids)
    budgets = await budgets_of_runs(session, run_ids=ids)
    counts = await step_counts(session, run_ids=ids)
    seqs = await last_seqs(session, run_ids=ids)

    def summary(run: Run) -> RunSummary:
        version = versions[run.workflow_version_id]
        used = usage.get(run.id, Usage())
        budget = budgets.get(run.id)
        return RunSummary(
            id=run.id,
            project=slugs[run.project_id],
            workflow=_workflow_ref(version),
            status=RunStatus(run.status),
            trigger=run.trigger,
            error=failure(run.error),
            created_by=_person(run.created_by, people),
            created_at=run.created_at,
            started_at=run.started_at,
            finished_at=run.finished_at,
            cancel_requested_at=run.cancel_requested_at,
            cost_micros=used.cost_micros,
            tokens=TokenCount(input=used.input_tokens, output=used.output_tokens),
            budget=RunBudget.model_validate(budget) if budget else None,
            steps_total=sum(counts.get(run.id, {}).values()),
            last_seq=seqs.get(run.id, 0),
            scripted=version.scripted or not scripted.isdisjoint(_agent_versions(run)),
        )

    return [summary(run) for run in runs]


async def begun_run(
    door_session: SessionMaker, principal: Principal, project: str, run_id: UUID, begun: Begun
) -> RunView:
    """Return a run that was accepted just now, from what is known of it: what nobody has changed needs no reading."""
    agents = [UUID(version) for version in begun.pins.get("agents", {}).values()]
    scripted = begun.graph.scripted
    if agents and not scripted:
        async with door_session.begin() as session:
            scripted = bool(await scripted_versions(session, version_ids=agents))
    return RunView(
        id=run_id,
        project=project,
        workflow=WorkflowRef(id=begun.workflow_id, name=begun.graph.definition.name, version=begun.version),
        status=RunStatus.RUNNING,
        trigger=begun.trigger,
        error=None,
        created_by=Ref(id=principal.user_id, name=principal.name),
        created_at=begun.created_at,
        started_at=begun.created_at,
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
    )


async def run_whole(session: AsyncSession, principal: Principal, run: Run) -> RunView:
    """Return one run with input, output and where its steps stand."""
    summary = (await run_summaries(session, principal, [run]))[0]
    counts = await step_counts(session, run_ids=[run.id])
    return RunView(
        **summary.model_dump(), input=run.input, output=run.output, steps_by_status=dict(counts.get(run.id, {}))
    )


def _person(user_id: UUID | None, names: Mapping[UUID, str]) -> Ref | None:
    return Ref(id=user_id, name=names[user_id]) if user_id and user_id in names else None


async def step_views(session: AsyncSession, principal: Principal, run: Run, steps: Sequence[Step]) -> list[StepView]:
    """Return steps of one run, without outputs."""
    definition = await definition_of(session, principal, version_id=run.workflow_version_id)
    names = {one.id: one.name for one in outline(definition)} if definition else {}
    costs = await cost_of_steps(session, run_id=run.id)
    keys = await step_keys(session, step_ids={need for step in steps for need in step.needs})
    return [_step_view(step, names, costs, keys) for step in steps]


def _step_view(
    step: Step, names: Mapping[str, str | None], costs: Mapping[UUID, int], keys: Mapping[UUID, str]
) -> StepView:
    return StepView(
        id=step.id,
        key=step.node_key,
        path=step.path,
        type=step.type,
        position=step.position,
        needs=[keys[need] for need in step.needs],
        name=names.get(step.node_key),
        status=StepStatus(step.status),
        attempt=step.attempt,
        failures=step.failures,
        crashes=step.crashes,
        ready_at=step.ready_at,
        started_at=step.started_at,
        finished_at=step.finished_at,
        waiting_for=step.waiting_for,
        error=failure(step.error),
        cost_micros=costs.get(step.id, 0),
    )


async def call_views(session: AsyncSession, principal: Principal, calls: Sequence[Call]) -> list[CallView]:
    """Return calls with the decisions that they were allowed or denied under."""
    wanted = {call.decision_id for call in calls if call.decision_id}
    verdicts = await decisions(session, principal, decision_ids=wanted)
    keys = await step_keys(session, step_ids={call.step_id for call in calls})
    return [_call_view(call, keys[call.step_id], _verdict(call, verdicts)) for call in calls]


def _verdict(call: Call, verdicts: Mapping[UUID, PolicyDecision]) -> PolicyDecision | None:
    return verdicts.get(call.decision_id) if call.decision_id else None


def _call_view(call: Call, step_key: str, verdict: PolicyDecision | None) -> CallView:
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
    )


async def approval_views(
    session: AsyncSession, principal: Principal, approvals: Sequence[Approval]
) -> list[ApprovalView]:
    """Return questions with the names of everything they touch."""
    runs = await runs_by_id(session, principal, run_ids={one.run_id for one in approvals})
    slugs = await slugs_of(session, principal, project_ids={one.project_id for one in approvals})
    versions = await version_names(session, version_ids={run.workflow_version_id for run in runs.values()})
    keys = await step_keys(session, step_ids={one.step_id for one in approvals})
    usage = await usage_of_runs(session, run_ids=runs.keys())
    people = await names_of(session, user_ids=_people(approvals))

    def view(one: Approval) -> ApprovalView:
        return ApprovalView(
            id=one.id,
            project=slugs[one.project_id],
            run_id=one.run_id,
            step_id=one.step_id,
            workflow=_workflow_ref(versions[runs[one.run_id].workflow_version_id]),
            step_key=keys[one.step_id],
            subject_kind=cast(SubjectKind, one.subject_kind),
            title=one.title,
            reason=one.reason,
            rule=one.rule,
            proposed_request=one.proposed_request,
            status=ApprovalStatus(one.status),
            requested_by=_person(one.requested_by, people),
            requested_at=one.requested_at,
            expires_at=one.expires_at,
            decided_by=_person(one.decided_by, people),
            decided_at=one.decided_at,
            comment=one.comment,
            money_micros=usage.get(one.run_id, Usage()).cost_micros,
        )

    return [view(one) for one in approvals]


def _people(approvals: Collection[Approval]) -> set[UUID]:
    return {who for one in approvals for who in (one.requested_by, one.decided_by) if who}
