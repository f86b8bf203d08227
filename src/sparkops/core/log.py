"""Structured logs: one JSON object a line, events with ids, never sentences with values inside."""

import logging
import sys
from typing import Any, Literal

import orjson
import structlog

from sparkops.core.redaction import SEEN

LogFormat = Literal["json", "console"]


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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _strike_out, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def _strike_out(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Replace the secrets that this process has met, wherever they stand in a line: tracebacks too."""
    known = SEEN.everything
    return {known.text(str(key)): known.anything(item) for key, item in event.items()} if known else event
