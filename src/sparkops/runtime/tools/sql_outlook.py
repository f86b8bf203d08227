"""What a write would do to a database, found out without doing any of it: its plan, and how many rows it would touch.

All of it happens in a transaction that cannot write and is rolled back, on a connection that is closed after it. The
statement itself is only planned. Rows are counted by a statement of its own, if one can be made of it, and only if
nothing in it is volatile: that is, may do something beside giving a value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from sparkops.core.json import Json, loads
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.outlook import Outlook, Rows
from sparkops.runtime.tools.sql_database import Postgres, server_words
from sparkops.runtime.tools.sql_shape import PICKED, begins_as_write, count_sql
from sparkops.runtime.tools.sql_values import to_server

NOT_ONE_WRITE = "sql-not-one-write"
_EXPLAIN: Final = "EXPLAIN (FORMAT JSON, VERBOSE) "
_MAX_LINES = 100
_MAX_LINE_CHARS = 300
_OPERATIONS = frozenset({"Insert", "Update", "Delete", "Merge"})
_TYPES = "SELECT format_type(t, NULL) FROM unnest($1::oid[]) WITH ORDINALITY AS x (t, n) ORDER BY n"
_TARGET = """
WITH target AS (
    SELECT c.oid, c.relkind::text, c.relhasrules FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2
)
SELECT relkind IN ('r', 'p') AS is_table,
       relhasrules OR pg_catalog.row_security_active(oid) AS is_ruled,
       coalesce(pg_catalog.to_regclass($3) = oid, false) AS is_named,
       ARRAY(SELECT DISTINCT t.tgname::text FROM pg_catalog.pg_trigger t
              WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & $4::int <> 0
                AND (t.tgrelid = target.oid
                     OR t.tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(target.oid)))
              ORDER BY 1 LIMIT 10) AS triggers,
       ARRAY(SELECT DISTINCT k.conrelid::regclass::text FROM pg_catalog.pg_constraint k
              WHERE k.confrelid = target.oid AND k.contype = 'f'
                AND CASE $5 WHEN 'Delete' THEN k.confdeltype IN ('c', 'n', 'd')
                            WHEN 'Update' THEN k.confupdtype IN ('c', 'n', 'd')
                            WHEN 'Merge' THEN k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')
                            ELSE false END ORDER BY 1 LIMIT 10) AS followers
  FROM target
"""
_FIRES: Mapping[str, int] = {"Insert": 4, "Delete": 8, "Update": 16, "Merge": 28}
"""By operation the bits of `pg_trigger.tgtype`."""
_TOLD: Mapping[str, str] = {
    "Filter": "filter",
    "Index Cond": "index",
    "Hash Cond": "join",
    "Merge Cond": "join",
    "Join Filter": "join",
    "Recheck Cond": "checked again",
    "One-Time Filter": "filter",
    "Conflict Resolution": "on conflict",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one write. `tree` is its top, as PostgreSQL describes it."""

    tree: Mapping[str, Any]

    @property
    def operation(self) -> str:
        """Return Insert, Update, Delete or Merge."""
        return str(self.tree["Operation"])

    @property
    def target(self) -> str:
        """Return the table that is written, with its schema."""
        return ".".join(str(self.tree[key]) for key in ("Schema", "Relation Name") if key in self.tree)

    @property
    def sources(self) -> list[Mapping[str, Any]]:
        """Return the parts that the rows come from."""
        return [part for part in _below(self.tree) if part.get("Parent Relationship") in ("Outer", "Member")]

    @property
    def estimate(self) -> int:
        """Return how many rows PostgreSQL expects."""
        return sum(round(part.get("Plan Rows", 0)) for part in self.sources)

    @property
    def listed(self) -> int | None:
        """Return how many rows the statement lists itself; None: it does not."""
        if self.operation != "Insert" or "Conflict Resolution" in self.tree or len(self.sources) != 1:
            return None
        source = self.sources[0]
        plain = not _below(source) and not {"Filter", "One-Time Filter"} & source.keys()
        return round(source["Plan Rows"]) if plain and source["Node Type"] in ("Result", "Values Scan") else None

    def lines(self) -> list[str]:
        """Return the plan for people, a line for each part, indented by its depth."""
        found: list[str] = []
        for depth, part in _walk(self.tree):
            if len(found) == _MAX_LINES:
                return [*found, "…"]
            found.append(_line(depth, part))
        return found


