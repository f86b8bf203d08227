"""The documentation of the audit trail says what the code says."""

import re
from pathlib import Path

from sparkops.domains.audit.actions import ACTIONS
from sparkops.domains.audit.verify import Kind

TEXT = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")


def test_every_action_is_documented_as_the_code_tells_it() -> None:
    table = TEXT[TEXT.index("<!-- actions") :]
    assert dict(re.findall(r"^\| `([a-z-]+(?:\.[a-z-]+)+)` \| (.+) \|$", table, re.MULTILINE)) == dict(ACTIONS)


def test_every_finding_is_explained() -> None:
    assert [kind for kind in Kind if f"`{kind}`" not in TEXT] == []
