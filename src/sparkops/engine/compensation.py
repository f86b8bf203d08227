"""A run that failed or was cancelled takes back what its steps have done, before it ends."""

from collections.abc import Sequence
from typing import Any

from sparkops.core.ids import new_id
from sparkops.domains.runs.state import RunStatus, StepStatus
from sparkops.engine.advancing import Advancing, split
from sparkops.engine.context import call
from sparkops.engine.decide import Compensate, StepState, decide_compensating, to_json
from sparkops.engine.levels import Level
from sparkops.engine.rows import step_row

_IDS = "SELECT path, id FROM steps WHERE run_id = $1 AND path = ANY ($2)"
_LOG = """
SELECT s.path, max(e.seq) AS seq FROM steps s JOIN events e ON e.run_id = s.run_id AND e.step_id = s.id
 WHERE s.run_id = $1 AND s.path = ANY ($2) AND e.kind = 'step.succeeded' GROUP BY s.path
"""
_UNDO = "SELECT path, status FROM steps WHERE run_id = $1 AND undo_of IS NOT NULL ORDER BY position"
_ENDS = "SELECT ends_as, error FROM runs WHERE id = $1"


async def begin_compensation(run: Advancing, command: Compensate) -> None:
    """Add the steps that take effects back, in the order in which they run, and let the first of them go."""
    nodes = [(key, run.graph.by_key[key].undo) for key in await _last_first(run, command.keys)]
    undo = [(key, node) for key, node in nodes if node is not None]
    wanted = {key for key, _ in undo}.union(*(node.reads for _, node in undo))
    ids = {row["path"]: str(row["id"]) for row in await run.on.fetch(_IDS, run.run_id, list(wanted))}

    def named(keys: Sequence[str]) -> list[str]:
        return [ids[key] for key in keys]

    first = 1 + max(node.position for node in run.graph.nodes)
    rows: list[dict[str, Any]] = [
        {
            **step_row(node, named, hands_over=False),
            "id": str(new_id()),
            "undo_of": ids[key],
            "position": first + place,
        }
        for place, (key, node) in enumerate(undo)
    ]
    answer = await call(
        run.on, "compensate", run.run_id, {"ends_as": command.ends_as, "error": command.error, "steps": rows}
    )
    run.done.events += answer
    run.status = RunStatus.COMPENSATING
    await go_on_compensating(run)


async def _last_first(run: Advancing, keys: Sequence[str]) -> list[str]:
    """Return these steps in the reverse order of their lines in the log, which no clock can set back; what was kept
    from the source of this run ended before all others."""
    ended = {row["path"]: row["seq"] for row in await run.on.fetch(_LOG, run.run_id, list(keys))}
    return sorted(keys, key=lambda key: ended.get(key, 0), reverse=True)


async def go_on_compensating(run: Advancing) -> None:
    """Let the next undo step go, or end the run when all have ended."""
    undo = {row["path"]: StepState(StepStatus(row["status"])) for row in await run.on.fetch(_UNDO, run.run_id)}
    ends = await run.on.fetchrow(_ENDS, run.run_id)
    commands, end = split(Level(run.graph), decide_compensating(undo, RunStatus(ends["ends_as"]), ends["error"]))
    await run.apply(commands)
    if end is not None:
        await run.apply([to_json(end)])
