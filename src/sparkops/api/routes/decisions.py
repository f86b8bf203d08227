"""Decisions as they were recorded, and what they say was broken."""

from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api import policy_views
from sparkops.api.access import needs
from sparkops.api.deps import AuditDep, DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep
from sparkops.api.responses import problems
from sparkops.api.views import policies as views
from sparkops.api.views.base import Instant
from sparkops.core.errors import NotFound
from sparkops.core.json import Json
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.approvals.queries import edited_request
from sparkops.domains.effects.queries import call
from sparkops.domains.policies import decision_queries as queries
from sparkops.domains.policies.facts import Subject
from sparkops.domains.policies.format import RuleEffect, Severity
from sparkops.domains.policies.models import PolicyDecision
from sparkops.domains.policies.state import ViolationStatus
from sparkops.domains.policies.violations import answer_violation as answer
from sparkops.domains.projects.queries import judging
from sparkops.domains.runs.queries import run_values, runs_by_id
from sparkops.runtime.backtests import elsewhere, facts_then
from sparkops.runtime.policies import PolicyCache

router = APIRouter(prefix="/decisions", tags=["policies"])
violations = APIRouter(prefix="/violations", tags=["policies"])

Name = Annotated[str | None, Query(max_length=200)]
OfPolicy = Annotated[UUID | None, Query(description="Only those of this policy.")]
OfRule = Annotated[str | None, Query(max_length=100, description="Only those of rules of this name.")]
OfRun = Annotated[UUID | None, Query(description="Only those in this run.")]
Monitored = Annotated[
    bool | None, Query(description="True: only what rules in mode monitor found. False: nothing of that.")
]


@router.get("", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def list_decisions(
    project: QueriedProject,
    principal: PrincipalDep,
    session: SessionDep,
    page: PageDep,
    outcome: Annotated[list[RuleEffect] | None, Query(description="Only these.")] = None,
    subject: Annotated[Subject | None, Query(description="Only on this.")] = None,
    policy: OfPolicy = None,
    rule: OfRule = None,
    name: Name = None,
    run: OfRun = None,
    since: Instant | None = None,
    until: Instant | None = None,
    monitored: Monitored = None,
) -> views.RecordedDecisionList:
    """List the decisions of a project, newest first. `name` is a tool or a model.

    Of a policy or a rule are those that it decided, and those that it would have decided, were it not in mode monitor.
    """
    where = queries.DecisionFilter(
        outcomes=[str(one) for one in outcome or ()],
        subject=subject,
        policy_id=policy,
        rule=rule,
        name=name,
        run_id=run,
        since=since,
        until=until,
        monitored=monitored,
    )
    rows = await queries.recorded_decisions(session, principal, project_id=project.id, where=where, page=page)
    found = page_of(rows, page)
    items = await policy_views.decision_views(session, found.items)
    return views.RecordedDecisionList(items=items, next_cursor=found.next_cursor)


@router.get("/{decision_id}", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def get_decision(decision_id: UUID, principal: PrincipalDep, session: SessionDep) -> views.DecisionDetail:
    """Return a decision with the facts that it was taken on, and as a test to put into a policy."""
    found = await queries.recorded_decision(session, principal, decision_id=decision_id)
    if found is None:
        raise NotFound("There is no such decision here.")
    facts = elsewhere(await _subject_of(session, principal, found))
    there = await runs_by_id(session, principal, run_ids=[found.run_id])
    return await policy_views.decision_detail(session, found, facts, run_exists=found.run_id in there)


@router.get("/{decision_id}/today", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def judge_decision_today(
    decision_id: UUID, principal: PrincipalDep, session: SessionDep, door: DoorDep
) -> views.DecisionToday:
    """Say what the rules of today say to the facts of a decision of the past. Nothing else happens by it."""
    found = await queries.recorded_decision(session, principal, decision_id=decision_id)
    if found is None:
        raise NotFound("There is no such decision here.")
    project = await judging(session, project_id=found.project_id)
    row = {"subject": found.subject, "name": found.name, "at": found.at, "facts": found.facts}
    facts = facts_then(row, project.slug, ZoneInfo(project.time_zone))
    facts |= elsewhere(await _subject_of(session, principal, found))
    rules = await PolicyCache(door.database).get(found.project_id)
    decision = rules.policies.decide(Subject(found.subject), facts)
    return await policy_views.decision_today(session, found, decision)


async def _subject_of(session: AsyncSession, principal: Principal, row: PolicyDecision) -> dict[str, Json]:
    """Return what a decision is about, as it is stored: the request of a call as it was judged, with what an approver
    had made of it by then; the input or the output of a run."""
    if row.subject == Subject.TOOL_CALL:
        made = await call(session, principal, run_id=row.run_id, call_id=row.subject_id)
        if made is None:
            return {}
        if made.request_hash == row.request_hash:
            return {"request": made.request}
        edit = await edited_request(
            session, principal, run_id=row.run_id, call_id=made.id, request_hash=row.request_hash
        )
        return {"request": edit}
    if row.subject not in (Subject.RUN_CREATE, Subject.OUTPUT):
        return {}
    run = await run_values(session, principal, run_id=row.run_id)
    if run is None:
        return {}
    return {"input": run.input} if row.subject == Subject.RUN_CREATE else {"output": run.output}


@violations.get("", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def list_violations(
    project: QueriedProject,
    principal: PrincipalDep,
    session: SessionDep,
    page: PageDep,
    status: Annotated[list[ViolationStatus] | None, Query(description="Only those that stand so.")] = None,
    severity: Annotated[list[Severity] | None, Query(description="Only those as bad as this.")] = None,
    policy: OfPolicy = None,
    rule: OfRule = None,
    run: OfRun = None,
    monitored: Monitored = None,
    overdue: Annotated[bool | None, Query(description="True: only those that were open for too long.")] = None,
) -> views.ViolationList:
    """List what was broken in a project, or would have been, newest first."""
    where = queries.ViolationFilter(
        statuses=[str(one) for one in status or ()],
        severities=[str(one) for one in severity or ()],
        policy_id=policy,
        rule=rule,
        run_id=run,
        monitored=monitored,
        overdue=overdue,
    )
    rows = await queries.violations(session, principal, project_id=project.id, where=where, page=page)
    found = page_of(rows, page)
    items = await policy_views.violation_views(session, found.items)
    return views.ViolationList(items=items, next_cursor=found.next_cursor)


@violations.get("/{violation_id}", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def get_violation(violation_id: UUID, principal: PrincipalDep, session: SessionDep) -> views.ViolationDetail:
    """Return a violation with what people said about it."""
    found = await queries.violation(session, principal, violation_id=violation_id)
    if found is None:
        raise NotFound("There is no such violation here.")
    notes = await queries.notes(session, principal, violation_id=violation_id)
    return await policy_views.violation_detail(session, found, notes)


@violations.post(
    "/{violation_id}/notes", responses=problems(404, 409), openapi_extra=needs(Permission.VIOLATION_ANSWER)
)
async def answer_violation(
    violation_id: UUID, body: views.AnswerViolation, principal: PrincipalDep, session: SessionDep, audit: AuditDep
) -> views.ViolationDetail:
    """Say something about a violation, acknowledge it, resolve it, or open it again."""
    found = await answer(session, principal, violation_id=violation_id, text=body.text, status=body.status)
    if body.status is not None:
        await audit("violation.set", f"violation:{violation_id}", found.project_id, status=body.status)
    else:
        await audit("violation.note", f"violation:{violation_id}", found.project_id)
    notes = await queries.notes(session, principal, violation_id=violation_id)
    return await policy_views.violation_detail(session, found, notes)
