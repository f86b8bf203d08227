"""Structured logs: one JSON object a line, events with ids, never sentences with values inside."""

import logging
import sys
from typing import Any, Final, Literal

import orjson
import structlog

from sparkops.core.redaction import SEEN

LogFormat = Literal["json", "console"]

_OURS: Final = frozenset({"level", "timestamp", "request_id", "route", "method", "status", "principal"})
"""What the process itself writes into a line. A secret of one project may be any word, and must not make lines of all
projects unreadable."""


def configure(*, level: str = "info", fmt: LogFormat = "json", **bound: Any) -> None:
    """Send every log line of this process, the libraries' too, to stderr in one format.

    `bound` is added to each line, for example the process role.
    """

    def bind(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        return {**bound, **event}

    shared: list[structlog.types.Processor] = [
        bind,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(serializer=lambda value, **_: orjson.dumps(value, default=str).decode())
        if fmt == "json"
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[_strike_out, structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def _strike_out(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Replace the secrets that this process has met in what a line tells: tracebacks too, and what a library says in
    the place of an event. Names of fields are ours, and so are `_OURS` and our events."""
    known = SEEN.everything
    if not known:
        return event
    ours = _OURS | {"event"} if event.get("_from_structlog") else _OURS
    return {
        key: item if key in ours or key in ("_record", "_from_structlog") else known.anything(item)
        for key, item in event.items()
    }
