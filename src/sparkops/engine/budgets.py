"""T_BUDGET: budgets are defined, changed and archived, and what waits for them goes on."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import structlog
from pydantic import ValidationError

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import Conflict, Forbidden, Invalid, NotFound
from sparkops.core.failpoints import failpoint
from sparkops.core.ids import new_id
from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.budgets.definition import NewBudget, Scope, Terms
from sparkops.engine.admission import admit_after
from sparkops.engine.context import Engine, call
from sparkops.engine.wake import wake_steps

log = structlog.get_logger()

_OF_INSTALLATION: Final = frozenset({Scope.INSTALLATION, Scope.PROJECT, Scope.API_KEY, Scope.USER, Scope.RUN})
_OF_PROJECT: Final = frozenset({Scope.PROJECT, Scope.WORKFLOW, Scope.AGENT, Scope.API_KEY, Scope.USER, Scope.RUN})

_ZONE = "SELECT time_zone FROM projects WHERE id = $1"
_TARGETS: Mapping[Scope, str] = {
    Scope.WORKFLOW: "SELECT EXISTS (SELECT 1 FROM workflows WHERE id = $1 AND project_id = $2)",
    Scope.AGENT: "SELECT EXISTS (SELECT 1 FROM agents WHERE id = $1 AND project_id = $2)",
    Scope.API_KEY: (
        "SELECT EXISTS (SELECT 1 FROM api_key_projects WHERE key_id = $1 AND (project_id = $2 OR $2 IS NULL))"
    ),
    Scope.USER: "SELECT EXISTS (SELECT 1 FROM memberships WHERE user_id = $1 AND (project_id = $2 OR $2 IS NULL))",
}
_FOUND = """
SELECT d.id, d.project_id, d.archived_at, to_jsonb(d) AS definition FROM budget_definitions d
 WHERE d.id = $1 AND (d.project_id IS NULL OR EXISTS (
   SELECT 1 FROM memberships m WHERE m.project_id = d.project_id AND m.user_id = $2 AND m.project_id = ANY ($3)))
"""


async def define_budget(engine: Engine, principal: Principal, project_id: UUID | None, stated: NewBudget) -> UUID:
    """Define a budget of a project or, None, of the installation.

    Raises:
        NotFound: no project where they may.
        Forbidden: only administrators define budgets of the installation.
        Invalid: the scope does not fit there, or there is no such workflow, agent or member.
        Conflict: there is a budget of this name.
    """
    if project_id is None and not principal.is_admin:
        raise Forbidden("Only administrators define budgets of the installation.")
    if project_id is not None and project_id not in principal.reach(Permission.BUDGET_MANAGE):
        raise NotFound("There is no such project here.")
    if stated.scope not in (_OF_INSTALLATION if project_id is None else _OF_PROJECT):
        raise Invalid(
            f"A budget of {'the installation' if project_id is None else 'a project'} has no scope {stated.scope}."
        )
    pool = engine.database.pool
    if stated.target is not None and not await pool.fetchval(_TARGETS[stated.scope], stated.target, project_id):
        raise Invalid(f"There is no such {stated.scope} here.")
    zone = stated.time_zone or (await pool.fetchval(_ZONE, project_id) if project_id else None) or "UTC"
    budget_id = new_id()
    await _write(
        engine,
        principal,
        budget_id,
        {
            **_terms(stated),
            "project_id": str(project_id) if project_id else None,
            "scope": stated.scope,
            "scope_id": str(stated.target) if stated.target else None,
            "period": stated.period,
            "time_zone": zone,
        },
    )
    return budget_id


async def change_budget(engine: Engine, principal: Principal, budget_id: UUID, terms: Terms) -> None:
    """Change how much a budget allows, from now on and for the period that is going on; what waits for it is woken.

    Raises:
        NotFound: no such budget of theirs.
        Forbidden: only administrators change budgets of the installation.
        Invalid: runs cannot be limited there.
        Conflict: it is archived, or there is another one of this name.
    """
    found = await _find(engine, principal, budget_id)
    before = found["definition"]
    stated = {**terms.model_dump(), "scope": before["scope"], "period": before["period"], "target": before["scope_id"]}
    try:
        NewBudget.model_validate(stated)
    except ValidationError as error:
        raise Invalid(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    if found["archived_at"] is not None:
        raise Conflict("This budget is archived; define another one.")
    await _write(engine, principal, budget_id, _terms(terms))


async def archive_budget(engine: Engine, principal: Principal, budget_id: UUID) -> None:
    """Archive a budget: nothing is counted on it any more, and what waits for it goes on. Twice changes nothing.

    Raises:
        NotFound: no such budget of theirs.
        Forbidden: only administrators archive budgets of the installation.
    """
    found = await _find(engine, principal, budget_id)
    if found["archived_at"] is None:
        await _write(engine, principal, budget_id, {}, archive=True)


def _terms(terms: Terms) -> dict[str, Any]:
    names: Sequence[str] = (*(f"limit_{kind}" for kind in ("micros", "tokens", "calls", "runs")), "name", "thresholds")
    stated = terms.model_dump(mode="json")
    return {name: stated[name] for name in (*names, "admission", "admission_by")}


async def _find(engine: Engine, principal: Principal, budget_id: UUID) -> Mapping[str, Any]:
    found = await engine.database.pool.fetchrow(
        _FOUND, budget_id, principal.user_id, principal.reach(Permission.BUDGET_MANAGE)
    )
    if found is None:
        raise NotFound("There is no such budget here.")
    if found["project_id"] is None and not principal.is_admin:
        raise Forbidden("Only administrators change budgets of the installation.")
    row: Mapping[str, Any] = found
    return row


async def _write(
    engine: Engine, principal: Principal, budget_id: UUID, definition: Mapping[str, Any], *, archive: bool = False
) -> None:
    failpoint("before_budget")
    answer = await call(
        engine.database.pool,
        "define_budget",
        {"id": str(budget_id), "user_id": str(principal.user_id), "archive": archive, "definition": dict(definition)},
    )
    failpoint("after_budget")
    if answer["result"] == "taken":
        raise Conflict(f"There is a budget called {definition['name']} already.")
    await admit_after(engine, answer["queued"])
    try:
        await wake_steps(engine, [UUID(step) for step in answer["waiting"]], "budget")
    except LOST_CONNECTION as error:  # the sweep wakes them
        log.warning("wake.failed", error=str(error) or type(error).__name__)
