"""docs/permissions.md is what the code says."""

from pathlib import Path

from sparkops.api.app import create_app
from sparkops.api.permission_table import page
from sparkops.core.config import Settings

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"


def test_the_page_of_permissions_is_the_table_that_is_enforced() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(create_app(Settings())), "run `make permissions`"
