"""Money, tokens, calls and runs."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

BUDGETS: Sequence[Guard] = (
    guard(
        "reserve: it must fit the budget",
        "engine/budget::test_of_twenty_at_once_exactly_as_many_as_fit_are_allowed",
        (
            "reserve",
            "    IF FOUND THEN\n      RETURN jsonb_build_object(",
            "    IF false THEN\n      RETURN jsonb_build_object(",
        ),
    ),
    guard(
        "reserve: what is held counts",
        "engine/budget::test_of_twenty_at_once_exactly_as_many_as_fit_are_allowed",
        ("budget_over", "b.spent_micros + b.reserved_micros, p_micros", "b.spent_micros, p_micros"),
    ),
    guard(
        "reserve: the budgets are locked before they are looked at",
        "engine/budget::test_a_reservation_waits_for_one_that_is_being_made_and_then_finds_no_room",
        ("prepare", "IF v_open <> '{}' OR v_counted <> '[]' THEN", "IF false THEN"),
    ),
    guard(
        "define_budget: nobody who has its windows waits for it",
        "engine/budgets::test_who_changes_a_budget_waits_for_who_settles_over_it_and_is_not_waited_for",
        ("define_budget", "FOR NO KEY UPDATE;", "FOR UPDATE;"),
    ),
    guard(
        "reserve: the budgets above count",
        "engine/children::test_what_a_run_spends_counts_for_the_runs_above_it",
        ("budgets_of", "r.lineage || r.id AS line", "ARRAY[r.id] AS line"),
    ),
    guard(
        "reserve: a call is asked about until somebody consented",
        "engine/budgets::test_a_threshold_that_asks_lets_one_call_pass_with_consent",
        (
            "reserve",
            "AND NOT (o.action = 'require_approval' AND coalesce(d.id = ANY (p_consented), false))",
            "AND o.action <> 'require_approval'",
        ),
    ),
    guard(
        "open_window: a window is made under the terms that hold",
        "engine/budgets::test_a_window_that_is_made_while_the_budget_changes_has_the_new_terms",
        ("open_window", "PERFORM 1 FROM budget_definitions WHERE id = p_definition FOR SHARE;", ""),
    ),
    guard(
        "budgets_of: what was given up counts nothing",
        "engine/budgets::test_a_budget_that_is_given_up_lets_the_step_go_on",
        ("budgets_of", "WHERE d.archived_at IS NULL AND (d.project_id", "WHERE (d.project_id"),
    ),
    guard(
        "count_run: the budgets are locked before they are looked at",
        "engine/budgets::test_a_run_that_is_being_counted_is_waited_for_and_takes_the_last_place",
        ("count_run", "PERFORM 1 FROM budgets WHERE id = ANY (v_budgets) ORDER BY id FOR UPDATE;", ""),
    ),
    guard(
        "count_run: there is room for the run",
        "engine/budgets::test_of_many_runs_at_once_exactly_as_many_as_fit_are_accepted",
        ("count_run", "  IF FOUND THEN\n    RAISE", "  IF false THEN\n    RAISE"),
    ),
    guard(
        "count_run: people let it pass those budgets alone that they were asked about",
        "engine/asking_budgets::test_a_run_whose_budget_fills_up_while_it_is_asked_for_waits_for_people_too",
        ("count_run", "o.action = 'require_approval' AND d.id = ANY (p_consented)", "o.action = 'require_approval'"),
    ),
    guard(
        "accept: what waits for people takes no place",
        "engine/asking_budgets::test_as_many_wait_as_may_be_asked_about_and_as_many_begin_as_are_let",
        ("accept", "v_run.parent_run_id IS NULL AND NOT p ? 'consent' AND", "v_run.parent_run_id IS NULL AND"),
    ),
    guard(
        "clear_run: what begins is counted",
        "engine/asking_budgets",
        (
            "clear_run",
            "    IF v_run.parent_run_id IS NULL AND NOT p ? 'waits' THEN\n      v_events",
            "    IF false THEN\n      v_events",
        ),
    ),
    guard(
        "accept: what waits for a budget does not begin",
        "engine/waiting_runs::test_a_run_for_which_there_is_no_room_waits_without_a_worker",
        ("accept", "  ELSIF p ? 'waits' AND v_run.parent_run_id IS NULL THEN", "  ELSIF false THEN"),
    ),
    guard(
        "clear_run: what waits for a budget is not counted",
        "engine/waiting_runs::test_a_run_that_rules_ask_about_waits_when_people_have_agreed",
        ("clear_run", "uncounted = p ? 'waits' WHERE", "uncounted = false WHERE"),
    ),
    guard(
        "admit_run: what waited for a budget is counted",
        "engine/waiting_runs::test_two_that_wait_for_one_place_do_not_both_begin",
        ("admit_run", "  IF v_run.uncounted THEN\n", "  IF false THEN\n"),
    ),
    guard(
        "blocked_by: a budget that a run waits for",
        "engine/waiting_runs::test_a_run_for_which_there_is_no_room_waits_without_a_worker",
        ("blocked_by", "  IF p_run.uncounted AND EXISTS (", "  IF false AND EXISTS ("),
    ),
    guard(
        "blocked_by: people let it pass",
        "engine/waiting_runs::test_where_people_are_asked_too_it_waits_when_they_have_agreed",
        ("blocked_by", "WHERE NOT (w.action = 'require_approval' AND", "WHERE NOT (false AND"),
    ),
    guard(
        "resume_run: what was not counted is admitted first",
        "engine/waiting_runs::test_a_pause_by_a_person_does_not_lead_past_the_budget",
        ("resume_run", " AND NOT v_run.uncounted THEN", " THEN"),
    ),
    guard(
        "admissible: what waits for a budget keeps nobody back",
        "engine/waiting_runs::test_it_keeps_nobody_else_back",
        (
            "admissible",
            "       WHERE r.status = 'queued' AND NOT r.uncounted AND r.project_id = p_project AND r.workflow_id = l",
            "       WHERE r.status = 'queued' AND r.project_id = p_project AND r.workflow_id = l",
        ),
    ),
    guard(
        "judge_run: a budget that asks by now",
        "engine/asking_budgets::test_another_budget_that_asks_by_now_is_asked_about_anew",
        ("judge_run", "WHERE NOT v_asked.budgets @>", "WHERE false AND NOT v_asked.budgets @>"),
    ),
)
