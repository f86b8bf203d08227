"""What a worker runs ahead in memory and records with the step before."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

AHEAD: Sequence[Guard] = (
    guard(
        "close_ahead: the lock of the kill switch",
        "engine/ahead::test_a_stop_waits_for_a_chain_that_is_being_recorded",
        (
            "close_ahead",
            "PERFORM pg_advisory_xact_lock_shared(hashtextextended('stop/' || scope, 0))",
            "PERFORM hashtextextended('stop/' || scope, 0)",
        ),
    ),
    guard(
        "close_ahead: halts of the project",
        "engine/ahead::test_where_work_is_held_back_the_first_step_ends_alone_and_the_rest_is_done_later",
        ("close_ahead", " AND h.project_id <> ALL (v_halted)", ""),
    ),
    guard(
        "close_ahead: halts of the installation",
        "engine/ahead::test_where_work_is_held_back_the_first_step_ends_alone_and_the_rest_is_done_later",
        ("close_ahead", "IF '00000000-0000-0000-0000-000000000000' = ANY (v_halted) THEN", "IF false THEN"),
    ),
    guard(
        "close_ahead: only what has ended well",
        "engine/ahead::test_a_chain_that_was_taken_over_is_not_recorded_with_that_of_another_run",
        ("close_ahead", "h.id = ANY (p_heads) AND ", ""),
    ),
    guard(
        "close_ahead: the run goes on, and its steps are not held",
        "engine/ahead::test_where_work_is_held_back_the_first_step_ends_alone_and_the_rest_is_done_later",
        ("close_ahead", " AND r.status = 'running'", ""),
        ("close_ahead", " AND NOT s.held", ""),
    ),
    guard(
        "close_ahead: its steps wait",
        "engine/ahead::test_a_chain_of_which_one_step_could_not_be_claimed_is_not_recorded_at_all",
        ("close_ahead", "s.status = 'pending' AND ", ""),
    ),
    guard(
        "close_ahead: not held",
        "engine/ahead::test_a_chain_of_which_one_step_could_not_be_claimed_is_not_recorded_at_all",
        ("close_ahead", " AND NOT s.held", ""),
    ),
    guard(
        "close_ahead: not asked to stop",
        "engine/ahead::test_a_chain_of_which_one_step_could_not_be_claimed_is_not_recorded_at_all",
        ("close_ahead", " AND NOT s.cancel_requested", ""),
    ),
    guard(
        "close_ahead: nothing to evaluate",
        "engine/ahead::test_a_chain_of_which_one_step_could_not_be_claimed_is_not_recorded_at_all",
        ("close_ahead", " AND s.mechanical", ""),
    ),
    guard(
        "close_ahead: hands over",
        "engine/ahead::test_a_chain_of_which_one_step_could_not_be_claimed_is_not_recorded_at_all",
        ("close_ahead", " AND s.hands_over", ""),
    ),
    guard(
        "close_ahead: needs only the one before",
        "engine/ahead::test_a_chain_of_which_one_step_could_not_be_claimed_is_not_recorded_at_all",
        (
            "close_ahead",
            "AND s.needs = ARRAY[lag(s.id, 1, item.head) OVER through]",
            "AND lag(s.id, 1, item.head) OVER through IS NOT NULL",
        ),
    ),
    guard(
        "close_ahead: whole or not at all",
        "engine/ahead::test_a_chain_of_which_one_step_could_not_be_claimed_is_not_recorded_at_all",
        ("close_ahead", "bool_and(as_claimed)", "bool_or(as_claimed)"),
    ),
)
