"""The Celery application. A message is a doorbell: it carries a queue's name or an id, never truth."""

import warnings
from typing import Final

from celery import Celery
from celery.platforms import SecurityWarning

# Celery warns a root user because of pickle; messages here are JSON with a queue's name.
warnings.filterwarnings("ignore", category=SecurityWarning)

QUEUES: Final = ("run", "policy", "schedule", "webhook", "metrics")
HINT_TASK: Final = "run.hint"
HINT_EXPIRES_SECONDS: Final = 30


def make_app(redis_url: str) -> Celery:
    """Return an application that sends and receives hints, configured so that no message matters.

    No results, no late acknowledgement, no countdowns, no retries of publishing: what is lost is found by a poll.
    """
    app = Celery("sparkops", broker=redis_url)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=False,
        task_store_errors_even_if_ignored=False,
        task_create_missing_queues=True,
        task_default_queue="run",
        task_routes={"run.*": {"queue": "run"}, "policy.*": {"queue": "policy"}, "schedule.*": {"queue": "schedule"},
                     "webhook.*": {"queue": "webhook"}, "metrics.*": {"queue": "metrics"}},
        task_serializer="json",
        accept_content=["json"],
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=1,
        broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 1, "socket_keepalive": True},
        event_queue_expires=60,
    )  # fmt: skip
    return app
