"""Steps of type `wait`: for a while, until a moment, or for an event from outside."""

from datetime import datetime, timedelta

from sparkops.core.json import Json
from sparkops.core.labels import OF_EVENTS
from sparkops.engine.events import PAGE, ReceivedEvent, fits, unseen_events
from sparkops.engine.params import evaluate_wait
from sparkops.engine.wait import wait_for_event, wait_seconds, wait_until
from sparkops.runtime.effects import StepFailed
from sparkops.runtime.steps.base import Attempt, went_on


async def run_wait(attempt: Attempt) -> Json:
    """Return when the wait was over, or the event that came; null if none came and that is no failure."""
    return await (_time(attempt) if attempt.node.wait.event is None else _event(attempt, attempt.node.wait.event))


async def _time(attempt: Attempt) -> Json:
    until = evaluate_wait(attempt.node, attempt.context)
    if isinstance(until, timedelta):
        waited = await wait_seconds(attempt.engine, attempt.claim, until)
    else:
        waited = await wait_until(attempt.engine, attempt.claim, until)
    went_on(waited)
    assert waited.until is not None, "a timer has a time"
    return {"waited_until": waited.until.isoformat().replace("+00:00", "Z")}


async def _event(attempt: Attempt, name: str) -> Json:
    options, after, over = attempt.node.wait, None, False
    while True:
        found, after = await _look(attempt, name, after)
        if found is not None:
            attempt.gate.labels.seen.add(OF_EVENTS)
            return found.to_json()
        if over and options.fails_at_timeout:
            raise StepFailed("wait-timeout", f"No event {name} that fits came in time.")
        if over:
            return None
        waited = await wait_for_event(attempt.engine, attempt.claim, name, after=after, within=options.timeout)
        went_on(waited)
        # Once over, what came in time is visible: one more look, and no further wait.
        over = waited.due_in == timedelta()


async def _look(attempt: Attempt, name: str, after: datetime | None) -> tuple[ReceivedEvent | None, datetime | None]:
    """Return the first event that fits, and when the last one came that was looked at."""
    while True:
        events = await unseen_events(attempt.engine, attempt.claim, name, after=after, within=attempt.node.wait.timeout)
        for event in events:
            if fits(attempt.node, attempt.context, event):
                return event, after
        after = events[-1].received_at if events else after
        if len(events) < PAGE:
            return None, after
