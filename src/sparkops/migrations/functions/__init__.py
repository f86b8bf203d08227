"""The database functions, one file each, named like the function: the transactions of the execution protocol.

They belong to the program, not to a revision of the tables: `install_functions` puts those of this program in place
whenever they differ from what the database has, after the tables have been migrated. Git keeps their history.
"""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

INSTALLED = "SELECT obj_description(to_regnamespace('engine'), 'pg_namespace')"
_NAMED = """
SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = to_regnamespace('engine') AND p.proname = :name
"""
_THERE = """
SELECT p.oid::regprocedure::text AS signature, p.xmin::text AS version FROM pg_proc p
 WHERE p.pronamespace = to_regnamespace('engine')
"""


def install_functions(connection: Connection) -> None:
    """Make the functions of schema `engine` exactly those of this program, within the caller's transaction."""
    texts, mark = sources(), functions_mark()
    if connection.scalar(text(INSTALLED)) == mark:
        return
    connection.exec_driver_sql("SET LOCAL check_function_bodies = off")  # bodies may name functions that come later
    before = _there(connection)
    for name, source in texts.items():
        _install(connection, name.removesuffix(".sql"), source)
    for signature, version in _there(connection).items():
        if before.get(signature) == version:  # nobody replaced it
            connection.exec_driver_sql(f"DROP FUNCTION {signature} CASCADE")
    connection.exec_driver_sql(f"COMMENT ON SCHEMA engine IS '{mark}'")


def _there(connection: Connection) -> Mapping[str, str]:
    """Return the functions that there are, each with a mark that changes when it is replaced."""
    return {row.signature: row.version for row in connection.execute(text(_THERE))}


def _install(connection: Connection, name: str, source: str) -> None:
    """Put a function in place, so that sessions which have prepared a call keep it. One that returns something else
    than before cannot be replaced, and is made anew."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(source)
    except DBAPIError as refused:
        if getattr(refused.orig, "sqlstate", None) != asyncpg.InvalidFunctionDefinitionError.sqlstate:
            raise
        for (signature,) in connection.execute(text(_NAMED), {"name": name}).all():
            connection.exec_driver_sql(f"DROP FUNCTION {signature} CASCADE")
        connection.exec_driver_sql(source)


def functions_mark() -> str:
    """Return what `INSTALLED` answers where the functions are those of this program."""
    return "functions " + sha256("\n".join(sources().values()).encode()).hexdigest()


def sources() -> Mapping[str, str]:
    """Return the text of every function by the name of its file, in the order of the names."""
    found = (entry for entry in files(__name__).iterdir() if entry.name.endswith(".sql"))
    return {entry.name: entry.read_text(encoding="utf-8") for entry in sorted(found, key=lambda entry: entry.name)}
