"""Which runs a page of a list holds: SQL that walks an index, newest run first, whatever the list is narrowed to.

It is put together from parts that stand here; what a caller asks for becomes an argument.
"""

# ruff: noqa: S608 -- the parts are ours

from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID

from sparkops.core.paging import PageRequest
from sparkops.domains.runs.state import RunStatus

Mark = Callable[[object], str]
"""Takes an argument of a statement and returns its mark there: `$3`."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What a list of runs is narrowed to. None means: any."""

    statuses: Collection[RunStatus] | None = None
    workflow_ids: Collection[UUID] | None = None
    id_from: UUID | None = None
    id_to: UUID | None = None
    source_run_id: UUID | None = None


def page_of_ids(project: str, where: RunFilter, page: PageRequest, mark: Mark) -> str:
    """Return the statement that picks a page's runs, newest first, one more than the page holds.

    `project` is what gives the project's id. For every status asked for, of every workflow, an index is walked from the
    newest on: one walk with `IN` would either sort all matches or pass over all others; both grow with the table.
    """
    bounds = [f"project_id = {project}", *_bounds(where, page, mark)]
    size = mark(page.limit + 1)
    if where.statuses is None and where.workflow_ids is None:
        # lint: allow sql-text -- parts stand in the code, values are arguments
        return f"SELECT id FROM runs WHERE {' AND '.join(bounds)} ORDER BY id DESC LIMIT {size}"
    statuses = where.statuses if where.statuses is not None else set(RunStatus)
    wanted = [f"unnest({mark(sorted(statuses))}::text[]) AS wanted (value)"]
    if where.workflow_ids is not None:
        wanted.append(f"unnest({mark(sorted(where.workflow_ids))}::uuid[]) AS workflow (value)")
        bounds.append("workflow_id = workflow.value")
    return _newest_of_each(wanted, bounds, size)


def _newest_of_each(wanted: list[str], bounds: list[str], size: str) -> str:
    """Merge the newest runs of each status, or of each status of each workflow.

    The two comparisons say the same as `=`, but leave the planner no order other than the one of the index that ends
    with status and id: with `=` it may walk all runs of the project by id and hope to meet the status soon.
    """
    within = " AND ".join([*bounds, "status >= wanted.value", "status <= wanted.value"])
    # lint: allow sql-text -- parts stand in the code, values are arguments
    walk = f"SELECT id FROM runs WHERE {within} ORDER BY status, id DESC LIMIT {size}"
    # lint: allow sql-text -- parts stand in the code, values are arguments
    return f"SELECT newest.id FROM {', '.join(wanted)}, LATERAL ({walk}) AS newest ORDER BY newest.id DESC LIMIT {size}"


def _bounds(where: RunFilter, page: PageRequest, mark: Mark) -> list[str]:
    bounds = (
        ("id <", page.after),
        ("id >=", where.id_from),
        ("id <=", where.id_to),
        ("source_run_id =", where.source_run_id),
    )
    return [f"{bound} {mark(value)}" for bound, value in bounds if value is not None]
