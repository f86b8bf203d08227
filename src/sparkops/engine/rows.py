"""Graphs as step rows: of a run, of the frames of a body, and of what takes effects back."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sparkops.engine.graph import Node

QUEUE = "run"

Named = Callable[[Sequence[str]], list[str]]


def step_row(node: Node, named: Named, *, hands_over: bool) -> dict[str, Any]:
    """Return what the database keeps of a node, without what is different in each place where it stands.

    `named` turns the keys of steps into what the row shall hold in their place: the ids of a run's steps, or the keys
    themselves, which the database replaces for each frame.
    """
    return {
        "node_key": node.key,
        "type": node.type,
        "position": node.position,
        "queue": QUEUE,
        "inline": node.inline,
        "mechanical": node.mechanical,
        "hands_over": hands_over,
        "needs": named(node.needs),
        "dependents": named(node.dependents),
        "reads": named(node.reads),
        "reads_input": node.reads_input,
        "reads_frame": node.reads_frame,
        "effect_class": node.effect_class,
        "timeout": _interval(node.timeout),
        "max_attempts": node.retry.attempts,
        "backoff": _interval(node.retry.backoff),
        "max_backoff": _interval(node.retry.max_backoff),
        "jitter": node.retry.jitter,
        "retries_timeouts": node.retry.covers("timeout"),
        "deadline": _interval(node.deadline),
        "on_error": node.on_error.kind,
    }


def _interval(duration: timedelta | None) -> str | None:
    return None if duration is None else f"{duration.total_seconds()} seconds"
