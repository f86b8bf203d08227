"""What proves something is compared in constant time: `hmac.compare_digest`.

Digests may be compared by the database: who does not know what was digested cannot come nearer to one by and by.
"""

import ast
import re
from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source

_PROOF: Final = re.compile(r"(^|_)(secret|password|signature|mac|token|ticket|nonce|verifier)$")
_PLACES: Final = ("api/", "core/", "domains/identity/", "domains/audit/", "domains/secrets/")


def _find(source: Source) -> Iterator[tuple[int, str]]:
    if not source.within(*_PLACES):
        return
    for node in source.nodes:
        match node:
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
                if (
                    not isinstance(left, ast.Constant)
                    and not isinstance(right, ast.Constant)
                    and (_is_proof(left) or _is_proof(right))
                ):
                    yield node.lineno, f"`{ast.unparse(node)[:60]}` takes as long as the beginnings are alike."


def _is_proof(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return _PROOF.search(name) is not None


RULE: Final = Rule("compare", _find)
