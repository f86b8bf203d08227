"""`files.read` and `files.write`: the artifacts of the run, whose bytes lie in object storage by content."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import Invalid, NotFound, TooLarge, Unavailable
from sparkops.core.json import Json, dumps
from sparkops.domains.artifacts.files import MAX_NAME_CHARS, File, NewFile, check_name, find_file, record_file
from sparkops.domains.effects.state import Capability, EffectClass
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.tools.base import Tool, ToolContext, ToolResult

MAX_READ_BYTES = 256_000
"""More would not fit into a conversation anyway."""
MAX_WRITE_BYTES = 10_000_000
MAX_ROWS = 100_000
_BY_EXTENSION = {"md": "text/markdown", "csv": "text/csv", "json": "application/json", "html": "text/html"}


async def _read(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    try:
        found = await find_file(
            context.database.pool,
            project_id=context.project_id,
            run_id=context.run_id,
            name=arguments["name"],
            version=arguments.get("version"),
        )
        data = await context.blobs.get(found.sha256, MAX_READ_BYTES)
        content = data.decode()
    except NotFound as error:
        raise CallFailed("file-not-found", error.detail, retryable=False) from error
    except TooLarge as error:
        raise CallFailed("file-too-large", error.detail, retryable=False) from error
    except Unavailable as error:
        raise CallFailed("storage-unavailable", error.detail, retryable=True) from error
    except UnicodeDecodeError as error:
        raise CallFailed("file-not-text", f"{arguments['name']} is not a text in UTF-8.", retryable=False) from error
    except LOST_CONNECTION as error:
        raise _no_database() from error
    return ToolResult({**_described(found), "content": content}, labels=frozenset(found.labels))


async def _write(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    try:
        check_name(arguments["name"])
        data = _bytes(arguments)
        sha256 = await context.blobs.put(data)
    except Invalid as error:
        raise CallFailed("invalid-arguments", error.detail, retryable=False) from error
    except Unavailable as error:
        raise CallFailed("storage-unavailable", error.detail, retryable=True) from error
    new = NewFile(
        project_id=context.project_id,
        run_id=context.run_id,
        step_id=context.step_id,
        call_id=context.call_id,
        name=arguments["name"],
        media_type=_media_type(arguments),
        size_bytes=len(data),
        sha256=sha256,
        labels=context.labels,
    )
    # The row is this tool's own effect, written once per call id, so it is committed here and not by the gate.
    try:
        async with context.database.pool.acquire() as connection, connection.transaction():
            written = await record_file(connection, new)
    except LOST_CONNECTION as error:
        raise _no_database() from error
    return ToolResult(_described(written))


def _no_database() -> CallFailed:
    return CallFailed("database-unavailable", "The platform's database did not answer.", retryable=True)


def _described(file: File) -> dict[str, Json]:
    return {
        "artifact_id": str(file.id),
        "name": file.name,
        "version": file.version,
        "media_type": file.media_type,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
    }


def _media_type(arguments: Mapping[str, Any]) -> str:
    if "media_type" in arguments:
        return str(arguments["media_type"])
    if "rows" in arguments:
        return "text/csv"
    return _BY_EXTENSION.get(arguments["name"].rpartition(".")[2].lower(), "text/plain")


def _bytes(arguments: Mapping[str, Any]) -> bytes:
    if "content" in arguments:
        data = str(arguments["content"]).encode()
    else:
        data = to_csv(arguments["rows"], arguments.get("columns")).encode()
    if len(data) > MAX_WRITE_BYTES:
        raise Invalid(f"The file would have {len(data):,} bytes; at most {MAX_WRITE_BYTES:,} fit.")
    return data


def to_csv(rows: Sequence[Mapping[str, Json]], columns: Sequence[str] | None) -> str:
    """Return the rows as CSV by RFC 4180. Without `columns`, all keys in the order in which they first appear.

    Lists and maps become JSON, null an empty field. A text that a spreadsheet would run as a formula gets a quote
    before it, since the rows may come from anywhere.
    """
    names = list(columns) if columns else list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([_cell(name) for name in names])
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue()


def _cell(value: Json) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return dumps(value).decode()
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


_NAME = {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS, "description": "For example report.md."}

FILES_READ = Tool(
    name="files.read",
    description=f"Reads a text file that this run has written, up to {MAX_READ_BYTES:,} bytes.",
    parameters={
        "type": "object",
        "properties": {
            "name": _NAME,
            "version": {"type": "integer", "minimum": 1, "description": "Without it, the latest."},
        },
        "required": ["name"],
        "additionalProperties": False,
    },
    effect_class=EffectClass.PURE,
    run=_read,
    capability=Capability.READ,
)

FILES_WRITE = Tool(
    name="files.write",
    description="Writes a file of this run: text from content, or CSV from rows. Writing a name again makes a new "
    "version.",
    parameters={
        "type": "object",
        "properties": {
            "name": _NAME,
            "content": {"type": "string", "description": "The text, for example Markdown."},
            "rows": {
                "type": "array",
                "items": {"type": "object"},
                "maxItems": MAX_ROWS,
                "description": "Rows of a table, such as sql.query returns; written as CSV.",
            },
            "columns": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "description": "Which columns, in which order. Without it, all.",
            },
            "media_type": {"type": "string", "pattern": "^[a-z]+/[a-z0-9.+-]+$", "maxLength": 100},
        },
        "required": ["name"],
        "oneOf": [{"required": ["content"]}, {"required": ["rows"]}],
        "additionalProperties": False,
    },
    effect_class=EffectClass.IDEMPOTENT,
    run=_write,
    capability=Capability.WRITE,
)
