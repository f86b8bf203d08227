"""Row-level security: the second wall between projects, around what the sessions of the API do (ADR 18).

It belongs to the program, not to a revision of the tables: `put_up_walls` sees to it, after the tables have been
migrated, that every table that knows whose its rows are has the policies that it should have. A table that is new is
behind the wall from its first day.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, TypeAlias

from sqlalchemy import Connection, text

from sparkops.core.db import API_ROLE, APP_ROLE, SIGHT_SETTING

_SIGHT: Final = f"(SELECT nullif(current_setting('{SIGHT_SETTING}', true), '')::uuid[])::uuid[]"
"""The projects that this session may see: read once a statement. Where nobody has said: NULL, which lets nothing in."""
_INSTALLATION: Final = "'00000000-0000-0000-0000-000000000000'::uuid"
"""Stands in the sight of administrators of the installation."""

_OWN: Final = f"project_id = ANY ({_SIGHT})"
_OWN_OR_ADMINISTRATOR: Final = f"(coalesce(project_id, {_INSTALLATION}) = ANY ({_SIGHT}))"
_ADMINISTRATOR: Final = f"{_INSTALLATION} = ANY ({_SIGHT})"

Policies: TypeAlias = Mapping[str, str]
"""What a policy says behind its role, by what it is for: `ALL`, `SELECT`, `INSERT`, `UPDATE`, `DELETE`."""


def _all(condition: str) -> Policies:
    return {"ALL": f"USING ({condition}) WITH CHECK ({condition})"}


def _split(*, seen: str, written: str) -> Policies:
    return {
        "SELECT": f"USING ({seen})",
        "INSERT": f"WITH CHECK ({written})",
        "UPDATE": f"USING ({written}) WITH CHECK ({written})",
        "DELETE": f"USING ({written})",
    }


OWNED: Final = _all(_OWN)
"""Each row is of one project."""
SHARED: Final = _split(seen=f"project_id IS NULL OR {_OWN}", written=_OWN_OR_ADMINISTRATOR)
"""A row without a project is of the installation: all see it, its administrators write it."""
NOTED: Final = _split(seen=_OWN_OR_ADMINISTRATOR, written=f"project_id IS NULL OR {_OWN}")
"""A row without a project is of the installation: its administrators see it, everybody's deeds are written there."""


ADMINISTERED: Final = _all(_OWN_OR_ADMINISTRATOR)
"""A row without a project is of the installation: its administrators alone see and write it."""


def _of_policy(condition: str) -> str:
    return f"EXISTS (SELECT 1 FROM policies p WHERE p.id = policy_id AND ({condition}))"  # noqa: S608 -- below


_BELOW_POLICY: Final = _split(
    seen=_of_policy("true"), written=_of_policy(f"coalesce(p.project_id, {_INSTALLATION}) = ANY ({_SIGHT})")
)

SPECIAL: Final[Mapping[str, Policies]] = {
    "projects": _all(f"id = ANY ({_SIGHT})"),
    "memberships": _split(seen=f"{_OWN} OR {_ADMINISTRATOR}", written=_OWN),
    # People belong to no project, and change what is their own; service accounts belong to one.
    "users": _all(f"project_id IS NULL OR {_OWN}"),
    "policy_versions": _BELOW_POLICY,
    "policy_publications": _BELOW_POLICY,
    "secrets": ADMINISTERED,
    "backtests": ADMINISTERED,
    "secret_versions": ADMINISTERED,
    "audit": NOTED,
    "secret_uses": _split(seen=f"{_OWN} OR scope = 'installation' AND {_ADMINISTRATOR}", written=_OWN),
    "security_events": NOTED,
    "outbox": _split(seen=f"{_OWN} OR {_ADMINISTRATOR}", written=_ADMINISTRATOR),
    # The windows of the installation's budgets name the project or the person that they are for.
    "budgets": _split(
        seen=f"{_OWN} OR project_id IS NULL AND (scope IN ('installation', 'user') OR scope_id = ANY ({_SIGHT})"
        f" OR {_ADMINISTRATOR})",
        written=_OWN_OR_ADMINISTRATOR,
    ),
}

