"""The tasks of the queues. Each is a doorbell: it wakes who serves its queue in this process, and returns."""

from collections.abc import Callable

from celery import Celery

from sparkops.messenger.app import HINT_TASK


def register(app: Celery, wake: Callable[[str], None]) -> None:
    """Make the application answer hints by waking whoever serves the queue that they name."""

    @app.task(name=HINT_TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def run_hint(queue: str) -> None:
        wake(queue)
