"""The tasks of the queues. Each is a doorbell: it wakes this process's loop and returns."""

from collections.abc import Callable

from celery import Celery

from sparkops.messenger.app import HINT_TASK


def register(app: Celery, wake: Callable[[], None]) -> None:
    """Make the application answer hints by waking the claimer, whichever queue they name."""

    @app.task(name=HINT_TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def run_hint(queue: str) -> None:
        wake()
