"""Frames of maps and loops: their steps advance, they end, the next ones start, and at last their step is woken."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sparkops.core.payloads import Gathering, NotAtHand
from sparkops.domains.runs.state import RunStatus, StepStatus
from sparkops.engine.advancing import Advancing, labels_in, split
from sparkops.engine.context import call
from sparkops.engine.decide import FinishRun, StepState
from sparkops.engine.levels import Level, key_of, level_of

STARTS = 100
"""Frames that one transaction starts at most. Where frames end as soon as they start, others follow in the next."""
REPAIRS = 200
"""Frames that one transaction repairs at most."""
ABANDONS = 2_000
"""Steps that one transaction cancels at most that were never started."""
SMALL = 1_000
"""Bytes up to which outputs are read along with the statuses of a frame."""

_STATES = """
SELECT p.id AS parent_id, p.finished_at IS NULL AS wanted, p.labels AS seen, s.node_key, s.status, s.error,
       CASE WHEN s.labels <> '{}' THEN s.labels END AS labels,
       CASE WHEN pg_column_size(s.output) <= $4 THEN s.output END AS output,
       s.output IS NULL OR pg_column_size(s.output) <= $4 AS loaded
  FROM steps p JOIN steps s ON s.parent_id = p.id AND s.frame_no = $3
 WHERE p.run_id = $1 AND p.path = $2
"""
_STUCK = """
SELECT p.path, f.frame_no FROM steps p JOIN frames f ON f.parent_id = p.id AND f.status = 'open'
 WHERE p.run_id = $1 AND p.status IN ('ready', 'running', 'waiting') AND p.type IN ('map', 'loop')
   AND (NOT EXISTS (SELECT 1 FROM steps s WHERE s.parent_id = f.parent_id AND s.frame_no = f.frame_no
                       AND s.finished_at IS NULL)
        OR EXISTS (SELECT 1 FROM steps s WHERE s.parent_id = f.parent_id AND s.frame_no = f.frame_no
                      AND s.status = 'pending'
                      AND NOT EXISTS (SELECT 1 FROM steps n WHERE n.id = ANY (s.needs) AND n.finished_at IS NULL)))
 ORDER BY p.path, f.frame_no LIMIT $2
"""
_EXPANDING = """
SELECT s.path FROM steps s JOIN expansions e ON e.step_id = s.id
 WHERE s.run_id = $1 AND s.status IN ('ready', 'running', 'waiting') AND e.started < e.expanded
"""
_STEP = "SELECT id FROM steps WHERE run_id = $1 AND path = $2"


async def advance_frame(run: Advancing, level: Level, focus: Collection[str] | None) -> bool:
    """Apply everything that can be decided in one frame; if it ends, count it and start the next ones.

    False: its map or loop has ended without it, so that nothing is decided in it any more.
    """
    rows = await run.on.fetch(_STATES, run.run_id, level.parent, level.frame_no, SMALL)
    if not rows or not rows[0]["wanted"]:
        return False
    states = {
        row["node_key"]: StepState(
            StepStatus(row["status"]), row["output"], row["error"], row["loaded"], labels_in(row)
        )
        for row in rows
    }
    parent_id = rows[0]["parent_id"]
    decided = await run.decide(level, states, parent_id=parent_id, focus=focus, labels=rows[0]["seen"])
    commands, end = split(level, decided)
    await run.apply(commands)
    if isinstance(end, FinishRun):
        assert level.parent is not None, "only frames are advanced here"
        await _close(run, parent_id, [(level, end)])
        await start_frames(run, level.parent, parent_id)
    return True


async def start_frames(run: Advancing, path: str, step_id: UUID, limit: int = STARTS) -> None:
    """Start as many frames of a map or loop as may go on at once; what does not fit is left to `Advanced.more`."""
    home = level_of(run.graph, path)
    while limit > 0:
        opened = await call(run.on, "open_frames", step_id, limit)
        limit -= len(opened["frames"])
        levels = [home.frame(key_of(path), no) for no in opened["frames"]]
        ended = await _start(run, levels, step_id, opened.get("labels", ()))
        if not ended:
            if opened["more"]:
                run.done.more.add(path)
            return
        await _close(run, step_id, ended)
    run.done.more.add(path)


async def _start(
    run: Advancing, levels: list[Level], step_id: UUID, labels: Sequence[str]
) -> list[tuple[Level, FinishRun]]:
    """Let the first steps of these frames go; return the frames that have ended with that."""
    commands, ended, missing = [], [], Gathering()
    for level in levels:
        states = {node.key: StepState(StepStatus.PENDING) for node in level.graph.nodes}
        try:
            more, end = split(level, await run.decide(level, states, parent_id=step_id, labels=labels))
        except NotAtHand as lack:
            missing.add(lack)
            continue
        commands += more
        if isinstance(end, FinishRun):
            ended.append((level, end))
    missing.settle()
    await run.apply(commands)
    return ended


async def _close(run: Advancing, step_id: UUID, ended: list[tuple[Level, FinishRun]]) -> None:
    frames = [
        {
            "no": level.frame_no,
            "status": "succeeded" if end.status is RunStatus.SUCCEEDED else "failed",
            "output": end.written,
            "error": end.error,
            **({"labels": list(end.labels)} if end.labels else {}),
        }
        for level, end in ended
    ]
    woken = await call(run.on, "close_frames", step_id, frames)
    run.done.events += woken
    run.done.ready += [step_id] if woken else []


async def repair_frames(run: Advancing) -> None:
    """Advance the frames that somebody should have advanced, and start those that somebody should have started."""
    for row in await run.on.fetch(_STUCK, run.run_id, REPAIRS):
        home = level_of(run.graph, row["path"])
        await advance_frame(run, home.frame(key_of(row["path"]), row["frame_no"]), None)
    for row in await run.on.fetch(_EXPANDING, run.run_id):
        await start_more(run, row["path"])


async def start_more(run: Advancing, path: str) -> None:
    """Start frames of the map or loop at this path, if any may start."""
    await start_frames(run, path, await run.on.fetchval(_STEP, run.run_id, path))


async def abandon_frames(run: Advancing) -> None:
    """End what is left of frames whose map or loop has ended without them."""
    answer = await call(run.on, "abandon_frames", run.run_id, ABANDONS)
    run.done.events += answer["events"]
    run.done.unfinished = run.done.unfinished or answer["more"]
