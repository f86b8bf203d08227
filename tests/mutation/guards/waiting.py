"""Steps that wait, and what wakes them."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

WAITING: Sequence[Guard] = (
    guard(
        "wait: asked to stop",
        "engine/cancel::test_a_step_that_was_about_to_wait_is_cancelled_instead",
        ("wait", "IF v_step.cancel_requested THEN", "IF false THEN"),
    ),
    guard(
        "wait: answered meanwhile",
        "engine/wait::test_an_answer_between_asking_and_waiting_is_not_lost",
        (
            "wait",
            "AND (status <> 'pending' OR",
            "AND (false OR",
        ),
    ),
    guard(
        "wait: the time has come",
        "engine/waiting::test_a_moment_that_has_passed_is_not_waited_for",
        ("wait", "WHEN 'timer' THEN v_until <= clock_timestamp()", "WHEN 'timer' THEN false"),
    ),
    guard(
        "wait: the event has come",
        "engine/waiting::test_an_event_that_is_being_received_while_the_step_parks_is_seen",
        (
            "wait",
            "engine.event_came(v_step, v_for ->> 'event', (v_for ->> 'after')::timestamptz, v_until)\n          OR ",
            "",
        ),
    ),
    guard(
        "wait: the sub-workflow has ended",
        "engine/children::test_a_run_that_ends_before_the_step_waits_is_not_waited_for",
        ("wait", "EXISTS (SELECT 1 FROM runs WHERE id = v_step.child_run_id AND finished_at IS NOT NULL)", "false"),
    ),
    guard(
        "wait: the frames have ended",
        "engine/frames::test_frames_that_ended_before_the_map_parks_are_not_waited_for",
        ("wait", "WHEN 'frames' THEN engine.frames_ended(v_step.id)", "WHEN 'frames' THEN false"),
    ),
    guard(
        "wake: only what waits",
        "engine/direct::test_only_a_step_that_waits_is_woken",
        ("wake", " AND status = 'waiting'", ""),
    ),
    guard(
        "wait: a budget that has room is seen under the step's lock",
        "engine/budgets::test_a_limit_that_is_raised_while_the_step_is_about_to_wait_is_seen",
        ("wait", "WHEN 'budget' THEN NOT engine.budget_blocks(v_for)", "WHEN 'budget' THEN false"),
    ),
    guard(
        "unwoken: a step that waits for a budget is woken by the sweep",
        "engine/budgets::test_the_sweep_wakes_what_nobody_woke",
        ("unwoken", "WHEN 'budget' THEN NOT engine.budget_blocks(s.waiting_for)", "WHEN 'budget' THEN false"),
    ),
    guard(
        "unwoken: only where there is room",
        "engine/budgets::test_the_sweep_leaves_alone_what_has_no_room",
        ("unwoken", "WHEN 'budget' THEN NOT engine.budget_blocks(s.waiting_for)", "WHEN 'budget' THEN true"),
    ),
    guard(
        "wake_due: due",
        "engine/waiting::test_a_step_waits_until_its_moment_and_is_woken_by_the_sweep",
        (
            "wake_due",
            "WHERE status = 'waiting' AND wake_at <= clock_timestamp()\n                ORDER",
            "WHERE status = 'waiting'\n                ORDER",
        ),
        (
            "wake_due",
            "AND status = 'waiting' AND wake_at <= clock_timestamp() FOR UPDATE",
            "AND status = 'waiting' FOR UPDATE",
        ),
    ),
    guard(
        "wake_steps: what waits for this",
        "engine/waiting::test_only_what_waits_for_this_kind_is_woken",
        (
            "wake_steps",
            "v_step.status = 'waiting' AND v_step.waiting_for ->> 'kind' = p_kind",
            "v_step.status = 'waiting'",
        ),
    ),
    guard(
        "receive_event: a member",
        "engine/waiting::test_an_event_is_received_once_and_its_id_means_nothing_else",
        (
            "receive_event",
            "IF NOT EXISTS (SELECT 1 FROM memberships WHERE project_id = v_event.project_id AND user_id = v_event.created_by) THEN",
            "IF false THEN",
        ),
    ),
    guard(
        "receive_event: the name is locked",
        "engine/waiting::test_events_of_one_name_are_received_one_after_the_other",
        ("receive_event", "PERFORM pg_advisory_xact_lock(engine.event_lock(v_event.project_id, v_event.name));", ""),
    ),
    guard(
        "event_came: the name is locked",
        "engine/waiting::test_an_event_that_is_being_received_while_the_step_parks_is_seen",
        ("event_came", "PERFORM pg_advisory_xact_lock_shared(engine.event_lock(p_step.project_id, p_name));", ""),
    ),
    guard(
        "expire_steps: what is held gets the time back",
        "engine/deadline::test_a_step_of_a_paused_run_gets_the_time_back_that_it_was_held",
        ("expire_steps", " AND NOT (s.held AND s.status = 'ready')", ""),
    ),
)
