"""The database functions, one file each, named like the function: the transactions of the execution protocol.

They belong to the program, not to a revision of the tables: `install_functions` puts those of this program in place
whenever they differ from what the database has, after the tables have been migrated. Git keeps their history.
"""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

from sqlalchemy import Connection, text

INSTALLED = "SELECT obj_description(to_regnamespace('engine'), 'pg_namespace')"
_STALE = """
SELECT p.oid::regprocedure::text FROM pg_proc p
 WHERE p.pronamespace = to_regnamespace('engine') AND p.xmin <> pg_current_xact_id()::xid
"""


def install_functions(connection: Connection) -> None:
    """Make the functions of schema `engine` exactly those of this program, within the caller's transaction."""
    texts, mark = sources(), functions_mark()
    if connection.scalar(text(INSTALLED)) == mark:
        return
    # In place, so that sessions which have prepared a call keep it; bodies may name functions that come later.
    connection.exec_driver_sql("SET LOCAL check_function_bodies = off")
    for source in texts.values():
        connection.exec_driver_sql(source)
    for (signature,) in connection.execute(text(_STALE)).all():
        connection.exec_driver_sql(f"DROP FUNCTION {signature} CASCADE")
    connection.exec_driver_sql(f"COMMENT ON SCHEMA engine IS '{mark}'")


def functions_mark() -> str:
    """Return what `INSTALLED` answers where the functions are those of this program."""
    return "functions " + sha256("\n".join(sources().values()).encode()).hexdigest()


def sources() -> Mapping[str, str]:
    """Return the text of every function by the name of its file, in the order of the names."""
    found = (entry for entry in files(__name__).iterdir() if entry.name.endswith(".sql"))
    return {entry.name: entry.read_text(encoding="utf-8") for entry in sorted(found, key=lambda entry: entry.name)}
