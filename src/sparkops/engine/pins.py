"""What the names in a graph mean from now on: a run keeps to the versions that were the latest when it was accepted."""

from typing import Any
from uuid import UUID

import asyncpg

from sparkops.core.errors import Invalid
from sparkops.engine.graph import Graph

_AGENTS = """
SELECT a.name, v.id FROM agents a JOIN agent_versions v ON v.agent_id = a.id AND v.version = a.latest_version
 WHERE a.project_id = $1 AND a.name = ANY ($2)
"""
_WORKFLOWS = """
SELECT n.name, n.version, v.id FROM unnest($2::text[], $3::bigint[]) AS n (name, version)
  JOIN workflows w ON w.project_id = $1 AND w.name = n.name
  JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = coalesce(n.version, w.latest_version)
"""


async def pin_names(pool: "asyncpg.Pool", project_id: UUID, graph: Graph) -> dict[str, Any]:
    """Return the versions that the names in this graph mean from now on: `{"agents": {name: version id}, "workflows":
    {reference: version id}}`, where the reference of a workflow is as `workflow_ref` says.

    Raises:
        Invalid: the project no longer has an agent or a workflow that the graph names.
    """
    pins: dict[str, Any] = {"agents": await _pin_agents(pool, project_id, graph)}
    if graph.workflows:
        pins["workflows"] = await _pin_workflows(pool, project_id, graph)
    return pins


def workflow_ref(name: str, version: int | None) -> str:
    """Return under what a workflow is pinned: `name`, or `name@version` where the step states one."""
    return name if version is None else f"{name}@{version}"


async def _pin_workflows(pool: "asyncpg.Pool", project_id: UUID, graph: Graph) -> dict[str, str]:
    wanted = sorted(graph.workflows, key=lambda each: workflow_ref(*each))
    rows = await pool.fetch(_WORKFLOWS, project_id, [name for name, _ in wanted], [version for _, version in wanted])
    pins = {workflow_ref(row["name"], row["version"]): str(row["id"]) for row in rows}
    missing = [ref for ref in (workflow_ref(*each) for each in wanted) if ref not in pins]
    if missing:
        raise Invalid(f"The workflow starts workflows that this project does not have: {', '.join(missing)}.")
    return pins


async def _pin_agents(pool: "asyncpg.Pool", project_id: UUID, graph: Graph) -> dict[str, str]:
    names = sorted(graph.agents)
    if not names:
        return {}
    pins = {row["name"]: str(row["id"]) for row in await pool.fetch(_AGENTS, project_id, names)}
    missing = [name for name in names if name not in pins]
    if missing:
        raise Invalid(f"The workflow uses agents that this project no longer has: {', '.join(missing)}.")
    return pins