async def plan_of(connection: Postgres, sql: str, parameters: Sequence[Json]) -> Plan:
    """Return the plan of a statement that is one write of one table; it is planned and not executed.

    Raises:
        CallFailed: it is something else, or its parameters do not fit.
        asyncpg.PostgresError: the database refuses it.
    """
    if not begins_as_write(sql):
        raise _not_one_write("It begins as something else.")
    described = await _explained(connection, sql, parameters)
    writes = [part for _, part in _walk(described) if part.get("Node Type") == "ModifyTable"]
    if described.get("Node Type") != "ModifyTable" or described.get("Operation") not in _OPERATIONS:
        raise _not_one_write("It does not write by itself.")
    if len(writes) > 1:
        raise _not_one_write("It writes more than once.")
    return Plan(described)


async def outlook_on(connection: Postgres, sql: str, parameters: Sequence[Json]) -> Outlook:
    """Return what a write would do. The connection is in a transaction that cannot write; it may have failed after it.

    Raises:
        CallFailed, asyncpg.PostgresError: as for `plan_of`.
    """
    plan = await plan_of(connection, sql, parameters)
    prepared = await connection.prepare(sql)
    oids = [kind.oid for kind in prepared.get_parameters()]
    types = [str(row[0]) for row in await connection.fetch(_TYPES, oids)]
    counting = count_sql(sql, types)
    schema, name = plan.tree.get("Schema"), plan.tree.get("Relation Name")
    about = await connection.fetchrow(
        _TARGET, schema, name, counting.target if counting else None, _FIRES[plan.operation], plan.operation
    )
    rows = Rows(plan.estimate, "estimated", "The statement is not of a kind that can be counted without running it.")
    if plan.listed is not None:
        rows = Rows(plan.listed, "exact")
    elif about is None or not about["is_table"] or about["is_ruled"]:
        rows = Rows(plan.estimate, "estimated", "Rules of the database decide which rows are touched.")
    elif counting is not None and about["is_named"]:
        rows = await _count(connection, counting.text, [parameters[n - 1] for n in counting.places], plan.estimate)
    return Outlook(f"{plan.operation} {plan.target}", rows, _besides(about), plan.lines())


async def _count(connection: Postgres, sql: str, parameters: Sequence[Json], estimate: int) -> Rows:
    try:
        plan = await _explained(connection, sql, parameters)
        # PostgreSQL folds this part into the rest, unless something in it is volatile: it knows better than any text.
        if any(part.get("CTE Name") == PICKED for _, part in _walk(plan)):
            return Rows(
                estimate, "estimated", "Its condition calls a volatile function, which is not executed for this."
            )
        counting = await connection.prepare(sql)
        return Rows(await counting.fetchval(*to_server(parameters, counting.get_parameters())), "exact")
    except asyncpg.QueryCanceledError:
        return Rows(estimate, "estimated", "Counting took too long.")
    except (asyncpg.PostgresError, CallFailed) as error:
        words = server_words(error) if isinstance(error, asyncpg.PostgresError) else error.message
        return Rows(estimate, "estimated", f"They could not be counted. {words}")


def _besides(about: Mapping[str, Any] | None) -> list[str]:
    """Return what else would happen that neither plan nor count shows."""
    if about is None:
        return []
    found = [f"Triggers of the table run as well and may change more: {', '.join(about['triggers'])}."]
    found += [f"Rows of these tables that refer to it may change as well: {', '.join(about['followers'])}."]
    return [words for words, there in zip(found, (about["triggers"], about["followers"]), strict=True) if there]


async def _explained(connection: Postgres, sql: str, parameters: Sequence[Json]) -> Mapping[str, Any]:
    statement = await connection.prepare(_EXPLAIN + sql)
    found = loads(await statement.fetchval(*to_server(parameters, statement.get_parameters())))
    if len(found) != 1 or not isinstance(found[0], dict):
        raise _not_one_write("Rules of the database make something else of it.")
    plan: Mapping[str, Any] = found[0]["Plan"]
    return plan


def _not_one_write(why: str) -> CallFailed:
    words = f"Write one INSERT, UPDATE, DELETE or MERGE that changes one table. {why}"
    return CallFailed(NOT_ONE_WRITE, words, retryable=False)


def _below(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(part.get("Plans", ()))


def _walk(part: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[int, Mapping[str, Any]]]:
    yield depth, part
    for each in _below(part):
        yield from _walk(each, depth + 1)


def _line(depth: int, part: Mapping[str, Any]) -> str:
    name = part.get("Relation Name") or part.get("CTE Name") or part.get("Function Name")
    words = [str(part["Operation"] if part.get("Node Type") == "ModifyTable" else part.get("Node Type"))]
    words += [f"on {part.get('Schema', '')}{'.' if 'Schema' in part else ''}{name}"] if name else []
    words += [f"by {part['Index Name']}"] if "Index Name" in part else []
    words += [f"({word}: {part[key]})" for key, word in _TOLD.items() if key in part]
    words += [f"about {round(part['Plan Rows'])} rows"] if depth and "Plan Rows" in part else []
    return ("  " * depth + " ".join(words))[:_MAX_LINE_CHARS]
