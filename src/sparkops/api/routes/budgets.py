"""Budgets: defining them, how far they are, and what runs cost."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query

from sparkops.api import budget_rows as rows
from sparkops.api.access import NIL, allowed, check_in_body, needs
from sparkops.api.deps import Door, DoorDep, PageDep, PrincipalDep
from sparkops.api.responses import problems
from sparkops.api.routes.runs import find_run
from sparkops.api.views import budgets as views
from sparkops.api.views.base import Ref, VersionNumber
from sparkops.core.errors import NotFound
from sparkops.core.paging import next_cursor
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.budgets.forecast import forecast
from sparkops.engine import budgets
from sparkops.engine.room import forecast_of

router = APIRouter(tags=["budgets"])

PAST_RUNS: Final = "median and 95th percentile of the last runs of this version, at most 50, which took over nothing"


@router.get("/budgets", responses=problems(404), openapi_extra=needs(Permission.BUDGET_READ))
async def list_budgets(
    principal: PrincipalDep,
    door: DoorDep,
    page: PageDep,
    project: Annotated[str, Query(description="The project's slug.")],
    archived: Annotated[bool, Query(description="Those that were archived.")] = False,
) -> views.BudgetList:
    """List the budgets of a project, and those of the installation that hold for it, newest first."""
    project_id = allowed(principal, project).id
    found = await rows.budget_rows(door.rows(principal), principal, project_id=project_id, archived=archived, page=page)
    items = [_budget(row, principal) for row in found[: page.limit]]
    return views.BudgetList(items=items, next_cursor=next_cursor([row["id"] for row in found], page))


@router.post(
    "/budgets", status_code=201, responses=problems(403, 404, 409), openapi_extra=needs(Permission.BUDGET_MANAGE)
)
async def define_budget(body: views.NewBudgetBody, principal: PrincipalDep, door: DoorDep) -> views.Budget:
    """Define a budget; from now on calls are held against it. Those of the installation are for administrators."""
    if body.project is None:
        check_in_body(principal, NIL, "installation")
    project_id = None if body.project is None else allowed(principal, body.project).id
    return await _read(door, principal, await budgets.define_budget(door.engine, principal, project_id, body))


@router.get("/budgets/forecast", responses=problems(404), openapi_extra=needs(Permission.BUDGET_READ))
async def get_run_forecast(
    principal: PrincipalDep,
    door: DoorDep,
    project: Annotated[str, Query(description="The project's slug.")],
    workflow: Annotated[str, Query(max_length=100, description="The name of a workflow.")],
    version: Annotated[VersionNumber | None, Query(description="None: the latest.")] = None,
) -> views.RunForecast:
    """Say what a run of a workflow can be expected to cost."""
    project_id = allowed(principal, project).id
    pool = door.rows(principal)
    found = await rows.version_row(pool, project_id=project_id, workflow=workflow, version=version)
    if found is None:
        raise NotFound("There is no such workflow or version in this project.")
    forecast = await forecast_of(pool, found["id"])
    return views.RunForecast(
        workflow=Ref(id=found["workflow_id"], name=found["name"]),
        version=found["version"],
        runs=forecast.runs,
        median_micros=forecast.median_micros,
        p95_micros=forecast.p95_micros,
        method=PAST_RUNS,
    )


@router.get("/budgets/{budget_id}", responses=problems(404), openapi_extra=needs(Permission.BUDGET_READ))
async def get_budget(budget_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Budget:
    """Return one budget."""
    return await _read(door, principal, budget_id)


@router.put("/budgets/{budget_id}", responses=problems(403, 404, 409), openapi_extra=needs(Permission.BUDGET_MANAGE))
async def change_budget(
    budget_id: UUID, body: views.BudgetTerms, principal: PrincipalDep, door: DoorDep
) -> views.Budget:
    """Change what a budget allows, for the period that is going on too; what waits for it goes on if it now fits."""
    await budgets.change_budget(door.engine, principal, budget_id, body)
    return await _read(door, principal, budget_id)


@router.post(
    "/budgets/{budget_id}/archive", responses=problems(403, 404), openapi_extra=needs(Permission.BUDGET_MANAGE)
)
async def archive_budget(budget_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.Budget:
    """Archive a budget: nothing counts against it any more, its history stays. Again changes nothing."""
    await budgets.archive_budget(door.engine, principal, budget_id)
    return await _read(door, principal, budget_id)


@router.get("/budgets/{budget_id}/windows", responses=problems(404), openapi_extra=needs(Permission.BUDGET_READ))
async def list_budget_windows(
    budget_id: UUID, principal: PrincipalDep, door: DoorDep, page: PageDep
) -> views.BudgetWindowList:
    """List the periods of a budget, of each member, the newest first."""
    await _read(door, principal, budget_id)
    found = await rows.window_rows(door.rows(principal), principal, budget_id=budget_id, page=page)
    return views.BudgetWindowList(
        items=[_window(row) for row in found[: page.limit]], next_cursor=next_cursor([row["id"] for row in found], page)
    )


@router.get(
    "/budgets/{budget_id}/windows/{window_id}", responses=problems(404), openapi_extra=needs(Permission.BUDGET_READ)
)
async def get_budget_course(
    budget_id: UUID, window_id: UUID, principal: PrincipalDep, door: DoorDep
) -> views.BudgetCourse:
    """Say how the spending of one period went."""
    await _read(door, principal, budget_id)
    pool = door.rows(principal)
    window = await rows.window_row(pool, principal, budget_id=budget_id, window_id=window_id)
    if window is None:
        raise NotFound("There is no such period of this budget.")
    points = [views.CoursePoint.model_validate(dict(row)) for row in await rows.course_rows(pool, window_id=window_id)]
    return views.BudgetCourse(window=_window(window), points=points)


@router.get("/budgets/{budget_id}/notices", responses=problems(404), openapi_extra=needs(Permission.BUDGET_READ))
async def list_budget_notices(
    budget_id: UUID, principal: PrincipalDep, door: DoorDep, page: PageDep
) -> views.BudgetNoticeList:
    """List which thresholds of a budget were reached, the latest first."""
    await _read(door, principal, budget_id)
    found = await rows.notice_rows(door.rows(principal), principal, budget_id=budget_id, page=page)
    items = [
        views.BudgetNotice(
            id=row["id"],
            window_id=row["budget_id"],
            member=_member(row),
            kind=row["kind"],
            percent=row["percent"],
            action=row["action"],
            run_id=row["run"],
            at=row["at"],
        )
        for row in found[: page.limit]
    ]
    return views.BudgetNoticeList(items=items, next_cursor=next_cursor([row["id"] for row in found], page))


@router.get("/runs/{run_id}/costs", responses=problems(404), openapi_extra=needs(Permission.BUDGET_READ))
async def get_run_costs(run_id: UUID, principal: PrincipalDep, door: DoorDep) -> views.RunCosts:
    """Say what a run has cost, on which models and tools, and what it counts against."""
    await find_run(door, principal, run_id)
    pool = door.rows(principal)
    sums = await rows.run_sums(pool, run_id=run_id)
    used = await rows.run_budgets(pool, principal, run_id=run_id)
    return views.RunCosts(
        cost_micros=sums["own"] if sums else 0,
        below_micros=sums["below"] if sums else 0,
        presumed_micros=sums["presumed"] if sums else 0,
        lines=[views.CostLine.model_validate(dict(row)) for row in await rows.cost_lines(pool, run_id=run_id)],
        points=[views.CostPoint.model_validate(dict(row)) for row in await rows.cost_points(pool, run_id=run_id)],
        budgets=[
            views.RunBudgetUse(
                budget_id=row["definition_id"],
                name=row["name"],
                period=row["period"],
                ends_at=row["ends_at"],
                limit_micros=row["limit_micros"],
                spent_micros=row["spent_micros"],
                held_micros=row["reserved_micros"],
                by_this_run_micros=row["own"],
            )
            for row in used
        ],
    )


async def _read(door: Door, principal: Principal, budget_id: UUID) -> views.Budget:
    found = await rows.budget_row(door.rows(principal), principal, budget_id=budget_id)
    if found is None:
        raise NotFound("There is no such budget here.")
    return _budget(found, principal)


def _budget(row: Mapping[str, Any], principal: Principal) -> views.Budget:
    return views.Budget(
        id=row["id"],
        project=row["project"],
        name=row["name"],
        scope=row["scope"],
        target=Ref(id=row["scope_id"], name=row["target"] or "deleted") if row["scope_id"] else None,
        period=row["period"],
        time_zone=row["time_zone"],
        limits=_limits(row),
        thresholds=[views.BudgetThreshold.model_validate(one) for one in row["thresholds"]],
        admission=row["admission"],
        admission_by=row["admission_by"],
        waiting=row["waiting"],
        windows=[_window(one) for one in row["windows"] or []],
        members=row["members"],
        may_change=row["archived_at"] is None and (row["project_id"] is not None or principal.is_admin),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
    )


def _limits(row: Mapping[str, Any]) -> views.BudgetLimits:
    return views.BudgetLimits(
        money_micros=row["limit_micros"], tokens=row["limit_tokens"], calls=row["limit_calls"], runs=row["limit_runs"]
    )


def _member(row: Mapping[str, Any]) -> Ref | None:
    return Ref(id=row["scope_id"], name=row["member"]) if row["member"] else None


def _window(row: Mapping[str, Any]) -> views.BudgetWindow:
    since, until = _moment(row["starts_at"]), _moment(row["ends_at"])
    return views.BudgetWindow(
        id=row["id"],
        member=_member(row),
        starts_at=since,
        ends_at=until,
        limits=_limits(row),
        spent_micros=row["spent_micros"],
        held_micros=row["reserved_micros"],
        spent_tokens=row["spent_tokens"],
        held_tokens=row["reserved_tokens"],
        calls=row["calls"],
        runs=row["runs"],
        forecast=_forecast(row, since, until),
    )


def _moment(value: datetime | str | None) -> datetime | None:
    """Read a moment that may have come in JSON."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _forecast(row: Mapping[str, Any], since: datetime | None, until: datetime | None) -> views.SpendForecast | None:
    told = forecast(row["limit_micros"], row["spent_micros"], since=since, until=until, now=_moment(row["now"]))
    if told is None:
        return None
    return views.SpendForecast(micros=told.micros, exhausted_at=told.exhausted_at, method=told.method)
