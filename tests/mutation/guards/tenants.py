"""Deleting projects, keeping only what is to be kept, and collecting what nothing refers to."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard, of_schema

_SLOW = "engine/removal::test_a_worker_that_was_too_slow_removes_nothing_more"
_ALONE = "engine/removal::test_the_application_may_not_do_it_by_itself"
_KEPT = "engine/removal::test_what_a_budget_of_the_installation_has_counted_stays_counted"
_COLLECTION = "engine/collection.py"
_KEYS = "engine/removal::test_keys_that_reach_no_other_project_are_revoked_when_the_removal_begins"

TENANTS: Sequence[Guard] = (
    # Deletion
    guard(
        "ask_deletion: an owner",
        "engine/removal::test_only_an_owner_asks_and_only_once",
        ("ask_deletion", " AND m.role = 'owner'", ""),
    ),
    guard(
        "ask_deletion: it is stopped at once",
        "engine/removal::test_a_project_that_is_to_be_deleted_is_stopped_and_can_be_restored",
        ("ask_deletion", "'kind', 'stop',", "'kind', 'pause',"),
    ),
    guard(
        "ask_deletion: once",
        "engine/removal::test_only_an_owner_asks_and_only_once",
        (
            "ask_deletion",
            "    RETURN jsonb_build_object('result', 'open');",
            "    RETURN jsonb_build_object('result', 'asked');",
        ),
    ),
    guard(
        "ask_deletion: the stop of somebody else stays theirs",
        "engine/removal::test_who_had_stopped_the_project_before_finds_it_stopped_after_a_restore",
        (
            "ask_deletion",
            "CASE WHEN (v_halt -> 'created')::boolean THEN (v_halt ->> 'id')::uuid END",
            "(v_halt ->> 'id')::uuid",
        ),
    ),
    guard(
        "cancel_deletion: an owner",
        "engine/removal::test_only_an_owner_asks_and_only_once",
        ("cancel_deletion", " AND m.role = 'owner'", ""),
    ),
    guard(
        "cancel_deletion: somebody asked",
        "engine/removal::test_nobody_asked_and_nothing_is_taken_back",
        (
            "cancel_deletion",
            "    RETURN jsonb_build_object('result', 'none');",
            "    RETURN jsonb_build_object('result', 'cancelled');",
        ),
    ),
    guard(
        "release_halt: not the stop of a deletion",
        "engine/removal::test_its_stop_is_not_released_but_by_taking_the_deletion_back",
        ("release_halt", "d.status IN ('asked', 'removing')", "false"),
    ),
    guard(
        "claim_deletion: due",
        "engine/removal::test_a_project_that_is_to_be_deleted_is_stopped_and_can_be_restored",
        ("claim_deletion", "WHERE status = 'asked' AND due_at <= clock_timestamp()", "WHERE status = 'asked'"),
    ),
    guard(
        "claim_deletion: in no other hands",
        _SLOW,
        ("claim_deletion", "OR status = 'removing' AND lease_expires_at < clock_timestamp()", "OR status = 'removing'"),
    ),
    guard(
        "claim_deletion: of those whose worker died too",
        _SLOW,
        ("claim_deletion", "OR status = 'removing' AND lease_expires_at < clock_timestamp()", ""),
    ),
    guard(
        "claim_deletion: nobody is a member any more",
        "engine/removal::test_what_has_begun_is_not_taken_back",
        ("claim_deletion", "    DELETE FROM memberships WHERE project_id = v_deletion.project_id;\n", ""),
    ),
    guard(
        "claim_deletion: keys that lead nowhere are revoked",
        _KEYS,
        ("claim_deletion", "WHERE k.revoked_at IS NULL AND", "WHERE false AND"),
    ),
    guard(
        "claim_deletion: keys that reach another project go on",
        _KEYS,
        ("claim_deletion", "WHERE d.project_id = r.project_id AND d.status = 'removing'))", "))"),
    ),
    guard("hold_deletion: the token", _SLOW, ("hold_deletion", " AND claim_token = p_token", "")),
    guard(
        "remove_rows: an attempt that goes on",
        "engine/removal::test_an_attempt_that_goes_on_is_waited_for_and_then_finds_nothing",
        (
            "remove_rows",
            "IF EXISTS (SELECT 1 FROM steps WHERE status = 'running' AND project_id = v_project) THEN",
            "IF false THEN",
        ),
    ),
    guard(
        "remove_rows: what the installation has counted",
        _KEPT,
        (
            "remove_rows",
            "'AND NOT EXISTS (SELECT 1 FROM budgets b WHERE b.id = t.budget_id AND b.project_id IS NULL)'",
            "''",
        ),
        (
            "remove_rows",
            "'AND NOT EXISTS (SELECT 1 FROM budgets b WHERE b.id = ANY (t.budget_ids) AND b.project_id IS NULL)'",
            "''",
        ),
    ),
    guard(
        "remove_rows: a bounded part",
        "engine/removal::test_rows_go_in_bounded_batches_and_the_invariants_hold_after_each",
        ("remove_rows", "   WHERE before < p_limit;", "   WHERE true;"),
        (
            "remove_rows",
            "FROM runs WHERE project_id = v_project ORDER BY id DESC LIMIT p_limit) r",
            "FROM runs WHERE project_id = v_project) r",
        ),
        ("remove_rows", "    EXIT WHEN v_sum >= p_limit;\n", ""),
        ("remove_rows", "t.project_id = $1 %2$s LIMIT $2))", "t.project_id = $1 %2$s))"),
        ("remove_rows", "      USING v_project, p_limit - v_sum;", "      USING v_project;"),
    ),
    guard(
        "remove_rows: the audit trail stays",
        "engine/removal::test_nothing_of_a_deleted_project_is_left_but_its_tombstone_and_the_audit_trail",
        ("remove_rows", "c.relname NOT IN ('audit', 'security_events',", "c.relname NOT IN ("),
    ),
    guard(
        "remove_rows: the tombstone stays",
        "engine/removal::test_nothing_of_a_deleted_project_is_left_but_its_tombstone_and_the_audit_trail",
        ("remove_rows", "'security_events', 'project_deletions', 'halts'", "'security_events', 'halts'"),
    ),
    guard(
        "remove_rows: of this project alone",
        "engine/removal::test_another_project_with_the_same_content_keeps_it",
        ("remove_rows", "WHERE t.project_id = $1 %2$s LIMIT $2", "WHERE $1 IS NOT NULL %2$s LIMIT $2"),
    ),
    guard(
        "end_deletion: a run that was accepted meanwhile",
        "engine/removal::test_a_run_that_was_accepted_at_the_last_moment_goes_too",
        ("end_deletion", "  IF EXISTS (SELECT 1 FROM runs WHERE project_id = v_project) THEN\n", "  IF false THEN\n"),
    ),
    guard(
        "removal: the objects of the project alone",
        "engine/removal::test_another_project_with_the_same_content_keeps_it",
        ("engine/removal.py", "payloads.blobs_of(removal.project_id).remove_all()", "payloads._blobs.remove_all()"),
    ),
    guard(
        "drop_runs: with all that belongs to them",
        "engine/retention::test_runs_go_when_they_ended_longer_ago_than_they_are_kept",
        ("drop_runs", "  DELETE FROM events WHERE run_id = ANY (p_runs);\n", ""),
    ),
    of_schema("rights: the application removes no run", _ALONE, "GRANT DELETE ON runs TO sparkops_app"),
    of_schema("rights: the application takes no deletion", _ALONE, "GRANT UPDATE ON project_deletions TO sparkops_app"),
    # Retention
    guard(
        "retire_runs: what ended long ago",
        "engine/retention::test_runs_go_when_they_ended_longer_ago_than_they_are_kept",
        ("retire_runs", " AND finished_at < v_before AND", " AND finished_at IS NOT NULL AND"),
    ),
    guard(
        "retire_runs: nothing below goes on",
        "engine/retention::test_a_run_stays_while_one_below_it_goes_on",
        ("retire_runs", "    IF NOT v_open THEN\n", "    IF true THEN\n"),
    ),
    guard(
        "retire_runs: with those below",
        "engine/retention::test_runs_go_when_they_ended_longer_ago_than_they_are_kept",
        ("retire_runs", "      v_runs := v_runs || v_family;\n", "      v_runs := v_runs || v_root;\n"),
    ),
    guard(
        "retire_runs: a bounded part",
        "engine/retention::test_batches_are_bounded_and_all_is_done",
        ("retire_runs", "    EXIT WHEN v_sum >= p_limit;\n", ""),
        ("retire_runs", "ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED", "ORDER BY id FOR UPDATE SKIP LOCKED"),
    ),
    guard(
        "thin_logs: what ended long ago",
        "engine/retention::test_the_log_goes_before_the_run",
        (
            "thin_logs",
            "r.finished_at < v_before AND t.log_removed_at",
            "r.finished_at IS NOT NULL AND t.log_removed_at",
        ),
    ),
    guard(
        "thin_logs: once",
        "engine/retention::test_the_log_goes_before_the_run",
        ("thin_logs", " AND t.log_removed_at IS NULL\n", "\n"),
    ),
    guard(
        "thin_logs: events that a run may still wait for",
        "engine/retention::test_events_from_outside_stay_while_a_run_may_still_wait_for_them",
        (
            "thin_logs",
            "       AND received_at < coalesce((SELECT min(created_at) FROM runs\n                                    WHERE project_id = p_project AND finished_at IS NULL), 'infinity')\n",
            "",
        ),
    ),
    guard(
        "thin_values: once",
        "engine/retention::test_batches_are_bounded_and_all_is_done",
        ("thin_values", "r.finished_at < v_before AND t.values_removed_at IS NULL", "r.finished_at < v_before"),
    ),
    guard(
        "thin_values: a final row changes for nobody else",
        "engine/retention::test_what_takes_values_out_shuts_the_door_behind_it",
        ("thin_values", "  PERFORM set_config('sparkops.thinning', 'off', true);\n", ""),
    ),
    guard(
        "thin_values: a run without its values is not done again",
        "engine/retention::test_a_run_without_its_values_is_not_done_again",
        (
            "thin_values",
            "  INSERT INTO thinned_runs AS t (run_id, project_id, values_removed_at)\n  SELECT r.id, p_project, clock_timestamp() FROM unnest(v_runs) r (id)\n",
            "  INSERT INTO thinned_runs AS t (run_id, project_id, values_removed_at)\n  SELECT r.id, p_project, clock_timestamp() FROM unnest(v_runs) r (id) WHERE false\n",
        ),
    ),
    guard(
        "retain: not what is to be deleted",
        "engine/retention::test_a_project_that_is_to_be_deleted_is_left_as_it_is",
        ("engine/retention.py", "d.status IN ('asked', 'removing'))", "false)"),
    ),
    # Objects
    guard(
        "collect: what something refers to",
        "engine/collection::test_what_is_referred_to_stays_where_it_is",
        (_COLLECTION, " and each.sha256 not in named:", ":"),
    ),
    guard(
        "collect: what was written lately",
        "engine/collection::test_what_was_written_lately_is_left_alone",
        (_COLLECTION, "if each.written_at < before and each", "if each"),
    ),
    guard(
        "collect: not before the grace",
        "engine/collection::test_what_nothing_refers_to_is_set_aside_and_then_removed",
        (_COLLECTION, " AND condemned_at < $2 AND path > $3", " AND $2::timestamptz IS NOT NULL AND path > $3"),
    ),
    guard(
        "collect: what a row names by then",
        "engine/collection::test_a_row_that_comes_for_old_bytes_after_they_were_set_aside_gets_them_back",
        (_COLLECTION, "                if _digest_of(path) in named:", "                if False:"),
    ),
    guard(
        "collect: files of any project",
        "engine/collection::test_a_file_that_another_project_has_too_stays",
        (
            _COLLECTION,
            'return {row["sha256"] for row in rows}\n\n    async def _named_values',
            "return set()\n\n    async def _named_values",
        ),
    ),
    guard(
        "collect: what nobody here has deleted",
        "engine/collection::test_what_a_project_here_never_wrote_is_left_alone",
        (_COLLECTION, "            if await pool.fetchval(_GONE, project_id):\n", "            if True:\n"),
    ),
    guard(
        "collect: set aside anew, the grace begins anew",
        "crash/kill_upkeep::test_a_collection_that_died_between_word_and_deed_is_made_good",
        (
            _COLLECTION,
            "ON CONFLICT (path) DO UPDATE SET condemned_at = clock_timestamp()",
            "ON CONFLICT (path) DO NOTHING",
        ),
        (_COLLECTION, "                await self._engine.database.pool.execute(_FORGET, path)\n", ""),
    ),
)
