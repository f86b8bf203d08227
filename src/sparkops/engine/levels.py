"""Where a step stands: in the workflow itself, or in one frame of a map or loop, which its path tells."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sparkops.engine.graph import Graph

_FRAME = re.compile(r"([^.\[#]+)(?:\[(\d+)\]|#(\d+))$")


@dataclass(frozen=True, slots=True)
class Level:
    """The steps that decide about each other. `prefix` and a step's key make its path: `each[17].` and `mail`.

    `parent` is the path of the map or loop in whose frame `frame_no` the level is; None for the workflow itself.
    """

    graph: Graph
    prefix: str = ""
    parent: str | None = None
    frame_no: int | None = None

    def path(self, key: str) -> str:
        """Return the path of a step of this level."""
        return self.prefix + key

    def around(self) -> Sequence[str]:
        """Return the prefixes of the levels around this one."""
        parts = self.prefix.split(".")[:-2]
        return ["".join(f"{part}." for part in parts[:many]) for many in range(len(parts) + 1)] if self.parent else []

    def paths_around(self, keys: Sequence[str]) -> list[str]:
        """Return where these steps may stand around this level; keys are unique in a workflow, bodies included."""
        return [prefix + key for prefix in self.around() for key in keys]

    def frame(self, key: str, frame_no: int) -> "Level":
        """Return the level of one frame of a map or loop of this level."""
        node = self.graph.by_key[key]
        assert node.body is not None, f"{key} has no body"
        path = self.path(key)
        name = f"{path}[{frame_no}]." if node.type == "map" else f"{path}#{frame_no}."
        return Level(node.body, name, path, frame_no)


def level_of(graph: Graph, path: str) -> Level:
    """Return the level of a step; `graph` is the workflow's."""
    prefix = path[: path.rfind(".") + 1]
    if not prefix:
        return Level(graph)
    found = _FRAME.search(prefix[:-1])
    assert found is not None, f"{path} is not the path of a step"
    node = graph.find(found[1])
    assert node.body is not None, f"{found[1]} has no body"
    parent = prefix[: found.start()] + found[1]
    return Level(node.body, prefix, parent, int(found[2] or found[3]))


def key_of(path: str) -> str:
    """Return the key of a step, which its path ends with."""
    return path[path.rfind(".") + 1 :]
