"""The audit trail and its seals."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard, of_schema

_VERIFY = "domains/audit/verify.py"
_SEALS = "domains/audit/seals.py"
_TAMPERED = "engine/audit::test_every_tampering_is_found"
_WRITTEN = "engine/audit::test_nobody_changes_or_removes_what_is_written"

AUDIT: Sequence[Guard] = (
    guard(
        "seal: a number is taken once",
        "engine/audit::test_of_two_who_seal_at_once_one_has_the_number_and_the_other_nothing",
        ("seal", "\n  ON CONFLICT (number) DO NOTHING;", ";"),
    ),
    guard(
        "seal: a line is sealed once",
        "engine/audit::test_what_is_sealed_is_whole_and_what_was_not_yet_waits",
        ("seal", "  DELETE FROM audit_unsealed WHERE audit_id = ANY (v_ids);\n", ""),
    ),
    guard(
        "seal: what waits comes off the list with its seal",
        "engine/audit::test_what_is_sealed_is_whole_and_what_was_not_yet_waits",
        ("engine/seals.py", "    if not ids:\n        return None\n", ""),
    ),
    guard(
        "seal: it follows the one before",
        "engine/audit::test_what_is_sealed_is_whole_and_what_was_not_yet_waits",
        ("engine/seals.py", 'previous = found["mac"] or NOTHING_BEFORE', "previous = NOTHING_BEFORE"),
    ),
    guard(
        "seal: what is no hash holds up nothing",
        "engine/audit::test_a_line_whose_hash_is_none_holds_up_nothing_and_is_found",
        (_SEALS, '    except ValueError:\n        found = b""\n', '    except KeyError:\n        found = b""\n'),
    ),
    guard(
        "seal: a key that is long enough",
        "engine/audit::test_a_key_that_is_too_short_seals_nothing",
        (_SEALS, " or any(len(key) < MIN_KEY_CHARACTERS for key in keys)", ""),
    ),
    guard(
        "verify: a line is what was sealed",
        _TAMPERED,
        (_VERIFY, '    if found != (sealed or line["content_hash"]):', "    if False:"),
    ),
    guard(
        "verify: a line that is missing",
        _TAMPERED,
        (_VERIFY, '        report.add(Kind.LINE_MISSING, line_id, "A seal covers it, and it is not there.")\n', ""),
    ),
    guard("verify: its own hash", _TAMPERED, (_VERIFY, '    elif found != line["content_hash"]:', "    elif False:")),
    guard("verify: a seal is ours", _TAMPERED, (_VERIFY, " or not keys.vouches_for(seal):", ":")),
    guard(
        "verify: a seal has the root of its lines",
        _TAMPERED,
        (_VERIFY, ' or root_of(row["ids"], row["hashes"]) != seal.root or', " or"),
    ),
    guard(
        "verify: a seal that is missing is named",
        "engine/audit::test_a_seal_that_is_missing_is_told_by_its_number",
        (_VERIFY, "    if seal.number != number:", "    if False:"),
    ),
    guard(
        "verify: a seal follows the one before",
        "engine/audit::test_a_genuine_seal_of_another_past_does_not_fit_into_the_chain",
        (_VERIFY, "    elif seal.previous != (before.mac if before else NOTHING_BEFORE):", "    elif False:"),
    ),
    guard(
        "verify: a key that is not given",
        "engine/audit::test_a_trail_that_was_sealed_anew_with_another_key_is_found",
        (
            _VERIFY,
            '        report.add(Kind.SEAL_UNKNOWN_KEY, seal.number, f"It was made with the key {seal.key_id}, which is not given.")\n',
            "",
        ),
    ),
    guard(
        "verify: roots are ours",
        "engine/audit::test_a_trail_that_was_sealed_anew_with_another_key_is_found",
        (_VERIFY, "    if keys.vouches_for(anchor):\n", "    if True:\n"),
    ),
    guard(
        "verify: every root is there",
        _TAMPERED,
        (_VERIFY, "    for number in sorted(expected):", "    for number in ():"),
    ),
    guard(
        "verify: the seal of a root is the same",
        "engine/audit::test_an_end_that_was_cut_off_and_sealed_anew_is_found_by_its_root",
        (_VERIFY, "        if anchor is not None and anchor != seal:", "        if False:"),
    ),
    guard(
        "verify: each line in one seal, or waiting", _TAMPERED, (_VERIFY, "    await _check_members(on, report)\n", "")
    ),
    guard(
        "verify: what waits is as it was written", _TAMPERED, (_VERIFY, "    await _check_waiting(on, report)\n", "")
    ),
    guard(
        "roots: a line that a crash has cut",
        "engine/audit::test_a_line_that_a_crash_has_cut_comes_again",
        ("domains/audit/roots.py", '(b"" if _whole(file.fileno()) else b"\\n") + text', "text"),
    ),
    guard(
        "roots: each once",
        "engine/audit::test_the_sealer_seals_what_comes_and_keeps_the_roots_also_those_that_another_could_not",
        (
            "domains/audit/roots.py",
            "[anchor for anchor in anchors if anchor.number > last]",
            "[anchor for anchor in anchors if anchor.number > last + 1]",
        ),
    ),
    of_schema("audit: a line does not change", _WRITTEN, "DROP TRIGGER guard_final ON audit"),
    of_schema("audit: a line is not removed", _WRITTEN, "DROP TRIGGER guard_kept ON audit"),
    of_schema("audit: a seal does not change", _WRITTEN, "DROP TRIGGER guard_final ON audit_seals"),
    of_schema("audit: a seal is not removed", _WRITTEN, "DROP TRIGGER guard_kept ON audit_seals"),
    of_schema("audit: the application changes no line", _WRITTEN, "GRANT UPDATE ON audit TO sparkops_app"),
    of_schema("audit: the application removes no line", _WRITTEN, "GRANT DELETE ON audit TO sparkops_app"),
    of_schema("audit: the application changes no seal", _WRITTEN, "GRANT UPDATE ON audit_seals TO sparkops_app"),
    of_schema("audit: the application removes no seal", _WRITTEN, "GRANT DELETE ON audit_seals TO sparkops_app"),
    of_schema(
        "audit: the database dates and hashes a line, and lists it for the next seal",
        "engine/audit::test_nobody_dates_a_line_back",
        "DROP TRIGGER fill_content_hash ON audit",
    ),
)
