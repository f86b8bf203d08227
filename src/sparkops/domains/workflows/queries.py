"""Statements on workflows and their versions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, cast, func, select, update
from sqlalchemy.dialects.postgresql import JSONPATH, insert
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.ids import new_id
from sparkops.core.json import Json
from sparkops.core.paging import PageRequest
from sparkops.core.principal import Principal
from sparkops.core.tenancy import visible_to
from sparkops.domains.workflows.models import Workflow, WorkflowVersion

WithLatest = tuple[Workflow, WorkflowVersion]
_SCRIPTED_STEP = '$.steps.** ? (@.type == "llm" && @.with.model == "scripted")'


def _with_latest(principal: Principal) -> Select[WithLatest]:
    latest = and_(WorkflowVersion.workflow_id == Workflow.id, WorkflowVersion.version == Workflow.latest_version)
    return (
        select(Workflow, WorkflowVersion)
        .join(WorkflowVersion, latest)
        .where(visible_to(principal, Workflow.project_id))
    )


async def workflows(
    session: AsyncSession, principal: Principal, *, project_id: UUID, page: PageRequest
) -> Sequence[WithLatest]:
    """Return the workflows of a project with their latest versions, newest first, one more than the page holds."""
    statement = _with_latest(principal).where(Workflow.project_id == project_id)
    if page.after is not None:
        statement = statement.where(Workflow.id < page.after)
    rows = await session.execute(statement.order_by(Workflow.id.desc()).limit(page.limit + 1))
    return rows.tuples().all()


async def workflow(session: AsyncSession, principal: Principal, *, workflow_id: UUID) -> WithLatest | None:
    """Return a workflow of one of the principal's projects with its latest version, or None."""
    rows = await session.execute(_with_latest(principal).where(Workflow.id == workflow_id))
    return rows.tuples().one_or_none()


