"""The lease, which every write of a worker names, and the end of an attempt."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

LEASES: Sequence[Guard] = (
    guard(
        "hold_lease: token and attempt",
        "engine/claim::test_a_superseded_holder_changes_nothing",
        (
            "hold_lease",
            "s.id = p_step AND s.attempt = p_attempt AND s.claim_token = p_token AND ",
            "s.id = p_step AND ",
        ),
    ),
    guard(
        "hold_lease: the row is locked",
        "engine/cancel::test_a_call_that_is_being_prepared_was_before_the_cancel",
        ("hold_lease", "\n    FOR UPDATE;", ";"),
    ),
    guard(
        "heartbeat: token and attempt",
        "engine/claim::test_a_heartbeat_keeps_a_step_and_reports_one_that_is_lost",
        (
            "heartbeat",
            "SELECT s.id FROM steps s JOIN held h ON s.id = h.id AND s.attempt = h.attempt AND s.claim_token = h.token",
            "SELECT s.id FROM steps s JOIN held h ON s.id = h.id",
        ),
        (
            "heartbeat",
            "    FROM steps s JOIN held h ON s.id = h.id AND s.attempt = h.attempt AND s.claim_token = h.token",
            "    FROM steps s JOIN held h ON s.id = h.id",
        ),
    ),
    guard(
        "heartbeat: never waits",
        "engine/claim::test_a_heartbeat_passes_over_a_locked_step_and_says_that_its_lease_did_not_grow",
        ("heartbeat", "FOR UPDATE OF s SKIP LOCKED", "FOR UPDATE OF s"),
    ),
    guard(
        "complete: token and attempt",
        "engine/claim::test_a_superseded_holder_changes_nothing",
        (
            "complete",
            "s.id = i.step_id AND s.attempt = i.attempt AND s.claim_token = i.token AND s",
            "s.id = i.step_id AND s",
        ),
    ),
    guard(
        "complete: not asked to stop",
        "engine/direct::test_the_end_of_a_step_that_was_asked_to_stop_is_left_to_who_looks_at_the_whole_run",
        ("complete", "NOT s.cancel_requested AND ", ""),
    ),
    guard(
        "complete: judged under the rules of today",
        "engine/ahead::test_rules_that_have_changed_refuse_the_whole_chain",
        ("complete", " AND s.id <> ALL (v_stale)", ""),
    ),
    guard(
        "complete: steps before budgets",
        "engine/direct::test_an_end_waits_for_who_holds_a_step_before_it_locks_what_both_spend",
        (
            "complete",
            "PERFORM 1 FROM steps WHERE id = ANY (p_steps) AND id <> ALL (v_closed) ORDER BY id FOR UPDATE;",
            "",
        ),
    ),
    guard(
        "complete: the runs are locked",
        "engine/direct::test_of_two_ends_that_meet_at_a_join_the_second_sees_the_first",
        ("complete", "PERFORM 1 FROM runs WHERE id = ANY (p_runs) ORDER BY id FOR UPDATE;", ""),
    ),
    guard(
        "close_steps: token and attempt",
        "engine/claim::test_a_superseded_holder_changes_nothing",
        (
            "close_steps",
            "JOIN item i ON s.id = i.step_id AND s.attempt = i.attempt AND s.claim_token = i.token\n",
            "JOIN item i ON s.id = i.step_id\n",
        ),
    ),
    guard(
        "close_steps: results only of who holds the step",
        "engine/direct::test_a_superseded_holder_does_not_record_what_its_calls_came_to",
        (
            "close_steps",
            "\n        AND s.claim_token = (v_item ->> 'token')::uuid AND s.status = 'running' FOR UPDATE;",
            " FOR UPDATE;",
        ),
        (
            "close_steps",
            "(v_item ->> 'step_id')::uuid AND s.attempt = (v_item ->> 'attempt')::bigint",
            "(v_item ->> 'step_id')::uuid",
        ),
    ),
    guard(
        "close_steps: asked to stop",
        "engine/cancel::test_what_a_running_step_brings_after_the_cancel_stays_and_then_the_run_ends",
        (
            "close_steps",
            "WHEN s.cancel_requested AND i.status <> 'succeeded' THEN 'cancelled'\n                WHEN i.status = 'ready'",
            "WHEN i.status = 'ready'",
        ),
    ),
    guard(
        "close_steps: an effect of unknown outcome",
        "engine/cancel::test_an_effect_that_nobody_knows_about_is_let_go_by_a_second_cancel",
        ("close_steps", "k.status IN ('prepared', 'unknown') AND k.effect_class = 'unsafe') THEN", "false) THEN"),
    ),
    guard(
        "close_steps: no retry after the deadline",
        "engine/deadline::test_there_is_no_retry_past_the_deadline",
        (
            "close_steps",
            "                WHEN i.status = 'ready'\n                     AND engine.step_fails_at(s, clock_timestamp()) <= clock_timestamp() + make_interval(secs => coalesce(i.retry_seconds, 0))\n                THEN 'failed'\n",
            "",
        ),
    ),
    guard(
        "worker: what is not trusted any more is broken off without a database",
        "engine/worker::test_an_open_call_ends_with_the_trust_in_its_lease_also_while_no_database_can_be_reached",
        ("worker/loop.py", "if not each.trust.holds():\n                each.end(Stop.LOST)", "pass"),
    ),
    guard(
        "worker: a lease that ran out while the database was away is no death",
        "engine/recovery::test_a_lease_that_nobody_could_keep_is_held_against_no_step",
        ("worker/loop.py", "crashed=there > self._engine.lease.total_seconds()", "crashed=True"),
    ),
    guard(
        "worker: a lease that ran out while the database was started is no death, others are",
        "engine/recovery::test_a_worker_that_has_begun_asks_the_database_since_when_it_is_there",
        ("worker/loop.py", ", await self._engine.database.pool.fetchval(_UP_SECONDS))", ", math.inf)"),
    ),
)
