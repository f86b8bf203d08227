"""Characters that no text of ours may hold: PostgreSQL stores neither NUL nor half of a surrogate pair."""

import re

from starlette.types import Scope

from sparkops.core.errors import Invalid

_STORABLE = re.compile(
    rb"""(?: [^\\]++
           | \\ [^u]
           | \\u (?! [0-9a-fA-F]{4} )
           | \\u (?! 0000 | [dD][89a-fA-F] ) [0-9a-fA-F]{4}
           | \\u [dD][89abAB][0-9a-fA-F]{2} \\u [dD][c-fC-F][0-9a-fA-F]{2}
         )*+ \\?""",
    re.DOTALL | re.VERBOSE,
)
"""JSON text up to the first escape that is a NUL or half of a pair without the other half."""


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
    if b"\\u" not in body:
        return False
    storable = _STORABLE.match(body)
    return storable is None or storable.end() < len(body)
