"""What people hold back and stop: cancel, pause, halts."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

HOLDING: Sequence[Guard] = (
    guard(
        "cancel: a run that has ended",
        "engine/cancel::test_repeating_a_cancel_changes_nothing",
        ("cancel", "v_run.finished_at IS NOT NULL OR ", ""),
    ),
    guard(
        "cancel: twice",
        "engine/cancel::test_repeating_a_cancel_changes_nothing",
        (
            "cancel",
            "\n     OR v_run.status = 'cancelling' AND NOT EXISTS (\n          SELECT 1 FROM steps WHERE run_id = p_run AND status = 'uncertain')",
            "",
        ),
    ),
    guard(
        "cancel: a run that takes its effects back already",
        "engine/dynamic_steps::test_cancelling_a_run_that_undoes_after_a_failure_leaves_out_no_undo",
        ("cancel", " OR v_run.status = 'compensating'\n", "\n"),
    ),
    guard(
        "cancel: asked for once",
        "engine/cancel::test_an_effect_that_nobody_knows_about_is_let_go_by_a_second_cancel",
        ("cancel", "WHERE id = p_run AND status <> 'cancelling';", "WHERE id = p_run;"),
    ),
    guard(
        "cancel: what runs is asked to stop",
        "engine/cancel::test_the_heartbeat_tells_a_working_step_to_stop",
        ("cancel", "UPDATE steps SET cancel_requested = true, held = false WHERE id = v_step.id;", "NULL;"),
    ),
    guard(
        "cancel: what is being prepared is waited for",
        "engine/cancel::test_a_call_that_is_being_prepared_was_before_the_cancel",
        ("cancel", "AND (parent_id IS NULL OR status <> 'pending') ORDER BY id FOR UPDATE;", "AND false;"),
    ),
    guard(
        "cancel: questions are withdrawn",
        "engine/cancel::test_a_step_that_was_about_to_wait_is_cancelled_instead",
        (
            "cancel",
            "UPDATE approvals SET status = 'withdrawn' WHERE run_id = p_run AND status IN ('pending', 'approved');",
            "",
        ),
    ),
    guard(
        "pause_run: only what may be paused",
        "engine/pause::test_a_paused_run_can_be_cancelled",
        ("pause_run", "     OR v_run.status NOT IN ('running', 'queued', 'paused')\n", ""),
    ),
    guard(
        "pause_run: nothing of it is claimed",
        "engine/pause::test_nothing_of_a_paused_run_is_claimed_and_what_runs_goes_on",
        (
            "pause_run",
            "UPDATE steps SET held = true WHERE run_id = p_run AND NOT held\n",
            "UPDATE steps SET held = true WHERE false AND NOT held\n",
        ),
    ),
    guard(
        "pause_run: the run is locked before its steps are looked at",
        "engine/pause::test_a_pause_waits_for_a_cancel_that_is_being_written_and_says_that_it_came_too_late",
        (
            "pause_run",
            "SELECT * INTO v_run FROM runs WHERE id = p_run FOR UPDATE;",
            "SELECT * INTO v_run FROM runs WHERE id = p_run;",
        ),
    ),
    guard(
        "resume_run: its workflow is paused",
        "engine/halts::test_a_paused_workflow_holds_its_runs_and_the_release_resumes_exactly_those",
        ("resume_run", "ELSIF engine.workflow_halted(v_run.workflow_id) THEN", "ELSIF false THEN"),
    ),
    guard(
        "resume_run: a person paused it",
        "engine/halts::test_a_release_that_meets_a_run_which_a_person_paused_meanwhile_leaves_it",
        ("resume_run", " OR p_user IS NULL AND v_run.paused_by IS NOT NULL THEN", " THEN"),
    ),
    guard(
        "resume_run: only where there is room",
        "engine/admission::test_a_run_resumed_into_a_lowered_limit_queues_and_ends_only_after_it_went_on",
        ("resume_run", "IF engine.blocked_by(v_run) IS NULL AND", "IF true AND"),
    ),
    guard(
        "let_go: the time is given back",
        "engine/pause::test_the_time_of_a_pause_does_not_count_against_the_run",
        ("let_go", "deadline_at = deadline_at + (v_now - v_since)", "deadline_at = deadline_at"),
    ),
    guard(
        "refuse_halted: a stop waits for what is being prepared",
        "engine/halts::test_a_stop_waits_for_a_call_that_is_being_prepared",
        (
            "refuse_halted",
            "PERFORM pg_advisory_xact_lock_shared(hashtextextended('stop/00000000-0000-0000-0000-000000000000', 0)),\n          pg_advisory_xact_lock_shared(hashtextextended('stop/' || p_project, 0));",
            "",
        ),
    ),
    guard(
        "order_halt: what is being prepared is waited for",
        "engine/halts::test_a_stop_waits_for_a_call_that_is_being_prepared",
        ("order_halt", "IF p ->> 'kind' = 'stop' THEN", "IF false THEN"),
    ),
)
