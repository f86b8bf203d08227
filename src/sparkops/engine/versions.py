"""Graphs by workflow version. A version never changes, so a graph once built serves this process for good."""

from collections import OrderedDict
from typing import Any, Protocol
from uuid import UUID

from sparkops.domains.workflows.definition import Definition
from sparkops.engine.graph import Graph, compile_graph

CAPACITY = 256
"""A graph of 100 steps with compiled expressions weighs about 1 MB."""


class Rows(Protocol):
    async def fetchval(self, query: str, *args: object) -> Any: ...


class GraphCache:
    """The graphs used last, by version id."""

    def __init__(self) -> None:
        self._graphs: OrderedDict[UUID, Graph] = OrderedDict()

    async def get(self, on: "Rows", version_id: UUID) -> Graph:
        """Return the graph of a version, reading its definition if this process has not met it yet."""
        graph = self._graphs.get(version_id)
        if graph is None:
            document = await on.fetchval("SELECT definition FROM workflow_versions WHERE id = $1", version_id)
            graph = compile_graph(Definition.from_document(document))
            self.put(version_id, graph)
        self._graphs.move_to_end(version_id)
        return graph

    def put(self, version_id: UUID, graph: Graph) -> None:
        """Remember a graph; the one used longest ago makes room."""
        self._graphs[version_id] = graph
        if len(self._graphs) > CAPACITY:
            self._graphs.popitem(last=False)
