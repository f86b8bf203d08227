"""What is given back: by the reaper, by the death of a process, and by a halt."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

GIVING_BACK: Sequence[Guard] = (
    guard(
        "give_back: the lease has run out",
        "engine/recovery::test_the_sweep_advances_a_run_whose_advance_never_came",
        ("give_back", "THEN s.lease_expires_at < clock_timestamp() OR", "THEN true OR"),
        ("give_back_each", "THEN s.lease_expires_at < clock_timestamp() OR", "THEN true OR"),
    ),
    guard(
        "give_back: or its time is up",
        "engine/recovery::test_the_sweep_advances_a_run_whose_advance_never_came",
        ("give_back", " OR s.step_deadline_at < clock_timestamp()", ""),
    ),
    guard(
        "give_back: only of this session",
        "engine/recovery::test_a_session_whose_process_died_gives_back_at_once_and_counts_a_crash",
        (
            "give_back",
            "ELSE s.worker_session IN (\n                  SELECT p_session UNION ALL\n                  SELECT w.id FROM worker_sessions w WHERE w.parent_id = p_session AND w.ended_at IS NULL) END",
            "ELSE true END",
        ),
        (
            "give_back_each",
            "ELSE s.worker_session IN (\n                    SELECT p_session UNION ALL\n                    SELECT w.id FROM worker_sessions w WHERE w.parent_id = p_session AND w.ended_at IS NULL) END",
            "ELSE true END",
        ),
    ),
    guard(
        "give_back: of the processes that it had started",
        "engine/recovery::test_what_a_process_for_isolated_steps_held_when_its_parent_died_is_blamed_on_nobody",
        (
            "give_back",
            "ELSE s.worker_session IN (\n                  SELECT p_session UNION ALL\n                  SELECT w.id FROM worker_sessions w WHERE w.parent_id = p_session AND w.ended_at IS NULL) END",
            "ELSE s.worker_session = p_session END",
        ),
    ),
    guard(
        "give_back: only what runs",
        "engine/direct::test_a_session_that_ends_gives_back_what_it_holds_and_not_what_it_has_finished",
        (
            "give_back",
            "s.status = 'running' AND (p_run IS NULL OR s.run_id = p_run)\n       AND CASE",
            "(p_run IS NULL OR s.run_id = p_run)\n       AND CASE",
        ),
    ),
    guard(
        "give_back: never waits",
        "engine/direct::test_a_step_that_somebody_holds_does_not_keep_the_reaper_from_its_neighbour",
        ("give_back", "LIMIT p_limit FOR UPDATE SKIP LOCKED", "LIMIT p_limit FOR UPDATE"),
    ),
    guard(
        "give_back: an effect of unknown outcome",
        "engine/gate::test_an_unsafe_call_whose_worker_died_waits_for_a_person",
        ("give_back", "AND c.status IN ('prepared', 'unknown') AND c.effect_class = 'unsafe'", "AND false"),
    ),
    guard(
        "give_back: asked to stop",
        "engine/cancel::test_repeating_a_cancel_changes_nothing",
        ("give_back", "ELSIF v_step.cancel_requested THEN", "ELSIF false THEN"),
    ),
    guard(
        "pause_after_timeout: attempts are used up",
        "engine/recovery::test_the_sweep_advances_a_run_whose_advance_never_came",
        (
            "pause_after_timeout",
            "p_step.failures + 1 >= p_step.max_attempts OR NOT p_step.retries_timeouts",
            "NOT p_step.retries_timeouts",
        ),
    ),
    guard(
        "pause_after_timeout: a policy without timeouts",
        "engine/deadline::test_a_timeout_that_the_policy_does_not_retry_fails_the_step",
        ("pause_after_timeout", " OR NOT p_step.retries_timeouts", ""),
    ),
    guard(
        "pause_after_timeout: not after the deadline",
        "engine/deadline::test_the_reaper_ends_a_running_step_at_its_deadline_whatever_attempts_are_left",
        (
            "pause_after_timeout",
            "\n     OR coalesce(clock_timestamp() + v_pause >= engine.step_fails_at(p_step, clock_timestamp()), false)",
            "",
        ),
    ),
    guard(
        "give_back: only a step that was alone is poison",
        "engine/direct::test_a_step_that_did_not_run_alone_is_not_given_up_whatever_it_is_allowed",
        (
            "give_back",
            "ELSIF v_crashed AND engine.alone(v_step) AND v_step.crashes",
            "ELSIF v_crashed AND v_step.crashes",
        ),
    ),
    guard(
        "alone: not in company",
        "engine/direct::test_a_step_that_did_not_run_alone_is_not_given_up_whatever_it_is_allowed",
        ("alone", "p_step.isolate AND p_step.crashes >= 3", "p_step.isolate"),
    ),
    guard(
        "give_back: crashes are used up",
        "engine/recovery::test_a_step_may_die_alone_as_often_as_it_is_allowed",
        ("give_back", " AND v_step.crashes + 1 >= v_step.max_crashes", ""),
    ),
    guard(
        "give_back: a peaceful end is no crash",
        "engine/recovery::test_a_session_that_drains_blames_nobody",
        ("give_back", "v_crashed := p_crashed AND NOT v_late", "v_crashed := NOT v_late"),
    ),
    guard(
        "give_back: too late is no crash",
        "engine/recovery::test_the_reaper_ends_an_attempt_that_takes_too_long_and_counts_no_crash",
        ("give_back", "v_crashed := p_crashed AND NOT v_late", "v_crashed := p_crashed"),
    ),
    guard(
        "give_back: the death of a parent is no crash",
        "engine/recovery::test_what_a_process_for_isolated_steps_held_when_its_parent_died_is_blamed_on_nobody",
        ("give_back", " AND (p_session IS NULL OR v_step.worker_session = p_session);", ";"),
    ),
    guard(
        "give_back: a second death isolates",
        "engine/recovery::test_a_step_that_kills_its_workers_is_isolated_in_company_then_alone_and_given_up",
        ("give_back", "isolate = isolate OR v_crashed AND crashes >= 1", "isolate = isolate"),
    ),
    guard(
        "give_back: a first death does not",
        "engine/recovery::test_a_step_that_kills_its_workers_is_isolated_in_company_then_alone_and_given_up",
        ("give_back", "isolate = isolate OR v_crashed AND crashes >= 1", "isolate = isolate OR v_crashed"),
    ),
    guard(
        "give_back_each: a run that stands still is passed over",
        "engine/recovery::test_a_transaction_that_stands_still_keeps_the_reaper_from_its_own_run_only",
        (
            "give_back_each",
            "    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN\n      NULL;  -- what this run had changed is undone\n",
            "",
        ),
    ),
    guard(
        "abandon_calls: an uncertain step keeps what may be repeated",
        "engine/gate::test_an_unsafe_call_whose_worker_died_waits_for_a_person",
        ("abandon_calls", "AND (p_step.status <> 'uncertain' OR status = 'prepared' AND effect_class = 'unsafe')", ""),
    ),
    guard(
        "abandon_calls: an uncertain step keeps its questions",
        "engine/direct::test_an_uncertain_step_keeps_its_open_question",
        ("abandon_calls", "IF p_step.status <> 'uncertain' THEN", "IF true THEN"),
    ),
    guard(
        "put_back: an effect of unknown outcome",
        "engine/halts::test_an_unsafe_call_without_an_answer_stays_uncertain_when_its_step_is_put_back",
        ("put_back", "AND c.status IN ('prepared', 'unknown') AND c.effect_class = 'unsafe'", "AND false"),
    ),
    guard(
        "put_back: asked to stop",
        "engine/halts::test_a_step_put_back_after_a_cancel_ends_the_run",
        ("put_back", "CASE WHEN v_step.cancel_requested THEN 'cancelled' ELSE 'ready' END;", "'ready';"),
    ),
)
