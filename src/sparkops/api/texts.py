"""Characters that no text of ours may hold: PostgreSQL stores neither NUL nor half of a surrogate pair."""

import re

from starlette.types import Scope

from sparkops.core.errors import Invalid

_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)


class UnstorableText(Invalid):
    code, title = "unstorable-text", "The text holds a character that cannot be stored"


def refuse_unstorable(scope: Scope, body: bytes) -> None:
    """Do nothing for a request whose address and JSON body can be stored as text.

    Raises:
        UnstorableText: a NUL character or an unpaired surrogate is in it, escaped as JSON and addresses do.
    """
    if "\0" in scope["path"] or b"%00" in scope["query_string"] or _is_unstorable(body):
        raise UnstorableText("Texts may hold neither NUL characters nor unpaired surrogates; remove them.")


def _is_unstorable(body: bytes) -> bool:
    """Walk the escapes in order: a pair is a high half directly followed by a low one, all else is unpaired."""
    expected_at: int | None = None
    for escape in _ESCAPE.finditer(body):
        code = int(escape[1], 16) if escape[1] else -1
        paired = code in _LOW and escape.start() == expected_at
        if code == 0 or (code in _LOW and not paired) or (expected_at is not None and not paired):
            return True
        expected_at = escape.end() if code in _HIGH else None
    return expected_at is not None
