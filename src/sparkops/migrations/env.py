"""What Alembic runs for each command; the connection is handed in by `runner`, in whose transaction all happens."""

from alembic import context

from sparkops.migrations.partitions import is_partition
from sparkops.migrations.tables import metadata


def _include(_: object, name: str | None, kind: str, reflected: bool, __: object) -> bool:
    """Leave out partitions: maintenance makes and drops them, and the models know their parents only."""
    return not (kind == "table" and reflected and name is not None and is_partition(name))


context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, include_object=_include)
with context.begin_transaction():
    context.run_migrations()
