"""Use cases of workflows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.core.errors import Conflict, Invalid, NotFound
from sparkops.core.json import Json, digest
from sparkops.core.principal import Principal
from sparkops.domains.workflows import queries
from sparkops.domains.workflows.definition import Definition, ToolSpec, parse_definition
from sparkops.domains.workflows.models import Workflow, WorkflowVersion


@dataclass(frozen=True, slots=True)
class Known:
    """What a definition may name: agents of the project, its tools with their arguments' schemas, models of ours, and
    workflows of the project; None leaves the names of workflows unchecked."""

    agents: Collection[str]
    tools: Mapping[str, Mapping[str, Json]]
    models: Collection[str]
    workflows: Collection[str] | None = None


def parse(source: str, known: Known) -> Definition:
    """Return the definition that a text gives. May take seconds: call it in a thread, and outside a transaction.

    Raises:
        Invalid: it is not valid; `errors` list everything that is wrong.
    """
    tools = {name: ToolSpec(parameters) for name, parameters in known.tools.items()}
    return parse_definition(source, agents=known.agents, tools=tools, models=known.models, workflows=known.workflows)


def mistakes(source: str, known: Known) -> Sequence[dict[str, Json]]:
    """Return everything that is wrong with a definition; nothing if it would be accepted. Slow as `parse`."""
    try:
        parse(source, known)
    except Invalid as error:
        errors: Sequence[dict[str, Json]] = error.members.get("errors", [])
        return errors
    return []


async def create_workflow(
    session: AsyncSession, principal: Principal, *, project_id: UUID, source: str, definition: Definition
) -> tuple[Workflow, WorkflowVersion]:
    """Add a workflow with its first version, under the name in its definition. The caller has checked the project.

    Raises:
        Conflict: the project has a workflow of this name.
    """
    workflow = await queries.add_workflow(session, project_id=project_id, name=definition.name)
    if workflow is None:
        raise Conflict(f"There is a workflow called {definition.name} already; add a version to it or rename this one.")
    return workflow, await _add(session, principal, workflow, source, definition)


async def add_version(
    session: AsyncSession, principal: Principal, *, workflow_id: UUID, source: str, definition: Definition
) -> tuple[WorkflowVersion, bool]:
    """Return the version with this text and whether it is new: the latest is kept if nothing changed.

    Raises:
        NotFound: there is no such workflow in a project of the principal.
        Invalid: the definition has another name than the workflow.
    """
    workflow = await queries.locked_workflow(session, principal, workflow_id=workflow_id)
    if workflow is None:
        raise NotFound("There is no such workflow here.")
    if definition.name != workflow.name:
        raise Invalid(
            f"This workflow is called {workflow.name}, the definition says {definition.name}; names never change.",
            errors=[{"path": "name", "message": f"must be {workflow.name}"}],
        )
    latest = await queries.latest_version(session, workflow)
    if latest.source == source:
        return latest, False
    return await _add(session, principal, workflow, source, definition), True


async def _add(
    session: AsyncSession, principal: Principal, workflow: Workflow, source: str, definition: Definition
) -> WorkflowVersion:
    document = dict(definition.document)
    return await queries.add_version(
        session, workflow, source=source, definition=document, digest=digest(document), created_by=principal.user_id
    )
