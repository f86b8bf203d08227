"""What the hash of an audit line is made of, said once more than the trigger of the table says it.

Whoever may change rows may change triggers: a check that asked the database for the hash would believe its answer.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

COLUMNS: Final = """
a.id, (extract(epoch FROM a.at) * 1000000)::bigint AS at_us, a.project_id::text AS project_id, a.actor, a.via,
a.address, a.request_id, a.action, a.object, a.detail::text AS detail, a.before::text AS before,
a.after::text AS after, a.content_hash
"""
"""A line `a` as `line_hash` takes it: documents as the database writes them, the time in microseconds since 1970."""

_AS_TEXT: Final = ("project_id", "actor", "via", "address", "request_id", "action", "object")
_AS_JSON: Final = ("detail", "before", "after")


def line_hash(line: Mapping[str, Any]) -> str:
    """Return the hash of a line that was read with `COLUMNS`, in hexadecimal digits."""
    parts = [str(line["id"]), str(line["at_us"])]
    parts += [json.dumps(line[name], ensure_ascii=False) for name in _AS_TEXT]
    parts += [_document(line[name]) for name in _AS_JSON]
    return hashlib.sha256(f"[{', '.join(parts)}]".encode()).hexdigest()


def _document(text: str | None) -> str:
    return "null" if text is None else text
