"""Guards of what comes due by its time: reminders of questions, violations that stay open, periods of budgets."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

_OVERDUE = "engine/governing::test_a_violation_that_is_open_for_longer_than_its_severity_allows_is_overdue"

GOVERNING: Sequence[Guard] = (
    guard(
        "app: only workers of the queue govern",
        "engine/governing::test_questions_expire_where_a_worker_serves_the_queue_policy_and_nowhere_else",
        ("worker/app.py", "if POLICY not in worker.queues:", "if False:"),
    ),
    guard(
        "doctor: helpers do not serve the queue",
        "engine/governing::test_the_doctor_says_when_nobody_serves_the_queue_policy",
        ("engine/diagnosis.py", "WHERE ended_at IS NULL AND parent_id IS NULL\n", "WHERE ended_at IS NULL\n"),
    ),
    guard(
        "doctor: the dead do not serve the queue",
        "engine/governing::test_the_doctor_says_when_nobody_serves_the_queue_policy",
        (
            "engine/diagnosis.py",
            "parent_id IS NULL\n                         AND seen_at > clock_timestamp() - interval '1 minute') w",
            "parent_id IS NULL) w",
        ),
    ),
    guard(
        "remind: half of the time",
        "engine/governing::test_a_question_is_reminded_of_once_when_half_of_its_time_is_over",
        (
            "remind_approvals",
            "\n       AND requested_at + (expires_at - requested_at) / 2 <= clock_timestamp()",
            "",
        ),
    ),
    guard(
        "remind: once",
        "engine/governing::test_a_question_is_reminded_of_once_when_half_of_its_time_is_over",
        ("remind_approvals", " AND reminded_at IS NULL", ""),
    ),
    guard(
        "remind: an open question",
        "engine/governing::test_nobody_is_reminded_of_a_question_that_was_answered",
        ("remind_approvals", "status = 'pending' AND ", ""),
    ),
    guard(
        "remind: whose time is not over",
        "engine/governing::test_nobody_is_reminded_of_a_question_whose_time_is_over",
        ("remind_approvals", " AND expires_at > clock_timestamp()", ""),
    ),
    guard(
        "remind: nobody is waited for",
        "engine/governing::test_a_question_that_is_being_answered_is_not_reminded_of",
        ("remind_approvals", " FOR UPDATE SKIP LOCKED", ""),
    ),
    guard(
        "remind: questions about runs, too",
        "engine/governing::test_people_are_reminded_of_a_question_about_a_run",
        ("remind_approvals", "LEFT JOIN steps", "JOIN steps"),
    ),
    guard(
        "follow up: after the time of the severity",
        _OVERDUE,
        (
            "follow_up_violations",
            " AND v.at <= clock_timestamp() - allowed.time\n       WHERE",
            "\n       WHERE",
        ),
        (
            "follow_up_violations",
            "AND coalesce(v.changed_at, v.at) <= clock_timestamp() - allowed.time",
            "",
        ),
    ),
    guard("follow up: once", _OVERDUE, ("follow_up_violations", " AND v.overdue_at IS NULL", "")),
    guard(
        "follow up: that nobody looks after",
        "engine/governing::test_a_violation_that_somebody_looks_after_does_not_become_overdue",
        ("follow_up_violations", "v.status = 'open' AND ", ""),
    ),
    guard(
        "follow up: nobody is waited for",
        "engine/governing::test_a_violation_that_somebody_looks_after_does_not_become_overdue",
        ("follow_up_violations", " FOR UPDATE OF v SKIP LOCKED", ""),
    ),
    guard(
        "follow up: since it was opened again",
        "engine/governing::test_a_violation_that_was_opened_again_has_all_of_its_time_again",
        ("follow_up_violations", "coalesce(v.changed_at, v.at) <= clock", "v.at <= clock"),
    ),
    guard(
        "set_status: opened again, it has its time again",
        "engine/governing::test_a_violation_that_was_opened_again_has_all_of_its_time_again",
        (
            "domains/policies/decision_queries.py",
            '{"overdue_at": None} if status == ViolationStatus.OPEN else {}',
            "{}",
        ),
    ),
    guard(
        "turn: what is over",
        "engine/turning::test_a_window_whose_period_is_over_is_followed_by_one_with_the_terms_that_hold",
        ("turn_windows", "turned_at IS NULL AND ends_at <= now() ORDER", "turned_at IS NULL ORDER"),
    ),
    guard(
        "turn: a budget that holds",
        "engine/turning::test_the_windows_of_a_budget_that_was_given_up_are_not_followed",
        ("turn_windows", "d.archived_at IS NULL\n           AND (", "("),
    ),
    guard(
        "turn: not for everybody for ever",
        "engine/turning::test_a_window_on_which_nothing_was_counted_is_followed_only_where_it_is_the_only_one",
        ("turn_windows", "IF v_over.goes_on THEN", "IF true THEN"),
    ),
    guard(
        "turn: nobody is waited for",
        "engine/turning::test_nobody_who_holds_a_window_that_is_over_is_waited_for",
        ("turn_windows", " FOR NO KEY UPDATE SKIP LOCKED", ""),
    ),
    guard(
        "foresee: once in a while",
        "engine/foreseeing::test_forecasts_are_looked_at_once_in_a_minute",
        ("engine/chores.py", " AND next_at <= clock_timestamp()\n", "\n"),
    ),
    guard(
        "foresee: while the limit is not reached",
        "engine/foreseeing::test_nothing_is_told_where",
        ("engine/governing.py", "b.spent_micros BETWEEN 1 AND b.limit_micros - 1", "b.limit_micros IS NOT NULL"),
    ),
    guard(
        "foresee: what leads beyond the limit",
        "engine/foreseeing::test_nothing_is_told_where",
        ("engine/governing.py", 'if found is None or found.micros <= row["limit_micros"]:', "if found is None:"),
    ),
    guard(
        "foresee: a period that has only begun leads nowhere",
        "engine/foreseeing::test_nothing_is_told_where",
        ("domains/budgets/forecast.py", "    if gone < whole * EARLY:\n        return None\n", ""),
    ),
    guard(
        "foresee: a budget that holds",
        "engine/foreseeing::test_nothing_is_told_of_a_budget_that_was_given_up",
        ("engine/governing.py", " AND d.archived_at IS NULL", ""),
    ),
    guard(
        "foresee: nobody is waited for",
        "engine/foreseeing::test_a_run_that_somebody_holds_is_not_waited_for",
        ("foresee", " FOR KEY SHARE SKIP LOCKED", " FOR KEY SHARE"),
    ),
    guard(
        "foresee: a run that is held is told of later",
        "engine/foreseeing::test_a_run_that_somebody_holds_is_not_waited_for",
        ("foresee", "    CONTINUE WHEN NOT FOUND AND EXISTS (SELECT 1 FROM runs WHERE id = v_run);\n", ""),
    ),
    guard(
        "foresee: a run that is gone has no log",
        "engine/foreseeing::test_a_period_whose_last_run_is_gone_has_a_notice_and_no_event",
        ("foresee", " JOIN run_counters c ON c.run_id = v_run", ""),
    ),
)
