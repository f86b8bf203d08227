"""Which runs are accepted, and which of them may begin."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

ACCEPTING: Sequence[Guard] = (
    guard(
        "accept: the same request",
        "engine/accept::test_another_body_is_refused_also_while_the_first_request_is_still_committing",
        ("accept", "v_other.idem_hash = v_run.idem_hash", "true"),
    ),
    guard(
        "accept: the same key",
        "engine/accept::test_a_repeat_whose_first_request_is_still_committing_waits_for_it",
        ("accept", "\n  ON CONFLICT (project_id, idem_key) DO NOTHING", ""),
    ),
    guard(
        "accept: a run is judged by the rules of today",
        "engine/subjects::test_a_run_that_was_judged_under_other_rules_is_judged_anew",
        ("accept", "(p ? 'decisions' OR p ? 'consent') AND engine.policy_stamp(v_run.project_id) <>", "false AND 0 <>"),
    ),
    guard(
        "refuse_run: the rules of today",
        "engine/subjects::test_a_run_is_not_refused_by_rules_that_have_changed",
        ("refuse_run", "engine.policy_stamp((p ->> 'project_id')::uuid) <> (p ->> 'policy_version')::bigint", "false"),
    ),
    guard(
        "accept: the parent step was asked to stop",
        "engine/children::test_a_run_is_not_started_below_one_that_is_being_cancelled",
        ("accept", "IF v_parent.cancel_requested THEN", "IF false THEN"),
    ),
    guard(
        "accept: the parent step has its run",
        "engine/children::test_a_step_has_one_run_however_often_it_is_attempted",
        (
            "accept",
            "SELECT * INTO v_other FROM runs WHERE id = v_parent.child_run_id;\n    IF FOUND THEN",
            "IF false THEN",
        ),
    ),
    guard(
        "accept: one retry at a time",
        "engine/rerun::test_a_run_has_one_retry_at_a_time_and_one_that_succeeded",
        ("accept", "AND status NOT IN ('failed', 'cancelled', 'denied')\n", "AND false\n"),
    ),
    guard(
        "accept: the source of a retry is locked",
        "engine/rerun::test_a_run_has_one_retry_at_a_time_and_one_that_succeeded",
        ("accept", "PERFORM 1 FROM runs WHERE id = v_run.source_run_id FOR UPDATE;", ""),
    ),
    guard(
        "rerun: a key takes no label away",
        "engine/labels::test_a_person_says_what_labels_another_input_has_and_a_key_only_adds_some",
        ("engine/draft.py", "return stated if principal.key_id is None else stated.union(source)", "return stated"),
    ),
    guard(
        "rerun: what read the input without a label is not kept",
        "engine/labels::test_what_read_the_input_is_not_kept_where_a_label_is_new",
        ("engine/draft.py", ".union(values if more else ())", ""),
    ),
    guard(
        "accept: the steps of a run that queues are held",
        "engine/admission::test_runs_beyond_a_limit_queue_and_go_on_in_order_as_others_end",
        ("accept", "v_status IN ('queued', 'awaiting_approval') AND s.status IN ('pending', 'ready'),", "false,"),
    ),
    guard(
        "blocked_by: the workflow is paused",
        "engine/halts::test_a_paused_workflow_holds_its_runs_and_the_release_resumes_exactly_those",
        ("blocked_by", "IF engine.workflow_halted(p_run.workflow_id) THEN", "IF false THEN"),
    ),
    guard(
        "blocked_by: the limit of the project",
        "engine/admission::test_runs_beyond_a_limit_queue_and_go_on_in_order_as_others_end",
        ("blocked_by", "IF v_going >= v_project THEN", "IF false THEN"),
    ),
    guard(
        "blocked_by: the limit of the workflow",
        "engine/admission::test_runs_beyond_a_limit_queue_and_go_on_in_order_as_others_end",
        ("blocked_by", "IF v_going >= v_workflow THEN", "IF false THEN"),
    ),
    guard(
        "blocked_by: the limit of the key",
        "engine/admission::test_runs_with_different_keys_do_not_wait_for_each_other",
        ("blocked_by", "IF v_going >= p_run.concurrency_limit THEN", "IF false THEN"),
    ),
    guard(
        "blocked_by: the runs above do not count",
        "engine/admission::test_a_run_does_not_wait_for_the_runs_above_it",
        ("blocked_by", "r.id <> ALL (p_run.lineage || p_run.id)", "r.id <> p_run.id"),
    ),
    guard(
        "first_status: the workflow rather rejects",
        "engine/admission::test_reject_refuses_with_a_name_for_it_and_writes_nothing",
        ("first_status", "IF p_when_full = 'reject' AND (", "IF false AND ("),
    ),
    guard(
        "lock_admission: the project",
        "engine/admission::test_an_acceptance_waits_for_one_that_is_being_counted",
        (
            "lock_admission",
            "PERFORM pg_advisory_xact_lock(hashtextextended('admission/project/' || p_run.project_id, 0));",
            "NULL;",
        ),
    ),
    guard(
        "lock_admission: the workflow",
        "engine/admission::test_an_acceptance_waits_for_one_that_is_being_counted",
        (
            "lock_admission",
            "PERFORM pg_advisory_xact_lock(hashtextextended('admission/workflow/' || p_run.workflow_id, 0));",
            "NULL;",
        ),
    ),
    guard(
        "lock_admission: the key",
        "engine/admission::test_an_acceptance_waits_for_one_that_is_being_counted",
        (
            "lock_admission",
            "PERFORM pg_advisory_xact_lock(\n      hashtextextended('admission/key/' || p_run.workflow_id || '/' || p_run.concurrency_key, 0));",
            "NULL;",
        ),
    ),
    guard(
        "admit_run: only what queues",
        "engine/admission::test_of_two_admissions_of_one_run_the_second_finds_it_gone",
        ("admit_run", "IF v_run.status <> 'queued' THEN", "IF false THEN"),
    ),
    guard(
        "admit_run: only where there is room",
        "engine/admission::test_of_two_admissions_at_once_one_gives_the_place_away",
        ("admit_run", "IF v_blocked IS NOT NULL THEN", "IF false THEN"),
    ),
    guard(
        "admit_run: not below a run that a person has paused",
        "engine/pause::test_a_run_that_people_let_begin_below_a_paused_run_stands_still_and_goes_on_with_it",
        ("admit_run", "IF v_paused_by IS NOT NULL THEN", "IF false THEN"),
    ),
)
