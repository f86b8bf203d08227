"""Secrets: who is given which, and that every use is on record."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard, of_schema

_NOWHERE = "engine/secrets::test_nothing_is_sent_where_a_reference_leads_nowhere"
_RIGHTS = "engine/secrets::test_the_application_cannot_change_a_value_or_forget_a_use"

SECRETS: Sequence[Guard] = (
    guard(
        "use_secret: of this project, or of the installation",
        _NOWHERE,
        (
            "use_secret",
            "CASE p ->> 'scope' WHEN 'project' THEN s.project_id = (p ->> 'project_id')::uuid ELSE s.project_id IS NULL END",
            "true",
        ),
    ),
    guard(
        "use_secret: none of the installation for a step",
        _NOWHERE,
        (
            "use_secret",
            "THEN s.project_id = (p ->> 'project_id')::uuid ELSE",
            "THEN s.project_id = (p ->> 'project_id')::uuid OR s.project_id IS NULL ELSE",
        ),
    ),
    guard("use_secret: not archived", _NOWHERE, ("use_secret", " AND s.archived_at IS NULL", "")),
    guard(
        "use_secret: the version that is named",
        _NOWHERE,
        ("use_secret", "coalesce((p ->> 'version')::bigint, s.latest_version)", "s.latest_version"),
    ),
    guard(
        "use_secret: its use is on record",
        "engine/secrets::test_a_use_is_on_record_with_its_call_and_in_the_audit_trail",
        ("use_secret", "IF v_found IS NOT NULL THEN", "IF false THEN"),
    ),
    guard(
        "use_secret: its use is in the audit trail",
        "engine/secrets::test_a_use_is_on_record_with_its_call_and_in_the_audit_trail",
        (
            "note_secret_use",
            "SELECT engine.write_audit(\n    (p ->> 'project_id')::uuid, 'worker', 'secret.read', 'secret:' || (p ->> 'name'), p - 'project_id' - 'name');",
            "SELECT;",
        ),
    ),
    guard(
        "secret: bound to its place",
        "unit/envelope::test_a_row_that_was_moved_does_not_open",
        ("core/envelope.py", 'project + self.version.to_bytes(8, "big") + self.name.encode()', 'b""'),
    ),
    guard(
        "secret: the data key of this version",
        "unit/envelope::test_a_row_that_was_moved_does_not_open",
        (
            "core/envelope.py",
            'project + self.version.to_bytes(8, "big") + self.name.encode()',
            "project + self.name.encode()",
        ),
    ),
    guard(
        "secret: put one after the other",
        "engine/secrets::test_two_who_put_a_version_at_once_make_two",
        ("domains/secrets/queries.py", "Secret.name == name).with_for_update()", "Secret.name == name)"),
    ),
    guard(
        "secret: a name is taken once",
        "engine/secrets::test_a_name_is_taken_once_in_a_project_and_in_the_installation",
        ("domains/secrets/service.py", "    if made is None:\n", "    if False:\n"),
    ),
    guard(
        "secret: what could not be struck out",
        "engine/secrets::test_a_value_that_could_not_be_kept_safe_is_refused_and_not_quoted",
        ("domains/secrets/service.py", "    if len(value) < MIN_CHARS:", "    if False:"),
    ),
    guard(
        "secret: archived, it gets no version",
        "api/secrets::test_a_secret_is_written_rotated_archived_and_restored",
        (
            "domains/secrets/service.py",
            '    if found.archived_at is not None:\n        raise Conflict(f"The secret',
            '    if False:\n        raise Conflict(f"The secret',
        ),
    ),
    guard(
        "secret: of the installation, for its administrators",
        "api/secrets::test_secrets_of_the_installation_are_for_its_administrators",
        (
            "domains/secrets/queries.py",
            "return or_(mine, project_id.is_(None)) if principal.is_admin else mine",
            "return or_(mine, project_id.is_(None))",
        ),
        ("api/access.py", '    if not permission.value.endswith(":read") and not principal.is_admin:', "    if False:"),
        ("api/access.py", "    if not principal.may(permission, None):", "    if False:"),
    ),
    guard(
        "rotation: what another key wraps",
        "engine/secrets::test_the_key_is_changed_while_calls_go_on_and_none_fails",
        (
            "core/wrapped.py",
            "self._page(session, self._columns.kek_id != ring.active, lock=True)",
            "self._page(session, self._columns.id.is_(None), lock=True)",
        ),
    ),
    guard(
        "rotation: a key that is missing is named",
        "unit/envelope::test_a_key_that_is_not_there_is_named",
        ("core/envelope.py", "        if kek is None:\n", "        if False:\n"),
    ),
    guard(
        "rotation: the former keys stay while they are used",
        "engine/secrets::test_the_key_is_changed_while_calls_go_on_and_none_fails",
        (
            "core/envelope.py",
            "    keys = [os.urandom(KEY_BYTES), *_read_file(file)]",
            "    keys = [os.urandom(KEY_BYTES)]",
        ),
    ),
    guard(
        "reference: what an expression gives is none",
        "engine/secrets::test_what_an_expression_gives_is_never_a_reference",
        (
            "runtime/secrets/base.py",
            "for path, text in written.items():",
            "for path, text in [((key,), value) for key, value in arguments.items() if isinstance(value, str)]:",
        ),
    ),
    of_schema(
        "rights: the application changes no value",
        _RIGHTS,
        "GRANT UPDATE (ciphertext) ON secret_versions TO sparkops_app",
    ),
    of_schema("rights: the application forgets no version", _RIGHTS, "GRANT DELETE ON secret_versions TO sparkops_app"),
    of_schema("rights: the application changes no use", _RIGHTS, "GRANT UPDATE ON secret_uses TO sparkops_app"),
    of_schema("rights: the application forgets no use", _RIGHTS, "GRANT DELETE ON secret_uses TO sparkops_app"),
    guard(
        "rights: the API reads no cipher",
        "db/row_walls::test_the_role_of_the_api_cannot_read_even_the_cipher_of_a_secret",
        ("migrations/walls.py", '        ("secret_versions", "ciphertext", "SELECT"),\n', ""),
    ),
    guard(
        "rights: the API reads no wrapped key",
        "db/row_walls::test_the_role_of_the_api_cannot_read_even_the_cipher_of_a_secret",
        ("migrations/walls.py", '        ("secret_versions", "wrapped_key", "SELECT"),\n', ""),
    ),
)
