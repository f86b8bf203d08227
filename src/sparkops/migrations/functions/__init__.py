"""The database functions, one file each and versioned: a change is a new file `name_v2.sql` and a migration.

An installed version never changes, so that a downgrade can put the version before back in place.
"""

from importlib.resources import files
from typing import Protocol


class Executor(Protocol):
    def execute(self, sqltext: str) -> object: ...


def install(op: Executor, name: str) -> None:
    """Create or replace the function that the file `<name>.sql` holds, and let the application call it."""
    op.execute(files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8"))
