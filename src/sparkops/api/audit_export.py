"""Lines of the audit trail as a file, page after page, so that neither side has to hold it whole."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sparkops.api import audit_rows
from sparkops.api.audit_rows import Pool
from sparkops.core.json import dumps

PAGE: Final = 200
"""Lines that are held at once; each may have three documents of 64 kB."""

COLUMNS: Final = (
    "number",
    "at",
    "project",
    "actor",
    "name",
    "via",
    "address",
    "request_id",
    "action",
    "object",
    "detail",
    "before",
    "after",
    "content_hash",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""With what a cell begins that a spreadsheet would compute."""


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


MEDIA_TYPES: Final = {Format.JSONL: "application/x-ndjson", Format.CSV: "text/csv; charset=utf-8"}


async def exported(
    pool: Pool, project_id: UUID | None, wanted: audit_rows.LineFilter, form: Format
) -> AsyncIterator[bytes]:
    """Yield the file, newest line first, page after page; lines that come meanwhile are not in it."""
    write: Callable[[Sequence[dict[str, Any]]], bytes] = _jsonl if form is Format.JSONL else _csv
    if form is Format.CSV:
        yield ",".join(COLUMNS).encode() + b"\r\n"
    before: int | None = None
    while True:
        rows = await audit_rows.lines(pool, project_id, wanted, before=before, limit=PAGE, whole=True)
        if rows:
            yield write([audit_rows.as_document(row) for row in rows])
            before = rows[-1]["number"]
        if len(rows) < PAGE:
            return


def _jsonl(documents: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(dumps(document) + b"\n" for document in documents)


def _csv(documents: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for document in documents:
        writer.writerow([_cell(document[name]) for name in COLUMNS])
    return text.getvalue().encode()


def _cell(value: object) -> str:
    """Write a value such that a spreadsheet shows it and computes nothing."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else dumps(value).decode()
    return f"'{text}" if text.startswith(_FORMULA) else text
