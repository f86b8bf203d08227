"""T_EXPAND: the frames of a map or loop, with the steps of their bodies, in batches that can be repeated."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from sparkops.core.errors import SparkOpsError
from sparkops.core.failpoints import failpoint
from sparkops.core.ids import new_id
from sparkops.core.json import Json, Part
from sparkops.core.payloads import Desk
from sparkops.domains.runs.state import StepStatus
from sparkops.domains.workflows.scope import FrameView, StepView, loop_frame
from sparkops.engine.advance import go_on, lock_run
from sparkops.engine.advancing import Advanced, Advancing
from sparkops.engine.claim import Claim
from sparkops.engine.context import Connection, Engine, Ring, call
from sparkops.engine.frames import start_frames
from sparkops.engine.graph import Graph, Node
from sparkops.engine.levels import Level, level_of
from sparkops.engine.params import Context
from sparkops.engine.rows import step_row

MAX_STEPS = 100_000
"""Rows of one run; what one run may cost the database before it is better cut into several."""
BATCH_FRAMES = 500
BATCH_ROWS = 2_000
"""Rows that one transaction inserts, about 100 ms."""
PAGE = 500
"""Frames that are read in one go."""

_STANDING = "SELECT total, expanded, started, ended, failed, stop_on_error FROM expansions WHERE step_id = $1"
_FRAMES = """
SELECT frame_no, status, output, error, value, labels FROM frames
 WHERE parent_id = $1 AND frame_no >= $2 ORDER BY frame_no LIMIT $3
"""
_FAILED = """
SELECT frame_no, status, output, error, value, labels FROM frames
 WHERE parent_id = $1 AND status = 'failed' ORDER BY frame_no LIMIT 1
"""
_IDS = "SELECT node_key, id FROM steps WHERE run_id = $1 AND path = ANY ($2)"
_OUTPUTS = "SELECT node_key, status, output FROM steps WHERE run_id = $1 AND path = ANY ($2)"


class TooManySteps(SparkOpsError):
    code, title = "too-many-steps", "The run would have too many steps"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a map or loop has come. `total` is None for a loop."""

    total: int | None
    expanded: int
    started: int
    ended: int
    failed: int
    stop_on_error: bool

    @property
    def stopped(self) -> bool:
        """True if a failed item keeps further ones from starting."""
        return self.stop_on_error and self.failed > 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a map or loop; `output` and `value` in their stored form, `labels` those of the output."""

    no: int
    status: str
    output: Json
    error: Mapping[str, Any] | None
    value: Json
    labels: Sequence[str]


async def standing(engine: Engine, step_id: UUID) -> Standing | None:
    """Return how far a map or loop has come, or None if it has not begun."""
    row = await engine.database.pool.fetchrow(_STANDING, step_id)
    return None if row is None else Standing(**dict(row))


async def expand_map(
    engine: Engine, claim: Claim, node: Node, items: Sequence[Json], expanded: int, *, labels: Collection[str] = ()
) -> int:
    """Add the next batch of frames of a map and start as many as may go on. Returns how many frames there are now.

    `expanded`: how many there were, as `standing` said. The lease begins anew if there were any to add. `labels` are
    those of what the map has seen: all steps of its frames have them.

    Raises:
        TooManySteps: the run would have more steps than a run may; nothing was written.
        Fenced, CancelRequested: nothing was written.
        Unavailable: large values could not be read or written; nothing but them was written.
    """
    assert node.body is not None, "a map has a body"
    many = max(1, min(BATCH_FRAMES, BATCH_ROWS // len(node.body.nodes)))
    batch = items[expanded : expanded + many]
    stored = [(await engine.payloads.store(claim.project_id, item)).text for item in batch]
    frames = list(enumerate(stored, start=expanded))
    options = {"total": len(items), "concurrency": node.map.concurrency, "stop_on_error": node.map.stop_on_error}
    return await _expand(engine, claim, node.body, frames, expanded, {**options, **_labels(claim, labels)})


async def expand_loop(
    engine: Engine, claim: Claim, node: Node, previous: Json, expanded: int, *, labels: Collection[str] = ()
) -> int:
    """Add and start the next pass of a loop; see `expand_map`. `previous`: the output of the last pass, stored."""
    assert node.body is not None, "a loop has a body"
    options = {"total": None, "concurrency": 1, "stop_on_error": True}
    frames = [(expanded + 1, previous)]
    return await _expand(engine, claim, node.body, frames, expanded, {**options, **_labels(claim, labels)})


def _labels(claim: Claim, labels: Collection[str]) -> dict[str, Any]:
    """Return what `engine.expand` is told of labels: nothing, where the step's row has them."""
    return {} if set(labels) == set(claim.labels) else {"labels": sorted(labels)}


