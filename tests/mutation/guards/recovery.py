"""A new epoch, and what sweeps find."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

RECOVERY: Sequence[Guard] = (
    guard(
        "recover: workers are alive",
        "engine/recover::test_it_is_refused_while_workers_are_alive",
        ("engine/recover.py", "    if alive and not force:", "    if False:"),
    ),
    guard(
        "recover: a new epoch",
        "engine/recover::test_a_worker_of_before_gets_nothing_and_writes_nothing",
        ("recover", "SET epoch = gen_random_uuid() RETURNING", "SET epoch = epoch RETURNING"),
    ),
    guard(
        "recover: a claim under way is waited for",
        "engine/recover::test_a_claim_under_way_is_waited_for_and_given_back",
        ("recover", "  LOCK TABLE system IN ACCESS EXCLUSIVE MODE;\n", ""),
        ("recover", "  LOCK TABLE steps IN EXCLUSIVE MODE;\n", ""),
    ),
    guard(
        "recover: a completion under way is waited for",
        "engine/recover::test_a_completion_under_way_takes_nothing_into_the_new_epoch",
        ("recover", "  LOCK TABLE steps IN EXCLUSIVE MODE;\n", ""),
    ),
    guard(
        "recover: what runs is given back",
        "engine/recover::test_a_recovery_gives_back_what_ran_blames_nobody_and_is_written_down",
        (
            "recover",
            "  UPDATE steps SET lease_expires_at = '-infinity', step_deadline_at = NULL WHERE id = ANY (v_steps);\n",
            "",
        ),
    ),
    guard(
        "recover: without blame",
        "engine/recover::test_a_recovery_gives_back_what_ran_blames_nobody_and_is_written_down",
        ("recover", "engine.give_back(NULL, false, 1000)", "engine.give_back(NULL, true, 1000)"),
    ),
    guard(
        "recover: sessions end",
        "engine/recover::test_a_recovery_gives_back_what_ran_blames_nobody_and_is_written_down",
        ("recover", "  UPDATE worker_sessions SET ended_at = clock_timestamp() WHERE ended_at IS NULL;\n", ""),
    ),
    guard(
        "recover: what was being delivered is due again",
        "engine/recover::test_a_delivery_under_way_is_due_again",
        (
            "recover",
            "  UPDATE outbox SET claim_token = NULL, lease_expires_at = NULL WHERE status = 'pending' AND claim_token IS NOT NULL;\n",
            "",
        ),
    ),
    guard(
        "expire_steps: due",
        "engine/recovery::test_a_quiet_sweep_changes_nothing",
        ("expire_steps", " AND s.fails_at < clock_timestamp()", ""),
    ),
    guard(
        "fill_outbox: what a subscriber wants",
        "engine/outbox::test_every_event_of_the_log_is_written_once_for_each_subscription",
        (
            "fill_outbox",
            "                        AND s.kinds && ARRAY[e.kind, split_part(e.kind, '.', 1) || '.*', '*']\n",
            "",
        ),
    ),
    guard(
        "fill_outbox: of its project",
        "engine/outbox::test_events_of_other_projects_are_not_written",
        ("fill_outbox", " AND (s.project_id IS NULL OR s.project_id = e.project_id)", ""),
    ),
    guard(
        "prune_outbox: what was delivered",
        "engine/outbox::test_only_what_was_delivered_long_ago_is_removed",
        ("prune_outbox", "WHERE status = 'delivered' AND ended_at", "WHERE ended_at"),
    ),
    guard(
        "waiting_for_event: since the run was created",
        "engine/waiting::test_an_event_is_for_who_waits_for_its_name_since_their_run_began_and_until_their_time_is_over",
        ("waiting_for_event", "AND e.received_at >= r.created_at AND", "AND"),
    ),
    guard(
        "waiting_for_event: before its time is over",
        "engine/waiting::test_an_event_is_for_who_waits_for_its_name_since_their_run_began_and_until_their_time_is_over",
        ("waiting_for_event", " AND e.received_at <= s.wake_at", ""),
    ),
    guard(
        "waiting_for_event: of this name",
        "engine/waiting::test_an_event_is_for_who_waits_for_its_name_since_their_run_began_and_until_their_time_is_over",
        ("waiting_for_event", "AND s.waiting_for ->> 'event' = e.name", "AND true"),
    ),
    guard(
        "receive_event: an id once",
        "engine/waiting::test_an_event_is_received_once_and_its_id_means_nothing_else",
        (
            "receive_event",
            "                   THEN 'repeated' ELSE 'other' END,",
            "                   THEN 'created' ELSE 'other' END,",
        ),
    ),
    guard(
        "receive_event: another event under the same id",
        "engine/waiting::test_an_event_is_received_once_and_its_id_means_nothing_else",
        ("receive_event", "v_first.name = v_event.name AND v_first.data_hash = v_event.data_hash", "true"),
    ),
    guard(
        "abandon_frames: what runs is asked to stop",
        "engine/frames::test_frames_whose_map_has_ended_without_them_are_ended",
        (
            "abandon_frames",
            "        UPDATE steps SET cancel_requested = true WHERE id = v_step.id;\n",
            "        CONTINUE;\n",
        ),
    ),
    guard(
        "displaced: those that came before",
        "engine/admission::test_a_run_displaces_none_that_came_after_it",
        (
            "displaced",
            "     WHERE r.id < n.id AND r.id <> ALL (n.lineage)",
            "     WHERE r.id <> n.id AND r.id <> ALL (n.lineage)",
        ),
    ),
)
