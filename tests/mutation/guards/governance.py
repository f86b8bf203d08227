"""Rules and what is made of them: decisions, versions, violations, backtests, votes, budgets."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard, of_schema

_EVALUATE = "domains/policies/evaluate.py"
_BACKTESTS = "engine/backtests.py"
_DIED = "engine/backtests::test_another_process_goes_on_where_one_died_and_counts_nothing_twice"

GOVERNANCE: Sequence[Guard] = (
    # Decisions
    guard(
        "decide: a rule that cannot be evaluated denies",
        "unit/policies_evaluate::test_a_rule_that_cannot_be_evaluated_denies_and_says_so",
        (_EVALUATE, "    if denying is not None and (", "    if False and ("),
    ),
    guard(
        "decide: a name that is not known denies",
        "unit/policies_evaluate::test_a_name_that_is_not_known_denies_for_a_rule_that_chooses_by_it",
        (_EVALUATE, "        if self._blind:\n", "        if False:\n"),
    ),
    guard(
        "decide: the strictest",
        "unit/policies_evaluate::test_the_strictest_verdict_wins_and_among_equals_the_first",
        (
            _EVALUATE,
            "    decisive = max(holding, key=_strictness, default=None)",
            "    decisive = next(iter(holding), None)",
        ),
    ),
    guard(
        "decide: the default where no rule matches",
        "unit/policies_evaluate::test_where_no_rule_matches_the_default_holds",
        (
            _EVALUATE,
            "            return Decision(default)\n        failures",
            "            return Decision(RuleEffect.ALLOW)\n        failures",
        ),
        (
            _EVALUATE,
            "        self._by_default = Decision(default)",
            "        self._by_default = Decision(RuleEffect.ALLOW)",
        ),
    ),
    guard(
        "decide: a rule that monitors decides nothing",
        "unit/policies_evaluate::test_a_rule_that_monitors_decides_nothing_and_is_told",
        (_EVALUATE, "    holding = [each for each in matched if each.enforced]", "    holding = list(matched)"),
    ),
    guard(
        "decide: a rule that is off is not asked",
        "unit/policies_evaluate::test_a_rule_that_is_off_is_not_asked",
        (_EVALUATE, "            if rule.mode is not Mode.OFF\n", ""),
    ),
    guard(
        "decide: a rule speaks of what it is on",
        "unit/policies_evaluate::test_a_rule_speaks_only_of_what_it_is_on",
        (_EVALUATE, "[each for each in placed if subject in each.rule.on]", "placed"),
    ),
    guard(
        "decide: the names that it lists",
        "unit/policies_evaluate::test_a_rule_is_about_the_names_it_lists",
        (
            _EVALUATE,
            "                return False\n        return True",
            "                return True\n        return True",
        ),
    ),
    guard(
        "decide: consent satisfies every rule",
        "unit/policies_evaluate::test_consent_has_to_satisfy_every_rule_that_asks_for_it",
        (_EVALUATE, "quorum=max(each.quorum for each in asked),", "quorum=min(each.quorum for each in asked),"),
    ),
    guard(
        "decide: a change is allowed by every rule",
        "unit/policies_evaluate::test_consent_has_to_satisfy_every_rule_that_asks_for_it",
        (_EVALUATE, "may_edit=all(each.may_edit for each in asked),", "may_edit=any(each.may_edit for each in asked),"),
    ),
    # Versions
    guard(
        "publish: its tests pass",
        "api/policies::test_a_version_whose_tests_fail_is_saved_and_not_published",
        (
            "domains/policies/service.py",
            "    if failed:\n        raise TestsFail",
            "    if False:\n        raise TestsFail",
        ),
    ),
    guard(
        "publish: it counts as a change of the rules",
        "engine/gate::test_rules_that_change_between_decision_and_prepare_are_asked_again",
        (
            "policy_stamp",
            "SELECT coalesce(sum(version), 0)::bigint FROM policy_stamps\n   WHERE scope_id IN (p_project, '00000000-0000-0000-0000-000000000000')",
            "SELECT 0::bigint WHERE p_project IS NOT NULL",
        ),
    ),
    guard(
        "stale: what was judged under other rules",
        "engine/ahead::test_rules_that_have_changed_refuse_the_whole_chain",
        ("stale", "WHERE c.stamp <> j.stamp", "WHERE false"),
    ),
    guard(
        "violation: the listed changes",
        "api/policies::test_a_violation_is_acknowledged_resolved_and_opened_again",
        ("domains/policies/decision_queries.py", "            Violation.status.in_(sorted(sources)),\n", ""),
    ),
    guard(
        "note_violations: a denial is one",
        "engine/budgets::test_a_refusal_for_money_is_a_decision_and_a_violation",
        ("note_violations", "WHERE d.id = ANY (p_decisions) AND d.outcome = 'deny'\n", "WHERE false\n"),
    ),
    guard(
        "note_violations: a rule that monitors makes one",
        "engine/subjects::test_a_rule_that_monitors_stops_nothing_and_makes_a_violation",
        ("note_violations", "WHERE d.id = ANY (p_decisions) AND m.effect = 'deny'\n", "WHERE false\n"),
    ),
    guard(
        "judges_output: a rule is on it",
        "engine/subjects::test_an_output_that_the_rules_deny_is_not_handed_out",
        ("judges_output", "AND 'output' = ANY (subjects)", "AND false"),
    ),
    guard(
        "judges_output: the default denies",
        "engine/defaults::test_the_transaction_that_ends_runs_leaves_those_whose_output_the_default_denies",
        ("judges_output", "AND default_effect <> 'allow'", "AND false"),
    ),
    guard(
        "end_runs: the default denies",
        "engine/defaults::test_the_transaction_that_ends_runs_leaves_those_whose_output_the_default_denies",
        ("end_runs", "AND p.default_effect <> 'allow'", "AND false"),
    ),
    # Backtests
    guard(
        "backtest: taken by one",
        _DIED,
        (
            _BACKTESTS,
            "OR (status = 'running' AND lease_expires_at < clock_timestamp())\n                ORDER BY id",
            "OR status = 'running'\n                ORDER BY id",
        ),
    ),
    guard(
        "backtest: of those whose process died too",
        _DIED,
        (
            _BACKTESTS,
            "OR (status = 'running' AND lease_expires_at < clock_timestamp())\n                ORDER BY id",
            "\n                ORDER BY id",
        ),
    ),
    guard(
        "backtest: a page of who holds it",
        _DIED,
        (
            _BACKTESTS,
            "   WHERE id = $1 AND claim_token = $2 AND status = 'running'\n  RETURNING",
            "   WHERE id = $1 AND $2::uuid IS NOT NULL\n  RETURNING",
        ),
    ),
    guard(
        "backtest: given up after so many deaths",
        "engine/backtests::test_a_backtest_that_kills_its_process_each_time_is_given_up",
        (_BACKTESTS, "AND lease_expires_at < clock_timestamp() AND attempts >= $1", "AND attempts >= $1 + 1000"),
    ),
    guard(
        "backtest: asked to stop",
        "engine/backtests::test_a_backtest_is_cancelled_while_it_is_judged",
        (_BACKTESTS, "SELECT cancel_requested FROM held", "SELECT false FROM held"),
    ),
    guard(
        "backtest: given back without blame",
        "engine/backtests::test_a_process_that_is_asked_to_stop_gives_its_backtest_back_without_blame",
        (_BACKTESTS, "lease_expires_at = NULL, attempts = attempts - 1", "lease_expires_at = NULL"),
    ),
    guard(
        "backtest: the names that were asked for",
        "engine/backtests::test_only_the_window_and_the_names_asked_for_are_judged",
        (
            _BACKTESTS,
            "   AND ($4::text[] IS NULL OR d.subject = ANY ($4)) AND ($5::text[] IS NULL OR d.name = ANY ($5))\n ORDER BY",
            "   AND ($4::text[] IS NULL OR d.subject = ANY ($4)) AND ($5::text[] IS NULL OR true)\n ORDER BY",
        ),
    ),
    # Questions
    guard(
        "discuss: so many messages",
        "engine/consent::test_a_question_takes_so_many_messages",
        ("discuss", ">= 200 THEN", ">= 2000000 THEN"),
    ),
    guard(
        "facts: the calls that are judged do not count themselves",
        "engine/facts::test_a_call_that_waited_does_not_count_itself",
        (
            "facts",
            "WHERE c.run_id = v_run AND c.sends > 0\n         AND NOT (c.step_id = (p ->> 'step_id')::uuid AND p -> 'seqs' @> to_jsonb(c.seq)));",
            "WHERE c.run_id = v_run);",
        ),
    ),
    # Budgets
    guard(
        "define_budget: a name once",
        "engine/budgets::test_two_budgets_of_one_name_cannot_be_told_apart",
        ("define_budget", '    RETURN \'{"result": "taken"}\';', '    RETURN \'{"result": "ok", "waiting": []}\';'),
    ),
    guard(
        "define_budget: windows that go on take over its limits",
        "engine/budgets::test_a_pause_writes_nothing_and_a_raised_limit_lets_the_step_go_on",
        (
            "define_budget",
            "     SET limit_micros = v_now.limit_micros, limit_tokens = v_now.limit_tokens, limit_calls = v_now.limit_calls,\n         limit_runs = v_now.limit_runs, thresholds = engine.budget_bars(v_now.thresholds),\n",
            "     SET thresholds = engine.budget_bars(v_now.thresholds),\n",
        ),
    ),
    guard(
        "define_budget: a change is in the audit trail",
        "engine/budgets::test_a_change_of_a_budget_is_in_the_audit_trail",
        (
            "define_budget",
            "    'budget:' || v_now.id, '{}', CASE WHEN v_old.id IS NOT NULL THEN to_jsonb(v_old) END, to_jsonb(v_now));",
            "    'budget:' || v_now.id, '{}', NULL, NULL);",
        ),
    ),
    guard(
        "define_budget: administrators alone for the installation",
        "engine/budgets::test_only_administrators_define_budgets_of_the_installation",
        (
            "engine/budgets.py",
            '        raise Forbidden("Only administrators define budgets of the installation.")',
            "        pass",
        ),
    ),
    guard(
        "budget_notices: once in a window",
        "engine/budgets::test_a_threshold_that_notifies_does_so_once_in_a_window",
        (
            "budget_notices",
            "    ON CONFLICT (budget_id, kind, percent, action) DO NOTHING\n",
            "    ON CONFLICT (budget_id, kind, percent, action) DO UPDATE SET percent = EXCLUDED.percent\n",
        ),
    ),
    guard(
        "budget_blocks: what was given up",
        "engine/budgets::test_a_budget_that_is_given_up_while_the_step_is_about_to_wait_is_not_waited_for",
        ("budget_blocks", "d.id = b.definition_id AND d.archived_at IS NULL", "d.id = b.definition_id"),
    ),
    guard(
        "budget_blocks: a period that has turned",
        "engine/budgets::test_a_period_that_turns_while_the_step_is_about_to_wait_is_seen",
        ("budget_blocks", "(b.ends_at IS NULL OR b.ends_at > clock_timestamp()) AND ", ""),
    ),
    guard(
        "budget_bars: nothing goes beyond the limit",
        "engine/budgets::test_what_does_not_fit_one_budget_is_held_against_none",
        ("budget_bars", '|| \'[{"percent": 100, "action": "deny"}]\' END', "END"),
    ),
    guard(
        "budget_over: what goes beyond",
        "engine/budgets::test_of_64_callers_at_once_exactly_as_many_as_fit_are_let_in",
        (
            "budget_over",
            "(u.used + u.more)::numeric * 100 > u.most::numeric * t.percent\n",
            "(u.used)::numeric * 100 > u.most::numeric * t.percent\n",
        ),
    ),
    guard(
        "budget_over: what would not grow reaches nothing",
        "engine/budgets::test_a_free_call_passes_where_more_money_is_spent_than_there_was",
        ("budget_over", " AND u.more > 0 AND ", " AND "),
    ),
    guard(
        "budget_window: its own clocks",
        "engine/budgets::test_a_period_follows_the_clocks_of_its_zone",
        (
            "budget_window",
            "date_trunc(p_period, now() AT TIME ZONE p_zone)",
            "date_trunc(p_period, now() AT TIME ZONE 'UTC')",
        ),
    ),
    guard(
        "budget_room: what is held counts",
        "engine/budgets::test_a_run_whose_forecast_does_not_fit_is_refused",
        ("engine/room.py", "            raise OverBudget(", "            _ = OverBudget("),
    ),
    # What the database allows
    of_schema(
        "schema: a run goes where it may",
        "engine/guards::test_the_database_allows_exactly_the_listed_transitions",
        "DROP TRIGGER guard_transition ON runs",
    ),
    of_schema(
        "schema: a step goes where it may",
        "engine/guards::test_the_database_allows_exactly_the_listed_transitions",
        "DROP TRIGGER guard_transition ON steps",
    ),
    of_schema(
        "schema: a call goes where it may",
        "engine/guards::test_the_database_allows_exactly_the_listed_transitions",
        "DROP TRIGGER guard_transition ON calls",
    ),
    of_schema(
        "schema: a question goes where it may",
        "engine/guards::test_the_database_allows_exactly_the_listed_transitions",
        "DROP TRIGGER guard_transition ON approvals",
    ),
    of_schema(
        "schema: a reservation goes where it may",
        "db/migrations::test_the_trigger_of_a_table_holds_the_transitions_of_its_machine",
        "DROP TRIGGER guard_transition ON reservations",
    ),
    of_schema(
        "schema: an entry of the outbox goes where it may",
        "db/migrations::test_the_trigger_of_a_table_holds_the_transitions_of_its_machine",
        "DROP TRIGGER guard_transition ON outbox",
    ),
    of_schema(
        "schema: a backtest goes where it may",
        "db/migrations::test_the_trigger_of_a_table_holds_the_transitions_of_its_machine",
        "DROP TRIGGER guard_transition ON backtests",
    ),
    of_schema(
        "schema: a violation goes where it may",
        "db/migrations::test_the_trigger_of_a_table_holds_the_transitions_of_its_machine",
        "DROP TRIGGER guard_transition ON violations",
    ),
    of_schema(
        "schema: a deletion goes where it may",
        "db/migrations::test_the_trigger_of_a_table_holds_the_transitions_of_its_machine",
        "DROP TRIGGER guard_transition ON project_deletions",
    ),
    of_schema(
        "schema: nothing is prepared without a decision",
        "engine/guards::test_nothing_is_prepared_without_a_decision_that_allows_exactly_this",
        "DROP TRIGGER guard_prepared ON calls",
    ),
    of_schema(
        "schema: a run that has ended is final",
        "engine/guards::test_what_is_final_does_not_change",
        "DROP TRIGGER guard_final ON runs",
    ),
    of_schema(
        "schema: a step that has ended is final",
        "engine/guards::test_what_is_final_does_not_change",
        "DROP TRIGGER guard_final ON steps",
    ),
    of_schema(
        "schema: an attempt that has ended is final",
        "engine/guards::test_what_is_final_does_not_change",
        "DROP TRIGGER guard_final ON step_attempts",
    ),
    of_schema(
        "schema: a call that is done is final",
        "engine/guards::test_what_is_final_does_not_change",
        "DROP TRIGGER guard_final ON calls",
    ),
    of_schema(
        "schema: a reservation that is settled is final",
        "engine/guards::test_what_is_final_does_not_change",
        "DROP TRIGGER guard_final ON reservations",
    ),
    of_schema(
        "schema: events are history",
        "engine/guards::test_history_is_not_rewritten",
        "DROP TRIGGER guard_final ON events",
    ),
    of_schema(
        "schema: the ledger is history",
        "engine/guards::test_history_is_not_rewritten",
        "DROP TRIGGER guard_final ON ledger_entries",
    ),
    of_schema(
        "schema: decisions are history",
        "engine/guards::test_history_is_not_rewritten",
        "DROP TRIGGER guard_final ON policy_decisions",
    ),
)
