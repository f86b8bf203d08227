"""The pages never make markup or code of text, keep nothing in the browser, and speak to their own origin alone."""

import re
from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source

_STORAGE: Final = r"\b(localStorage|sessionStorage|indexedDB|document\.cookie)\b"
KEEPERS: Final = ("lib/theme.ts", "lib/kept-draft.ts", "features/projects/last-project.ts")
"""They keep in the browser a colour, the text that somebody is writing, and the name of a project."""
_NEVER: Final = {
    r"\bdangerouslySetInnerHTML\b|\.(innerHTML|outerHTML)\s*[+]?=[^=]|\.insertAdjacentHTML\(|\bdocument\.write": (
        "Text is never made markup."
    ),
    r"\beval\(|\bnew Function\(|\bset(Timeout|Interval)\(\s*[\"'`]|\bimport\(\s*[^\"'`\s)]": "Text is never made code.",
    r"[\"'`]\s*(javascript|vbscript|data:text/html)\s*:": "No address that runs as code.",
    _STORAGE: "The browser keeps nothing of the platform's.",
    r"\bpostMessage\(|addEventListener\(\s*[\"']message[\"']": "No messages between windows.",
    r"\bfetch\(\s*[\"'`]\s*https?:|new WebSocket\(\s*[\"'`]wss?:|src=[{\"'`]+https?:": (
        "Only their own origin is spoken to."
    ),
    r"target=\{?[\"']_blank[\"'](?![^>]*rel=)": "A page that is opened must not reach the one that opened it: rel.",
}
_COMMENT: Final = re.compile(r"^\s*(//|/?\*|\{/\*)")


def _find(source: Source) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.lines, 1):
        if _COMMENT.match(line):
            continue
        for pattern, why in _NEVER.items():
            if re.search(pattern, line) and not (pattern == _STORAGE and source.path.endswith(KEEPERS)):
                yield number, why


RULE: Final = Rule("unsafe-page", _find, pages=True)
