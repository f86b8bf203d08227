"""Steps of type `map`: the same steps for each item."""

import time

from sparkops.core.json import Json, dumps
from sparkops.core.payloads import MAX_BYTES, references
from sparkops.engine.decide import OUTPUT_TOO_LARGE
from sparkops.engine.expand import Standing, expand_map, first_failed, frames_from, standing
from sparkops.engine.params import evaluate_items
from sparkops.engine.wait import wait_for_frames
from sparkops.runtime.effects import StepFailed
from sparkops.runtime.steps.base import Attempt, reason_of, went_on


async def run_map(attempt: Attempt) -> Json:
    """Expand the items, going on where an earlier attempt died; wait; return the outputs in the order of the items."""
    stand = await standing(attempt.engine, attempt.step_id)
    if stand is None or _unfinished(stand):
        await _expand(attempt, stand)
    went_on(await wait_for_frames(attempt.engine, attempt.claim))
    stand = await standing(attempt.engine, attempt.step_id)
    if stand is not None and stand.stopped:
        failed = await first_failed(attempt.engine, attempt.step_id)
        assert failed is not None, "an item has failed"
        raise StepFailed("item-failed", f"Item {failed.no} failed: {reason_of(failed.error)}")
    return await _outputs(attempt)


def _unfinished(stand: Standing) -> bool:
    return not stand.stopped and stand.expanded != stand.total


async def _expand(attempt: Attempt, stand: Standing | None) -> None:
    items = evaluate_items(attempt.node, attempt.context)
    while stand is None or _unfinished(stand):
        expanded, sent = 0 if stand is None else stand.expanded, time.monotonic()
        seen = attempt.gate.labels.seen
        there = await expand_map(attempt.engine, attempt.claim, attempt.node, items, expanded, labels=seen)
        if there > expanded:
            attempt.gate.trust.renew(sent, attempt.engine.lease.total_seconds())
        stand = await standing(attempt.engine, attempt.step_id)


async def _outputs(attempt: Attempt) -> list[Json]:
    """Return the outputs of all items, large ones read. They carry what the items' outputs carry, and nothing more.

    Raises:
        StepFailed: together they are larger than any output may be, however often one of them occurs.
    """
    outputs: list[Json] = []
    labels: set[str] = set()
    size = 0
    while page := await frames_from(attempt.engine, attempt.step_id, len(outputs)):
        # Page by page: ten thousand outputs just below the bound of a row would fill the memory of the worker.
        size += len(dumps([frame.output for frame in page]))
        size += sum(each.size for frame in page for each in references(frame.output))
        if size > MAX_BYTES:
            raise StepFailed(
                OUTPUT_TOO_LARGE,
                f"The outputs of the items have {size:,} bytes and more as JSON; at most {MAX_BYTES:,} are allowed.",
            )
        outputs += [await attempt.engine.payloads.load(attempt.claim.project_id, frame.output) for frame in page]
        labels.update(label for frame in page for label in frame.labels)
    attempt.gate.labels.hand_out(labels)
    return outputs
