"""Running ahead: the steps that can only follow one another are run before the first of them is recorded.

A worker that has run a step whose calls stayed in the process goes on with the only step that needs it, and so on, for
a moment. The end of the first step then records all of them in one transaction, or, where anything has changed
meanwhile, the first alone: nothing had left the process, so nothing is lost (ADR 13).
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from sparkops.domains.workflows.definition import StepType
from sparkops.engine.claim import Claim
from sparkops.engine.complete import Ahead, Ended
from sparkops.engine.graph import Node
from sparkops.engine.levels import Level, level_of
from sparkops.runtime.attempt import execute_ahead
from sparkops.runtime.steps.base import Runtime
from sparkops.runtime.trust import Trust

SECONDS = 0.02
"""How long the record of a step may be kept back for those that follow it; what takes longer is claimed as usual."""
MOST: Final = 40
"""How many steps may follow one: the ends of a whole worker share a transaction, which may not take seconds."""


async def run_ahead(runtime: Runtime, ended: Ended, trust: Trust) -> Ended:
    """Return the end with what was run after it: nothing, where the end is no success of a call that was noted.

    What a worker takes alone, because it may have killed one, is not gone beyond.

    Raises:
        Fenced: the lease may have run out while the database did not answer.
    """
    if not ended.mechanical or not ended.noted or ended.results or ended.claim.isolate:
        return ended
    engine = runtime.engine
    graph = await trust.insist(lambda _: engine.graphs.get(engine.database.pool, ended.claim.workflow_version_id))
    level = level_of(graph, ended.claim.path)
    known = dict(ended.claim.steps)
    claim = _next_claim(runtime, level, ended, known)
    if claim is None:
        return ended
    done: list[Ahead] = []
    since = time.monotonic()
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while claim is not None and len(done) < MOST and trust.holds():
                end = await execute_ahead(runtime, graph, claim, trust)
                if end is None or end.policy_version != ended.policy_version:
                    break
                now = time.monotonic()
                done.append(Ahead(claim.path, end.written, end.noted, now - since, end.labels))
                since = now
                claim = _next_claim(runtime, level, end, known)
    return replace(ended, ahead=done)


def _next_claim(runtime: Runtime, level: Level, end: Ended, known: dict[str, Mapping[str, Any]]) -> Claim | None:
    """Return what a claim of the step after this end would be, or None where it may not be run ahead.

    `known`: what steps before gave, to which this end is added.
    """
    last = end.claim
    labels = last.labels if end.labels is None else end.labels
    known[last.key] = {"status": end.status, "output": end.output, **({"labels": sorted(labels)} if labels else {})}
    before = level.graph.by_key[last.key]
    if len(before.dependents) != 1:
        return None
    node = level.graph.by_key[before.dependents[0]]
    if not _follows(runtime, level, node) or not _sees_enough(node, last, known):
        return None
    return replace(
        last,
        lease=replace(last.lease, attempt=1),
        key=node.key,
        path=level.path(node.key),
        type=node.type,
        failures=0,
        hands_over=True,
        timeout_seconds=_seconds(node.timeout),
        deadline_seconds=_seconds(node.deadline),
        steps={key: known[key] for key in node.reads},
        journal=(),
    )


def _follows(runtime: Runtime, level: Level, node: Node) -> bool:
    """Say whether a step can only follow the one that it needs, and does nothing outside the process."""
    if len(node.needs) != 1 or not node.mechanical or not level.graph.hands_over(node) or node.type != StepType.TOOL:
        return False
    tool = runtime.tools.get(node.name or "")
    return tool is not None and tool.local


def _sees_enough(node: Node, last: Claim, known: Mapping[str, Any]) -> bool:
    """Say whether all that the step reads is at hand; the claim brought what its own step reads."""
    return (
        known.keys() >= set(node.reads)
        and (not node.reads_input or last.input is not None)
        and (not node.reads_frame or last.frame is not None)
    )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