NOT_FOR_THE_API: Final = frozenset(
    {
        ("secret_versions", "ciphertext", "SELECT"),
        ("secret_versions", "wrapped_key", "SELECT"),
        ("secret_versions", "wrapped_key", "UPDATE"),
        ("secret_versions", "kek_id", "UPDATE"),
        ("second_factors", "ciphertext", "SELECT"),
        ("second_factors", "wrapped_key", "SELECT"),
        ("second_factors", "wrapped_key", "UPDATE"),
        ("second_factors", "kek_id", "UPDATE"),
    }
)
"""Rights on columns that only the application's role has: sessions of the API write secrets, and cannot read even
their cipher."""

_TABLES = """
SELECT c.relname AS name, c.relrowsecurity AS walled, a.attnotnull AS owned,
       (SELECT array_agg(p.polname || ' ' || coalesce(obj_description(p.oid, 'pg_policy'), '') ORDER BY p.polname)
          FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
  FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'project_id' AND NOT a.attisdropped
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
 ORDER BY c.relname
"""
_RIGHTS = """
WITH rights AS (
  SELECT c.relname AS name, NULL AS field, a.privilege_type AS verb, a.grantee
    FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  UNION ALL
  SELECT c.relname, f.attname, a.privilege_type, a.grantee
    FROM pg_class c JOIN pg_attribute f ON f.attrelid = c.oid CROSS JOIN LATERAL aclexplode(f.attacl) a
   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition)
SELECT r.name, r.field, r.verb, array_agg(g.rolname) AS roles
  FROM rights r JOIN pg_roles g ON g.oid = r.grantee
 WHERE g.rolname = ANY (:roles)
 GROUP BY r.name, r.field, r.verb ORDER BY r.name, r.field, r.verb
"""
"""Of whole tables, and (`field`) of single columns."""


def policies_of(table: str, *, owned: bool | None) -> Policies | None:
    """Return the policies of a table. `owned`: whether each row has a project; None: the table knows of none.

    None: what lies there belongs to no project, and has no wall.
    """
    if table in SPECIAL:
        return SPECIAL[table]
    if owned is None:
        return None
    return OWNED if owned else SHARED


def put_up_walls(connection: Connection) -> None:
    """Give every table the policies that it should have, and the API's role the rights of the application's, within
    the caller's transaction. What is as it should be is not touched."""
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public, engine TO {API_ROLE}")
    for table in connection.execute(text(_TABLES)).all():
        wanted = policies_of(table.name, owned=table.owned)
        if wanted is not None:
            _put_up(connection, table.name, wanted, there=table.policies or [])
    for right in connection.execute(text(_RIGHTS), {"roles": [APP_ROLE, API_ROLE]}).all():
        verb = right.verb if right.field is None else f'{right.verb} ("{right.field}")'
        theirs = APP_ROLE in right.roles and (right.name, right.field, right.verb) not in NOT_FOR_THE_API
        if theirs and API_ROLE not in right.roles:
            connection.exec_driver_sql(f'GRANT {verb} ON "{right.name}" TO {API_ROLE}')
        elif not theirs and API_ROLE in right.roles:
            connection.exec_driver_sql(f'REVOKE {verb} ON "{right.name}" FROM {API_ROLE}')


def take_down_walls(connection: Connection) -> None:
    """Leave no policy on any table: programs of before knew of none, and a step down may change what they look at."""
    for table in connection.execute(text(_TABLES)).all():
        for policy in table.policies or []:
            connection.exec_driver_sql(f'DROP POLICY "{policy.partition(" ")[0]}" ON "{table.name}"')
        if table.walled:
            connection.exec_driver_sql(f'ALTER TABLE "{table.name}" DISABLE ROW LEVEL SECURITY')


def _put_up(connection: Connection, table: str, wanted: Policies, *, there: list[str]) -> None:
    texts = {"engine": f"TO {APP_ROLE} USING (true) WITH CHECK (true)"} | {
        f"wall_{verb.lower()}": f"FOR {verb} TO {API_ROLE} {says}" for verb, says in wanted.items()
    }
    marks = {name: sha256(says.encode()).hexdigest() for name, says in texts.items()}
    if there == [f"{name} {mark}" for name, mark in sorted(marks.items())]:
        return
    for policy in there:
        connection.exec_driver_sql(f'DROP POLICY "{policy.partition(" ")[0]}" ON "{table}"')
    for name, says in texts.items():
        connection.exec_driver_sql(f'CREATE POLICY {name} ON "{table}" {says}')
        connection.exec_driver_sql(f"COMMENT ON POLICY {name} ON \"{table}\" IS '{marks[name]}'")
    connection.exec_driver_sql(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
