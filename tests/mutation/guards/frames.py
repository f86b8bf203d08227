"""The frames of maps and loops."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

FRAMES: Sequence[Guard] = (
    guard(
        "end_frames: the map goes on",
        "engine/plain_frames::test_a_frame_of_a_map_that_has_ended_starts_nothing_and_lets_the_run_end",
        ("end_frames", "IF NOT v_map.wanted THEN", "IF false THEN"),
    ),
    guard(
        "end_frames: a run whose map has ended is looked at",
        "engine/plain_frames::test_a_frame_of_a_map_that_has_ended_starts_nothing_and_lets_the_run_end",
        ("end_frames", "v_left := v_left || v_map.run_id;\n      CONTINUE;", "CONTINUE;"),
    ),
    guard(
        "end_frames: first steps alone",
        "engine/plain_frames::test_a_map_keeps_the_order_of_its_items",
        ("end_frames", " AND s.needs = '{}'", ""),
    ),
    guard(
        "end_frames: the frames that were opened",
        "engine/plain_frames::test_a_map_keeps_the_order_of_its_items",
        (
            "end_frames",
            "AND s.frame_no = ANY (ARRAY(SELECT f::bigint FROM jsonb_array_elements_text(v_opened -> 'frames') f))",
            "",
        ),
    ),
    guard(
        "end_frames: more than fits is started after it",
        "engine/plain_frames::test_more_frames_than_one_transaction_starts_are_started_after_it",
        ("end_frames", "IF (v_opened ->> 'more')::boolean THEN", "IF false THEN"),
    ),
    guard(
        "expand: each batch once",
        "engine/frames::test_a_batch_of_frames_is_added_once",
        ("expand", "v_expansion.expanded <> (p ->> 'expanded')::bigint OR v_added = 0", "v_added = 0"),
    ),
    guard(
        "expand: asked to stop",
        "engine/frames::test_a_map_that_was_asked_to_stop_adds_no_frames",
        ("expand", "IF v_step.cancel_requested THEN", "IF false THEN"),
    ),
    guard(
        "expand: no more steps than a run may have",
        "engine/frames::test_a_run_has_no_more_steps_than_a_run_may",
        ("expand", " AND step_count + v_rows <= (p ->> 'max_steps')::bigint", ""),
    ),
    guard(
        "expand: new steps are held with their run",
        "engine/frames::test_what_a_map_adds_while_its_run_is_paused_is_held",
        ("expand", "v_step.priority, v_step.held, b.inline", "v_step.priority, false, b.inline"),
    ),
    guard(
        "open_frames: a failure stops the map",
        "engine/frames::test_a_failed_item_stops_the_map_once_what_had_started_has_ended",
        ("open_frames", " AND NOT (e.stop_on_error AND e.failed > 0)", ""),
    ),
    guard(
        "open_frames: as many as may go on at once",
        "engine/frames::test_no_more_frames_go_on_at_once_than_allowed",
        (
            "open_frames",
            "least(v_expansion.concurrency - (v_expansion.started - v_expansion.ended),\n                  v_expansion.expanded - v_expansion.started)",
            "v_expansion.expanded - v_expansion.started",
        ),
    ),
    guard(
        "close_frames: each frame once",
        "engine/frames::test_a_frame_that_has_ended_is_not_counted_again",
        ("close_frames", " AND f.status = 'open'", ""),
    ),
    guard(
        "close_frames: not before all have ended",
        "engine/frames::test_a_failed_item_stops_the_map_once_what_had_started_has_ended",
        ("close_frames", "IF NOT engine.frames_ended(p_step) THEN", "IF false THEN"),
    ),
    guard(
        "close_frames: the step is locked before it is looked at",
        "engine/frames::test_the_last_frame_that_waits_for_the_parking_wakes_the_map",
        (
            "close_frames",
            "SELECT * INTO v_step FROM steps WHERE id = p_step FOR UPDATE;",
            "SELECT * INTO v_step FROM steps WHERE id = p_step;\n  IF v_step.status <> 'waiting' THEN RETURN '[]'; END IF;",
        ),
    ),
)