async def _expand(
    engine: Engine,
    claim: Claim,
    body: Graph,
    frames: Sequence[tuple[int, Json | Part]],
    expanded: int,
    options: Mapping[str, Any],
) -> int:
    desk = engine.payloads.desk()
    added = await desk.decide(lambda: _add(engine, claim, body, frames, expanded, options, desk))
    failpoint("after_expand_batch")
    engine.bell.log_grew(added.rings)
    if added.done.ready:
        engine.bell.work("run")
    await go_on(engine, claim.run_id, added.done)
    return added.expanded


@dataclass(frozen=True, slots=True)
class _Added:
    """What the transaction of one batch of frames has changed; `expanded`: how many frames there are now."""

    done: Advanced
    expanded: int
    rings: Sequence[Ring]


async def _add(
    engine: Engine,
    claim: Claim,
    body: Graph,
    frames: Sequence[tuple[int, Json | Part]],
    expanded: int,
    options: Mapping[str, Any],
    desk: Desk,
) -> _Added:
    async with engine.database.pool.acquire() as connection, connection.transaction():
        run = await lock_run(connection, claim.run_id)
        graph = await engine.graphs.get(connection, run["workflow_version_id"])
        answer = await call(
            connection,
            "expand",
            {
                **claim.lease.to_json(),
                **options,
                "lease_seconds": engine.lease.total_seconds(),
                "expanded": expanded,
                "frames": [
                    {"no": no, "value": value, "ids": {node.key: str(new_id()) for node in body.nodes}}
                    for no, value in frames
                ],
                "body": [step_row(node, list, hands_over=body.hands_over(node)) for node in body.nodes],
                "around": await _around(connection, claim, graph, body),
                "max_steps": MAX_STEPS,
            },
        )
        if answer["refused"]:
            raise TooManySteps(f"With these frames the run would have more than {MAX_STEPS:,} steps.")
        advancing = Advancing(engine, connection, run, graph, desk)
        await start_frames(advancing, claim.path, claim.lease.step_id)
        rings = await call(connection, "emit", advancing.done.events)
    return _Added(advancing.done, answer["expanded"], rings)


async def _around(on: Connection, claim: Claim, graph: Graph, body: Graph) -> dict[str, str]:
    """Return the ids of the steps outside of a body that its steps read."""
    keys = {key for node in body.nodes for key in node.reads} - body.by_key.keys()
    if not keys:
        return {}
    home = level_of(graph, claim.path)
    paths = [home.path(key) for key in keys] + home.paths_around(sorted(keys))
    return {row["node_key"]: str(row["id"]) for row in await on.fetch(_IDS, claim.run_id, paths)}


async def frames_from(engine: Engine, step_id: UUID, first: int) -> list[Frame]:
    """Return a page of the frames of a map or loop from this number on."""
    rows = await engine.database.pool.fetch(_FRAMES, step_id, first, PAGE)
    return [_frame(row) for row in rows]


async def first_failed(engine: Engine, step_id: UUID) -> Frame | None:
    """Return the first frame that has failed, or None."""
    row = await engine.database.pool.fetchrow(_FAILED, step_id)
    return row and _frame(row)


def _frame(row: asyncpg.Record) -> Frame:
    return Frame(row["frame_no"], row["status"], row["output"], row["error"], row["value"], row["labels"])


async def context_of_pass(engine: Engine, claim: Claim, node: Node, context: Context, last: Frame) -> Context:
    """Return what the `until` of a loop sees after a pass; `context` is what the loop itself sees.

    Raises:
        Unavailable, ValueLost, ValueTooLarge: a large value cannot be read.
    """
    graph = await engine.graphs.get(engine.database.pool, claim.workflow_version_id)
    level: Level = level_of(graph, claim.path).frame(claim.key, last.no)
    paths = [level.path(key) for key in node.until_mentions.steps if key in level.graph.by_key]
    rows = await engine.database.pool.fetch(_OUTPUTS, claim.run_id, paths)
    passed = {row["node_key"]: await _view(engine, claim, row) for row in rows}
    around, previous = context.frame or FrameView(), await engine.payloads.load(claim.project_id, last.value)
    return Context(context.input, {**context.steps, **passed}, context.run_id, loop_frame(last.no, previous, around))


async def _view(engine: Engine, claim: Claim, row: asyncpg.Record) -> StepView:
    if row["status"] != StepStatus.SUCCEEDED:
        return StepView(None, row["status"])
    return StepView(await engine.payloads.load(claim.project_id, row["output"]), row["status"])
