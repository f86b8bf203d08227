"""The clocks of runs and steps, which stand still under halts."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

CLOCKS: Sequence[Guard] = (
    guard(
        "stood: halts that overlap count once",
        "engine/clocks::test_halts_that_overlap_give_their_time_back_once",
        ("stood", "unnest((\n      SELECT range_agg(tstzrange", "((\n      SELECT (tstzrange"),
        ("stood", "least(released_at, p_until))) FROM halts", "least(released_at, p_until))) AS r FROM halts"),
        ("stood", "> p_since))) r;", "> p_since))) y;"),
    ),
    guard(
        "stood: what the clock lived through",
        "engine/clocks::test_a_run_is_given_back_what_it_lived_through_of_a_halt",
        ("stood", "greatest(created_at, p_since)", "created_at"),
    ),
    guard(
        "stood: of this project or of the installation",
        "engine/clocks::test_a_halt_of_another_project_gives_no_time",
        ("stood", "scope_id IN ('00000000-0000-0000-0000-000000000000', p_project) AND ", ""),
    ),
    guard(
        "overdue_runs: what is halted is left alone",
        "engine/clocks::test_a_run_that_was_overdue_before_a_halt_is_left_alone_until_it_is_released",
        ("overdue_runs", "\n       AND r.project_id <> ALL (v_halted)", ""),
    ),
    guard(
        "overdue_runs: the time of halts is given back",
        "engine/clocks::test_a_run_is_not_overdue_for_the_time_of_a_halt",
        (
            "overdue_runs",
            "engine.stood(v_run.project_id, coalesce(v_run.clock_from, v_run.started_at), v_now)",
            "interval '0'",
        ),
    ),
    guard(
        "overdue_runs: once",
        "engine/clocks::test_a_run_is_not_overdue_for_the_time_of_a_halt",
        ("overdue_runs", ", clock_from = v_now WHERE", " WHERE"),
    ),
    guard(
        "expire_steps: what is halted is left alone",
        "engine/clocks::test_a_step_that_was_late_before_a_halt_is_left_alone_until_it_is_released",
        ("expire_steps", "\n       AND s.project_id <> ALL (v_halted)", ""),
    ),
    guard(
        "expire_steps: the time of halts is given back",
        "engine/clocks::test_a_step_that_is_ready_does_not_expire_for_the_time_of_a_halt",
        ("expire_steps", "CONTINUE WHEN v_fails_at >= v_now;", ""),
    ),
    guard(
        "expire_steps: once",
        "engine/clocks::test_a_step_that_is_ready_does_not_expire_for_the_time_of_a_halt",
        ("expire_steps", "fails_at = v_fails_at, clock_from = v_now WHERE", "fails_at = v_fails_at WHERE"),
    ),
    guard(
        "take: the time of halts is given back",
        "engine/clocks::test_an_attempt_that_begins_right_after_a_release_has_the_time_of_the_halt_back",
        ("take", "THEN engine.step_fails_at(s, v_now) END AS fails_at", "THEN s.fails_at END AS fails_at"),
    ),
    guard(
        "take: once",
        "engine/clocks::test_an_attempt_that_begins_right_after_a_release_has_the_time_of_the_halt_back",
        ("take", "clock_from = CASE WHEN s.fails_at IS NOT NULL THEN v_now END,", ""),
    ),
    guard(
        "close_steps: a deadline without the time of halts",
        "engine/clocks::test_a_retry_is_not_past_its_deadline_for_the_time_of_a_halt",
        ("close_steps", "engine.step_fails_at(s, clock_timestamp()) <=", "s.fails_at <="),
    ),
    guard(
        "pause_after_timeout: a deadline without the time of halts",
        "engine/clocks::test_a_retry_after_a_timeout_is_not_past_its_deadline_for_the_time_of_a_halt",
        ("pause_after_timeout", "engine.step_fails_at(p_step, clock_timestamp())", "p_step.fails_at"),
    ),
    guard(
        "let_go: the time of halts before the pause",
        "engine/clocks::test_a_pause_and_a_halt_at_once_give_their_time_back_once",
        (
            "let_go",
            "\n           + engine.stood(project_id, coalesce(clock_from, started_at, v_since), v_since)",
            "",
        ),
    ),
    guard(
        "let_go: the time of halts during the pause, of the run",
        "engine/clocks::test_a_pause_and_a_halt_at_once_give_their_time_back_once",
        ("let_go", "clock_from = v_now, paused_at", "paused_at"),
    ),
    guard(
        "let_go: the time of halts during the pause, of a step",
        "engine/clocks::test_a_pause_and_a_halt_at_once_give_their_time_back_once",
        (
            "let_go",
            "(v_now - greatest(v_since, ready_at)),\n         clock_from = v_now\n",
            "(v_now - greatest(v_since, ready_at))\n",
        ),
    ),
)
