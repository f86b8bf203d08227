"""Backtests: what a draft of a policy would have said to the decisions of the past."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api import policy_views
from sparkops.api.access import NIL, check_in_body, needs
from sparkops.api.deps import Door, DoorDep, PageDep, PrincipalDep, QueriedProject, SessionDep, find_project
from sparkops.api.responses import problems
from sparkops.api.routes.policies import aside, find_policy, find_text
from sparkops.api.views import policies as views
from sparkops.core.clock import utc_now
from sparkops.core.errors import Conflict, Invalid, NotFound
from sparkops.core.ids import new_id
from sparkops.core.paging import page_of
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.policies import backtest_queries as queries
from sparkops.domains.policies import service
from sparkops.domains.policies.backtest import Change
from sparkops.domains.policies.format import RuleEffect
from sparkops.domains.policies.models import BacktestJob, Policy
from sparkops.domains.policies.queries import active_policies
from sparkops.engine.backtests import QUEUE, InForce, every_place

router = APIRouter(prefix="/backtests", tags=["policies"])

MAX_WINDOW: Final = timedelta(days=366)
MAX_OPEN: Final = 20
"""Of one project, and of those over all projects: each takes a processor for up to a minute."""


@router.get("", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def list_backtests(
    project: QueriedProject,
    principal: PrincipalDep,
    session: SessionDep,
    page: PageDep,
    policy: Annotated[UUID | None, Query(description="Only those of drafts of this policy.")] = None,
) -> views.BacktestList:
    """List the backtests of a project, newest first; for administrators of the installation with those over all."""
    rows = await queries.backtests(session, principal, project_id=project.id, policy_id=policy, page=page)
    found = page_of(rows, page)
    items = await policy_views.backtest_summaries(session, principal, found.items)
    return views.BacktestList(items=items, next_cursor=found.next_cursor)


@router.post("", status_code=201, responses=problems(404, 409), openapi_extra=needs(Permission.POLICY_WRITE))
async def start_backtest(body: views.NewBacktest, principal: PrincipalDep, door: DoorDep) -> views.Backtest:
    """Ask what a draft would have said to the decisions of the past. Nothing else happens by it.

    The draft is judged together with the policies that are in force now, in the place of the one that it is of. Over
    all projects it is judged in each with what is in force there; that is for administrators of the installation, and
    for policies of the installation.
    """
    if body.project is None:
        check_in_body(principal, NIL, "installation")
    async with door.reads(principal) as session:
        project = None if body.project is None else await find_project(session, principal, body.project)
        policy, source = await _draft(session, principal, project.id if project else None, body)
    since, until = _window(body)
    effect = RuleEffect(project.default_effect) if project else RuleEffect.ALLOW
    checked = await aside(lambda: service.check(source, effect))
    name = checked.policy.name
    places = None if project else await _places(door, principal, policy, name)
    job_id = new_id()
    async with door.writes(principal) as session:
        if await queries.open_backtests(session, project_id=project.id if project else None) >= MAX_OPEN:
            of = "of this project" if project else "over all projects"
            raise Conflict(f"{MAX_OPEN} backtests {of} wait already; cancel one, or wait.")
        active = await active_policies(session, project_id=project.id) if project else []
        job = BacktestJob(
            id=job_id,
            project_id=project.id if project else None,
            places=places,
            policy_id=policy.id if policy else None,
            policy_name=name,
            source=source,
            document=checked.policy.document,
            beside=_beside(policy, name, _in_force(active), installation=project is None),
            default_effect=effect,
            time_zone=project.time_zone if project else "UTC",
            since=since,
            until=until,
            subjects=[str(one) for one in body.subjects] if body.subjects else None,
            names=body.names,
            created_by=principal.user_id,
        )
        session.add(job)
    door.engine.bell.work(QUEUE)
    return await _read(door, principal, job_id)


async def _draft(
    session: AsyncSession, principal: Principal, project_id: UUID | None, body: views.NewBacktest
) -> tuple[Policy | None, str]:
    """Return the policy that the draft is of, and its text. `project_id` None: over all projects."""
    if body.policy_id is None:
        return None, str(body.source)
    policy = await find_policy(session, principal, body.policy_id)
    if policy.project_id is not None and project_id is None:
        raise Invalid("A policy of a project says nothing in others: name its project.")
    if policy.project_id not in (None, project_id):
        raise NotFound("There is no such policy here.")
    if body.version is None:
        return policy, str(body.source)
    return policy, (await find_text(session, principal, policy.id, body.version)).source


def _window(body: views.NewBacktest) -> tuple[Any, Any]:
    until = body.until or utc_now()
    if not timedelta(0) < until - body.since <= MAX_WINDOW:
        raise Invalid(f"since must lie before until, and at most {MAX_WINDOW.days} days before.")
    return body.since, until


async def _places(door: Door, principal: Principal, of: Policy | None, name: str) -> list[dict[str, Any]]:
    """Return what each project is judged by, with the draft among the policies of the installation."""
    return [
        {
            "project_id": str(one.project_id),
            "slug": one.slug,
            "default_effect": one.default_effect,
            "time_zone": one.time_zone,
            "beside": _beside(of, name, one.policies, installation=True),
        }
        for one in await every_place(door.engine.database, principal)
    ]


def _in_force(active: Sequence[Policy]) -> Iterable[InForce]:
    for one in active:
        if one.active_version is not None:
            yield InForce(one.id, one.project_id, one.name, one.active_version)


def _beside(
    of: Policy | None, name: str, active: Iterable[InForce], *, installation: bool
) -> list[Mapping[str, Any] | None]:
    """Return the policies that the draft is judged with, in their order; None is its own place.

    `installation`: a draft that is of no policy yet is one of the installation.
    """
    others: list[tuple[bool, str, Mapping[str, Any] | None]] = [
        (one.project_id is not None, one.name, {"id": str(one.id), "version": one.active_version, "name": one.name})
        for one in active
        if of is None or one.id != of.id
    ]
    others.append((not installation if of is None else of.project_id is not None, name, None))
    return [each for _, _, each in sorted(others, key=lambda one: one[:2])]


@router.get("/{backtest_id}", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def get_backtest(backtest_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Backtest:
    """Return a backtest: how far it has got, and what it has found so far."""
    return await _read(door, principal, backtest_id)


@router.get("/{backtest_id}/flips", responses=problems(404), openapi_extra=needs(Permission.POLICY_READ))
async def list_flips(
    backtest_id: UUID,
    principal: PrincipalDep,
    session: SessionDep,
    page: PageDep,
    change: Annotated[Change | None, Query(description="Only what would have become this.")] = None,
) -> views.FlipList:
    """List the first thousand decisions that would have been others, the newest first.

    Over all projects: those in projects that you belong to, whose decisions you may read; all are counted.
    """
    if await queries.backtest_job(session, principal, backtest_id=backtest_id) is None:
        raise NotFound("There is no such backtest here.")
    rows = await queries.flips(session, principal, backtest_id=backtest_id, change=change, page=page)
    found = page_of(rows, page)
    items = await policy_views.flip_views(session, principal, found.items)
    return views.FlipList(items=items, next_cursor=found.next_cursor)


@router.post("/{backtest_id}/cancel", responses=problems(404), openapi_extra=needs(Permission.POLICY_WRITE))
async def cancel_backtest(backtest_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Backtest:
    """End a backtest; one that is being judged ends within a second. What it has found stays."""
    async with door.writes(principal) as session:
        await queries.cancel_backtest(session, principal, backtest_id=backtest_id)
    return await _read(door, principal, backtest_id)


async def _read(door: Door, principal: Principal, backtest_id: UUID) -> views.Backtest:
    async with door.reads(principal) as session:
        found = await queries.backtest_job(session, principal, backtest_id=backtest_id)
        if found is None:
            raise NotFound("There is no such backtest here.")
        return await policy_views.backtest_view(session, principal, found)