async def locked_workflow(session: AsyncSession, principal: Principal, *, workflow_id: UUID) -> Workflow | None:
    """Return a workflow, or None, and let nobody else add a version until the transaction ends.

    Its latest version is read by a statement of its own: a join would look at the version from before the wait.
    """
    found = await session.scalar(
        select(Workflow).where(Workflow.id == workflow_id, visible_to(principal, Workflow.project_id)).with_for_update()
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def latest_version(session: AsyncSession, workflow: Workflow) -> WorkflowVersion:
    """Return the newest version of a workflow; there always is one."""
    statement = select(WorkflowVersion).where(
        WorkflowVersion.workflow_id == workflow.id, WorkflowVersion.version == workflow.latest_version
    )
    return (await session.scalars(statement)).one()


async def workflow_versions(
    session: AsyncSession, principal: Principal, *, workflow_id: UUID, page: PageRequest
) -> Sequence[WorkflowVersion]:
    """Return the versions of a workflow, newest first, one more than the page holds."""
    statement = select(WorkflowVersion).where(
        WorkflowVersion.workflow_id == workflow_id, visible_to(principal, WorkflowVersion.project_id)
    )
    if page.after is not None:
        statement = statement.where(WorkflowVersion.id < page.after)
    return (await session.scalars(statement.order_by(WorkflowVersion.id.desc()).limit(page.limit + 1))).all()


async def workflow_version(
    session: AsyncSession, principal: Principal, *, workflow_id: UUID, version: int
) -> WorkflowVersion | None:
    """Return one version of one of the principal's workflows, or None."""
    found = await session.scalar(
        select(WorkflowVersion).where(
            WorkflowVersion.workflow_id == workflow_id,
            WorkflowVersion.version == version,
            visible_to(principal, WorkflowVersion.project_id),
        )
    )
    return found  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def names_of_workflows(session: AsyncSession, *, workflow_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """Return the names of workflows by id, for showing what something is about."""
    # lint: allow unscoped-query -- names of what rows that may be seen refer to
    rows = await session.execute(select(Workflow.id, Workflow.name).where(Workflow.id.in_(workflow_ids)))
    return dict(rows.tuples().all())


async def project_of_workflow(session: AsyncSession, principal: Principal, *, workflow_id: UUID) -> UUID | None:
    """Return the project of a workflow of the principal's, or None."""
    project_id = await session.scalar(
        select(Workflow.project_id).where(Workflow.id == workflow_id, visible_to(principal, Workflow.project_id))
    )
    return project_id  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def limit_runs(
    session: AsyncSession, principal: Principal, *, workflow_id: UUID, max_running_runs: int | None
) -> bool:
    """Set how many runs of a workflow go on at once, None for any number. False: it is none of the principal's."""
    changed = await session.scalar(
        update(Workflow)
        .where(Workflow.id == workflow_id, visible_to(principal, Workflow.project_id))
        .values(max_running_runs=max_running_runs)
        .returning(Workflow.id)
    )
    return changed is not None


async def _ids(session: AsyncSession, *, project_id: UUID, matching: ColumnElement[bool]) -> Sequence[UUID]:
    return (await session.scalars(select(Workflow.id).where(Workflow.project_id == project_id, matching))).all()


async def ids_named(session: AsyncSession, *, project_id: UUID, name: str) -> Sequence[UUID]:
    """Return the workflow of this name: none or one."""
    return await _ids(session, project_id=project_id, matching=Workflow.name == name)


async def ids_with_name_part(session: AsyncSession, *, project_id: UUID, part: str) -> Sequence[UUID]:
    """Return the workflows whose names contain this text, in any case."""
    matching = Workflow.name.contains(part.lower(), autoescape=True)
    return await _ids(session, project_id=project_id, matching=matching)


@dataclass(frozen=True, slots=True)
class VersionName:
    """What is shown of the version that a run executes."""

    workflow_id: UUID
    name: str
    version: int
    scripted: bool
    """One of its `llm` steps answers from a script."""


@dataclass(frozen=True, slots=True)
class Mention:
    """The latest version of a workflow, whose text mentions something."""

    id: UUID
    name: str
    version: int
    source: str


MAX_MENTIONS = 100


async def workflows_that_mention(
    session: AsyncSession, principal: Principal, *, project_id: UUID, text: str
) -> Sequence[Mention]:
    """Return the workflows of a project whose latest version has this text in it, by name, the first hundred."""
    rows = await session.execute(
        _with_latest(principal)
        .where(Workflow.project_id == project_id, func.strpos(WorkflowVersion.source, text) > 0)
        .order_by(Workflow.name)
        .limit(MAX_MENTIONS)
    )
    return [Mention(flow.id, flow.name, latest.version, latest.source) for flow, latest in rows.tuples()]


async def version_names(session: AsyncSession, *, version_ids: Collection[UUID]) -> Mapping[UUID, VersionName]:
    """Return names for showing runs, by version."""
    scripted = func.jsonb_path_exists(WorkflowVersion.definition, cast(_SCRIPTED_STEP, JSONPATH))
    rows = await session.execute(
        # lint: allow unscoped-query -- names of what rows that may be seen refer to
        select(WorkflowVersion.id, Workflow.id, Workflow.name, WorkflowVersion.version, scripted)
        .join(Workflow, Workflow.id == WorkflowVersion.workflow_id)
        .where(WorkflowVersion.id.in_(version_ids))
    )
    return {row[0]: VersionName(*row[1:]) for row in rows.tuples()}


async def workflow_names(session: AsyncSession, *, project_id: UUID) -> frozenset[str]:
    """Return what the `workflow` steps of a project may name."""
    return frozenset(await session.scalars(select(Workflow.name).where(Workflow.project_id == project_id)))


async def add_workflow(session: AsyncSession, *, project_id: UUID, name: str) -> Workflow | None:
    """Insert a workflow without versions; None if the project has one of this name."""
    added = await session.scalar(
        insert(Workflow)
        .values(id=new_id(), project_id=project_id, name=name, latest_version=0)
        .on_conflict_do_nothing(index_elements=[Workflow.project_id, Workflow.name])
        .returning(Workflow)
    )
    return added  # noqa: RET504 -- mypy reads a returned `scalar` as Any


async def add_version(
    session: AsyncSession,
    workflow: Workflow,
    *,
    source: str,
    definition: dict[str, Json],
    digest: str,
    created_by: UUID,
) -> WorkflowVersion:
    """Insert the next version. The workflow's row must be locked or new."""
    number = workflow.latest_version + 1
    await session.execute(update(Workflow).where(Workflow.id == workflow.id).values(latest_version=number))
    return (
        await session.scalars(
            insert(WorkflowVersion)
            .values(
                id=new_id(),
                project_id=workflow.project_id,
                workflow_id=workflow.id,
                version=number,
                source=source,
                definition=definition,
                digest=digest,
                created_by=created_by,
            )
            .returning(WorkflowVersion)
        )
    ).one()
