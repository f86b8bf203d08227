"""Steps of type `loop`: the same steps again, until a condition holds."""

from sparkops.core.json import Json
from sparkops.engine.expand import Frame, context_of_pass, expand_loop, frames_from, standing
from sparkops.engine.params import evaluate_until
from sparkops.engine.wait import wait_for_frames
from sparkops.runtime.effects import StepFailed
from sparkops.runtime.steps.base import Attempt, reason_of, went_on


async def run_loop(attempt: Attempt) -> Json:
    """Look at the last pass; end with its output, or begin the next one and wait for it."""
    while True:
        last = await _last(attempt)
        if last is not None and last.status in ("succeeded", "failed") and await _is_done(attempt, last):
            attempt.gate.labels.hand_out(last.labels)
            return await attempt.engine.payloads.load(attempt.claim.project_id, last.output)
        if last is None or last.status == "succeeded":
            previous, passes = (None, 0) if last is None else (last.output, last.no)
            seen = attempt.gate.labels.seen
            seen.update(() if last is None else last.labels)  # the next pass sees the output of this one
            await expand_loop(attempt.engine, attempt.claim, attempt.node, previous, passes, labels=seen)
        went_on(await wait_for_frames(attempt.engine, attempt.claim))


async def _last(attempt: Attempt) -> Frame | None:
    stand = await standing(attempt.engine, attempt.step_id)
    if stand is None or stand.expanded == 0:
        return None
    return (await frames_from(attempt.engine, attempt.step_id, stand.expanded))[0]


async def _is_done(attempt: Attempt, last: Frame) -> bool:
    if last.status == "failed":
        raise StepFailed("pass-failed", f"Pass {last.no} failed: {reason_of(last.error)}")
    options = attempt.node.loop
    if options.until is not None:
        seen = await context_of_pass(attempt.engine, attempt.claim, attempt.node, attempt.context, last)
        if evaluate_until(attempt.node, seen):
            return True
    if last.no < options.max:
        return False
    if options.fails_at_max:
        raise StepFailed("max-passes", f"The condition did not hold after {options.max} passes.")
    return True
