"""What follows from the end of a step."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

ADVANCING: Sequence[Guard] = (
    guard(
        "apply: only what is pending",
        "engine/direct::test_a_command_for_a_step_that_is_not_pending_any_more_changes_nothing",
        ("apply", " AND s.status = 'pending'", ""),
    ),
    guard(
        "apply: a run that has ended",
        "engine/direct::test_a_command_for_a_run_that_has_ended_or_stands_there_already_changes_nothing",
        ("apply", "r.finished_at IS NULL AND ", ""),
    ),
    guard(
        "apply: a run that stands there already",
        "engine/direct::test_a_command_for_a_run_that_has_ended_or_stands_there_already_changes_nothing",
        ("apply", " AND r.status <> c.target", ""),
    ),
    guard(
        "hand_over: only what is pending",
        "engine/direct::test_a_command_for_a_step_that_is_not_pending_any_more_changes_nothing",
        ("hand_over", " AND s.status = 'pending'", ""),
    ),
    guard(
        "hand_over: only what needs no expression",
        "engine/direct::test_the_database_alone_starts_nothing_that_has_a_condition",
        ("hand_over", " AND s.mechanical", ""),
    ),
    guard(
        "hand_over: everything needed has succeeded",
        "engine/advance::test_the_database_and_decide_agree_after_every_step",
        ("hand_over", "n.id = ANY (s.needs) AND n.status <> 'succeeded'", "false"),
    ),
    guard(
        "end_runs: no step is open",
        "engine/cancel::test_what_a_running_step_brings_after_the_cancel_stays_and_then_the_run_ends",
        ("end_runs", "s.status IN ('pending', 'ready', 'running', 'waiting', 'uncertain')", "false"),
    ),
    guard(
        "end_runs: a run that may end",
        "engine/direct::test_a_run_that_is_held_back_does_not_end",
        ("end_runs", " AND r.status IN ('running', 'cancelling')", ""),
    ),
    guard(
        "end_runs: a failed step",
        "engine/advance::test_the_database_and_decide_agree_after_every_step",
        ("end_runs", "WHEN f.key IS NOT NULL THEN 'failed' ELSE", "ELSE"),
    ),
    guard(
        "end_runs: effects to take back",
        "engine/direct::test_a_run_with_effects_to_take_back_does_not_end_before",
        ("end_runs", "\n       AND NOT (r.has_undo AND (r.status = 'cancelling' OR f.key IS NOT NULL))", ""),
    ),
    guard(
        "end_runs: outputs are judged",
        "engine/subjects::test_the_transaction_that_ends_runs_leaves_those_whose_output_is_judged",
        ("end_runs", " AND r.id <> ALL (v_judged)", ""),
    ),
    guard(
        "compensate: once",
        "engine/dynamic_steps::test_what_a_run_takes_back_and_how_it_ends_is_settled_once",
        ("compensate", " AND status <> 'compensating' RETURNING", " RETURNING"),
    ),
)
