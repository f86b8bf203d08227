"""The walls between projects: policies on rows, what a session is shown, and what roles and keys may do."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard, of_schema

_WALLS = "migrations/walls.py"
_TENANCY = "core/tenancy.py"
_ACCESS = "api/access.py"
_OWN_ROWS = "db/row_walls::test_a_project_is_shown_its_own_rows_and_what_holds_for_all"
_WRITTEN = "db/row_walls::test_rows_of_another_project_cannot_be_written"
_ADMINISTRATOR = "db/row_walls::test_an_administrator_is_shown_what_is_the_installations_and_no_other_project"
_EACH = "db/walled_sessions::test_each_session_over_one_connection_sees_its_own"

WALLS: Sequence[Guard] = (
    # Policies on rows
    guard(
        "rows: of one's own projects",
        _OWN_ROWS,
        (_WALLS, '_OWN: Final = f"project_id = ANY ({_SIGHT})"', '_OWN: Final = "true"'),
    ),
    guard(
        "rows: of nobody where nothing is said",
        "db/row_walls::test_where_nobody_has_said_what_may_be_seen_no_project_is",
        (
            _WALLS,
            '_OWN: Final = f"project_id = ANY ({_SIGHT})"',
            '_OWN: Final = f"coalesce(project_id = ANY ({_SIGHT}), true)"',
        ),
    ),
    guard(
        "rows: only one's own are written",
        _WRITTEN,
        (
            _WALLS,
            'return {"ALL": f"USING ({condition}) WITH CHECK ({condition})"}',
            'return {"ALL": f"USING ({condition}) WITH CHECK (true)"}',
        ),
    ),
    guard(
        "rows: what holds for all is not written by all",
        _WRITTEN,
        (_WALLS, '        "INSERT": f"WITH CHECK ({written})",\n', '        "INSERT": "WITH CHECK (true)",\n'),
    ),
    guard(
        "rows: what holds for all is not changed by all",
        _WRITTEN,
        (
            _WALLS,
            '        "UPDATE": f"USING ({written}) WITH CHECK ({written})",\n',
            '        "UPDATE": "USING (true) WITH CHECK (true)",\n',
        ),
    ),
    guard(
        "rows: none is moved into another project",
        "db/row_walls::test_a_row_cannot_be_moved_into_another_project",
        (
            _WALLS,
            'return {"ALL": f"USING ({condition}) WITH CHECK ({condition})"}',
            'return {"ALL": f"USING ({condition}) WITH CHECK (true)"}',
        ),
    ),
    guard(
        "rows: the installation's notes are for its administrators",
        _OWN_ROWS,
        (
            _WALLS,
            "NOTED: Final = _split(seen=_OWN_OR_ADMINISTRATOR,",
            'NOTED: Final = _split(seen=f"project_id IS NULL OR {_OWN}",',
        ),
    ),
    guard(
        "rows: the installation's secrets are for its administrators",
        _OWN_ROWS,
        (
            _WALLS,
            "ADMINISTERED: Final = _all(_OWN_OR_ADMINISTRATOR)",
            'ADMINISTERED: Final = _all(f"project_id IS NULL OR {_OWN}")',
        ),
    ),
    guard(
        "rows: an administrator sees no project by that",
        _ADMINISTRATOR,
        (
            _WALLS,
            '_OWN_OR_ADMINISTRATOR: Final = f"(coalesce(project_id, {_INSTALLATION}) = ANY ({_SIGHT}))"',
            '_OWN_OR_ADMINISTRATOR: Final = f"({_INSTALLATION} = ANY ({_SIGHT}) OR {_OWN})"',
        ),
    ),
    guard(
        "rows: projects themselves",
        _OWN_ROWS,
        (_WALLS, '"projects": _all(f"id = ANY ({_SIGHT})"),', '"projects": _all("true"),'),
    ),
    guard(
        "rows: members",
        _OWN_ROWS,
        (
            _WALLS,
            '"memberships": _split(seen=f"{_OWN} OR {_ADMINISTRATOR}", written=_OWN),',
            '"memberships": _split(seen="true", written=_OWN),',
        ),
    ),
    guard(
        "rows: service accounts",
        _OWN_ROWS,
        (_WALLS, '"users": _all(f"project_id IS NULL OR {_OWN}"),', '"users": _all("true"),'),
    ),
    guard("rows: versions of policies", _OWN_ROWS, (_WALLS, '    seen=_of_policy("true"),', '    seen="true",')),
    guard(
        "rows: versions of policies are written with their policy",
        _WRITTEN,
        (_WALLS, 'written=_of_policy(f"coalesce(p.project_id, {_INSTALLATION}) = ANY ({_SIGHT})")', 'written="true"'),
    ),
    guard(
        "rows: uses of secrets",
        _OWN_ROWS,
        (_WALLS, "seen=f\"{_OWN} OR scope = 'installation' AND {_ADMINISTRATOR}\"", 'seen="true"'),
    ),
    guard(
        "rows: the outbox",
        _OWN_ROWS,
        (_WALLS, '"outbox": _split(seen=f"{_OWN} OR {_ADMINISTRATOR}"', '"outbox": _split(seen="true"'),
    ),
    guard(
        "rows: windows of budgets",
        _OWN_ROWS,
        (
            _WALLS,
            "seen=f\"{_OWN} OR project_id IS NULL AND (scope IN ('installation', 'user') OR scope_id = ANY ({_SIGHT})\"\n        f\" OR {_ADMINISTRATOR})\",",
            'seen="true",',
        ),
    ),
    of_schema(
        "rows: the walls stand",
        "db/row_walls::test_every_table_that_knows_whose_its_rows_are_has_a_wall",
        "ALTER TABLE runs DISABLE ROW LEVEL SECURITY",
    ),
    of_schema(
        "rows: the walls of partitions stand",
        "db/row_walls::test_every_table_that_knows_whose_its_rows_are_has_a_wall",
        "ALTER TABLE calls DISABLE ROW LEVEL SECURITY",
    ),
    of_schema(
        "rows: partitions have no other door",
        "db/row_walls::test_partitions_cannot_be_asked_past_their_table",
        "GRANT SELECT ON calls_default TO sparkops_api",
    ),
    of_schema(
        "roles: the API is no member of the application",
        "db/row_walls::test_the_role_of_the_api_may_do_no_more_than_that_of_the_engine",
        "GRANT DELETE ON audit_unsealed TO sparkops_api; GRANT DELETE ON runs TO sparkops_api",
    ),
    of_schema(
        "roles: a service account belongs to one project",
        "api/service_accounts::test_an_account_never_signs_in_and_belongs_to_one_project",
        "DROP TRIGGER guard_service_membership ON memberships",
    ),
    guard(
        "put_up_walls: what nobody put up",
        "db/row_walls::test_walls_that_stand_are_not_touched_and_those_that_do_not_are_put_up",
        (
            _WALLS,
            "            _put_up(connection, table.name, wanted, there=table.policies or [])\n",
            "            pass\n",
        ),
    ),
    guard(
        "put_up_walls: rights that are too much",
        "db/row_walls::test_walls_that_stand_are_not_touched_and_those_that_do_not_are_put_up",
        (_WALLS, "        elif not theirs and API_ROLE in right.roles:", "        elif False:"),
    ),
    # Sessions
    guard(
        "session: under the role of the API",
        _EACH,
        (_TENANCY, '{**login.server_settings, "role": API_ROLE}', "{**login.server_settings}"),
    ),
    guard(
        "session: a connection is told anew",
        _EACH,
        (
            _TENANCY,
            "    if connection.info.get(_SIGHT) == sight:\n",
            "    if connection.info.get(_SIGHT) is not None:\n",
        ),
    ),
    guard(
        "session: what is told is forgotten first",
        "db/walled_sessions::test_a_request_that_is_given_up_leaves_nothing_to_the_next",
        (_TENANCY, "    if lasts:\n        connection.info.pop(_SIGHT, None)\n", ""),
    ),
    guard(
        "session: a transaction is told for itself alone",
        "db/walled_sessions::test_each_session_over_one_connection_sees_its_own",
        (_TENANCY, "(sight, not lasts)).close()", "(sight, False)).close()"),
    ),
    guard(
        "session: a project that is being made, until the end",
        "db/walled_sessions::test_a_project_that_is_being_made_is_seen_until_the_end_of_the_transaction",
        (
            _TENANCY,
            "func.set_config(SIGHT_SETTING, session.info[_SIGHT], True)",
            "func.set_config(SIGHT_SETTING, session.info[_SIGHT], False)",
        ),
    ),
    guard(
        "session: administrators alone see what is the installation's",
        "api/matrix::test_the_installation_is_for_its_administrators",
        (_TENANCY, "*([INSTALLATION] if principal.is_admin else [])", "INSTALLATION"),
        (_ACCESS, "    if not principal.may(permission, None):", "    if False:"),
    ),
    # Who may what
    guard(
        "access: the role allows it",
        "api/access::test_a_role_that_does_not_allow_something_is_told_which_do",
        (_ACCESS, "    if not principal.may(permission, place.id):", "    if False:"),
    ),
    guard(
        "access: foreign projects look as if they did not exist",
        "api/walls::test_what_belongs_to_others_looks_as_if_it_did_not_exist",
        (
            _ACCESS,
            '        raise NotFound(f"There is no such {what} here.")\n    if not principal.may',
            '        raise Forbidden("It is not yours.")\n    if not principal.may',
        ),
    ),
    guard(
        "access: the installation's is changed by administrators",
        "api/policies::test_a_policy_of_the_installation_is_read_by_all_and_changed_by_administrators",
        (_ACCESS, '    if not permission.value.endswith(":read") and not principal.is_admin:', "    if False:"),
        ("domains/policies/service.py", "    if project_id is None and not principal.is_admin:", "    if False:"),
    ),
    guard(
        "access: what is for the whole installation",
        "api/matrix::test_the_installation_is_for_its_administrators",
        (_ACCESS, "    if not principal.may(permission, None):", "    if False:"),
    ),
    guard(
        "access: every route says what it needs",
        "api/access::test_a_route_that_declares_nothing_keeps_the_application_from_starting",
        (_ACCESS, "        if need is None:\n", "        if False:\n"),
    ),
    guard(
        "access: every project can be found",
        "api/access::test_a_route_about_something_whose_project_nobody_can_find_is_refused",
        (_ACCESS, "        if unknown and subject is None", "        if False and subject is None"),
    ),
    guard(
        "access: what a body names is of the same project",
        "api/matrix::test_what_a_body_names_belongs_to_the_same_project",
        (
            _ACCESS,
            "    if principal.wants is not None:\n        check(principal, principal.wants, project_id, what)",
            "    if False:\n        check(principal, principal.wants, project_id, what)",
        ),
    ),
)
