"""What a call may do, and what is recorded of it."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

EFFECTS: Sequence[Guard] = (
    guard(
        "prepare: what an approver has changed",
        "engine/consent::test_a_change_between_claim_and_prepare_is_judged_before_anything_is_written",
        ("prepare_turn", "IF v_edits IS NOT NULL THEN", "IF false THEN"),
    ),
    guard(
        "resume: other demands",
        "engine/consent::test_when_the_rules_demand_something_else_people_are_asked_anew",
        ("resume", "OR NOT engine.covers(v_approval.demands, engine.demands(p_again))\n", "OR false\n"),
    ),
    guard(
        "resume: the same demands",
        "engine/who_asks::test_a_rule_that_is_published_again_with_the_same_words_does_not_ask_twice",
        ("resume", "OR NOT engine.covers(v_approval.demands, engine.demands(p_again))\n", "OR true\n"),
    ),
    guard(
        "covers: what it takes",
        "engine/sent_again::test_other_demands_about_a_lost_call_are_asked_anew",
        ("covers", "p_asked - 'rules' = p_demands - 'rules'", "true"),
    ),
    guard(
        "covers: every rule that asks, with its words",
        "engine/who_asks::test_a_yes_does_not_count_for_what_another_rule_asks_by_now",
        ("covers", " OR p_asked -> 'rules' @> (p_demands -> 'rules'));", " OR true);"),
    ),
    guard(
        "covers: a rule that asks no more",
        "engine/who_asks::test_of_several_rules_that_ask_every_one_is_named_and_one_that_asks_no_more_changes_nothing",
        ("covers", "p_asked -> 'rules' @> (p_demands -> 'rules')", "p_asked -> 'rules' = p_demands -> 'rules'"),
    ),
    guard(
        "covers: a question that did not note the rules",
        "engine/who_asks::test_a_question_that_did_not_note_the_rules_is_known_by_what_it_takes",
        ("covers", "(NOT p_asked ? 'rules' OR p_asked -> 'rules'", "(coalesce(p_asked -> 'rules', '[]')"),
    ),
    guard(
        "reserve: consent is for the budgets that were named",
        "engine/who_asks::test_of_several_budgets_that_ask_every_one_is_named_and_another_is_asked_about_anew",
        ("reserve", "AND coalesce(d.id = ANY (p_consented), false))", "AND p_consented <> '{}')"),
    ),
    guard(
        "resume: a budget that asks by now about a call that people let go",
        "engine/who_asks::test_a_budget_that_asks_by_now_is_asked_about_anew",
        (
            "resume",
            "      ELSIF v_held ->> 'verdict' = 'ask' THEN\n        v_anew",
            "      ELSIF false THEN\n        v_anew",
        ),
    ),
    guard(
        "put_question: the budgets that ask are named",
        "engine/who_asks::test_a_yes_to_a_rule_lets_a_call_pass_the_budgets_that_the_question_names",
        ("put_question", "engine.asking_budgets(p_step.project_id, p_budgets, p_asked)", "'[]'"),
    ),
    guard(
        "asking_budgets: only those that ask",
        "engine/who_asks::test_a_budget_that_does_not_ask_is_not_named",
        ("asking_budgets", "o.beyond AND o.action = 'require_approval' AND", "o.beyond AND"),
    ),
    guard(
        "evaluate: the words of a rule",
        "engine/who_asks::test_a_yes_does_not_count_for_what_another_rule_asks_by_now",
        (
            "domains/policies/evaluate.py",
            "Asking(each.ref.policy_id, each.ref.rule, each.rule.reason)",
            "Asking(each.ref.policy_id, each.ref.rule, None)",
        ),
    ),
    guard(
        "judge_step: what the rules of today ask",
        "engine/who_asks::test_a_yes_does_not_count_for_what_another_rule_asks_by_now",
        ("judge_step", "AND NOT engine.covers(v_asked.demands, v_demands) THEN", "AND false THEN"),
    ),
    guard(
        "judge_step: what was consented to before counts for what was asked",
        "engine/who_asks::test_the_consent_to_a_start_is_for_later_attempts_only_where_no_other_rule_asks",
        ("judge_step", "IF FOUND OR v_asked.status = 'consumed' THEN", "IF FOUND THEN"),
    ),
    guard(
        "resume: a yes to exactly this version of the agent",
        "engine/consent::test_consent_is_for_one_version_of_the_agent",
        (
            "lets_out",
            "\n     AND p_approval.agent_version_id IS NOT DISTINCT FROM (p_again ->> 'agent_version_id')::uuid",
            "",
        ),
    ),
    guard(
        "prepare: asked to stop",
        "engine/cancel::test_once_the_cancel_has_begun_nothing_more_is_prepared",
        ("prepare_turn", "IF p_step.cancel_requested THEN", "IF false THEN"),
    ),
    guard(
        "prepare: the rules of today",
        "engine/gate::test_rules_that_change_between_decision_and_prepare_are_asked_again",
        ("prepare_turn", "IF v_policy <> (p ->> 'policy_version')::bigint THEN", "IF false THEN"),
    ),
    guard(
        "prepare: what came before is recorded with it",
        "engine/gate::test_what_came_back_is_settled_before_what_comes_next_is_held",
        ("prepare_turn", "IF p ? 'results' THEN\n    v_events", "IF false THEN\n    v_events"),
    ),
    guard(
        "record_calls: once, however often it is said",
        "engine/gate::test_an_answer_that_was_lost_settles_what_came_before_once",
        ("record_calls", "CONTINUE WHEN v_call.status IN ('done', 'failed')", "CONTINUE WHEN false"),
    ),
    guard(
        "prepare: an uncertain call parks the step",
        "engine/gate::test_an_unsafe_call_that_is_prepared_twice_is_not_sent_twice",
        ("prepare_turn", "IF v_verdicts @? '$[*] ? (@.verdict == \"uncertain\")' THEN", "IF false THEN"),
    ),
    guard(
        "prepare: what was sent since counts",
        "engine/facts::test_a_call_is_judged_anew_where_the_run_has_sent_something_meanwhile",
        ("prepare_turn", "(p ->> 'sent_before')::bigint <> (", "0 * (p ->> 'sent_before')::bigint <> 0 * ("),
    ),
    guard(
        "prepare: what counts is locked before it is looked at",
        "engine/facts::test_who_is_judged_by_what_the_run_has_sent_waits_for_who_is_about_to_send",
        ("prepare", "PERFORM pg_advisory_xact_lock(hashtextextended('sent/' || v_run, 0));", ""),
    ),
    guard(
        "prepare: what goes out as people agreed counts for those after it",
        "engine/facts::test_calls_that_people_let_go_together_count_each_other",
        ("prepare_turn", "IF v_differs THEN", "IF false THEN"),
    ),
    guard(
        "facts: what the turn itself has sent counts",
        "engine/facts::test_a_call_that_waited_counts_what_its_turn_has_sent_since",
        ("facts", "AND p -> 'seqs' @> to_jsonb(c.seq)) s);", "AND false) s);"),
    ),
    guard(
        "judge_step: asked to stop",
        "engine/subjects::test_a_step_that_was_asked_to_stop_does_not_start",
        ("judge_step", "IF v_step.cancel_requested THEN", "IF false THEN"),
    ),
    guard(
        "judge_step: the rules of today",
        "engine/subjects::test_the_start_of_a_step_is_judged_anew_where_the_rules_have_changed",
        ("judge_step", "ELSIF v_policy <> (p ->> 'policy_version')::bigint THEN", "ELSIF false THEN"),
    ),
    guard(
        "judge_step: consent that came too late",
        "engine/subjects::test_consent_to_a_start_that_came_too_late_counts_as_none",
        ("judge_step", "ELSIF v_asked.expires_at <= clock_timestamp() AND", "ELSIF false AND"),
    ),
    guard(
        "judge_step: a no stays",
        "engine/subjects::test_a_no_to_a_start_stays_a_no_where_no_rule_asks_any_more",
        ("judge_step", "IF v_status = 'allowed' AND v_asked.status IN ('rejected', 'expired') THEN", "IF false THEN"),
    ),
    guard(
        "propose: it must fit the budget",
        "engine/budget::test_of_twenty_at_once_exactly_as_many_as_fit_are_allowed",
        ("propose", "  IF v_verdict = 'allow' THEN\n    v_held", "  IF false THEN\n    v_held"),
    ),
    guard(
        "charge: only what is held",
        "engine/budgets::test_a_call_that_was_lost_waits_for_its_budget_before_it_is_sent_again",
        ("charge", " AND status = 'held' FOR UPDATE", " FOR UPDATE"),
    ),
    guard(
        "record: an unknown outcome parks the step",
        "engine/gate::test_an_unsafe_call_that_was_lost_is_never_sent_again",
        ("record", "IF p -> 'results' @? '$[*] ? (@.status == \"unknown\")' THEN", "IF false THEN"),
    ),
    guard(
        "record_calls: a call of this step",
        "engine/direct::test_a_worker_records_nothing_for_the_step_of_another",
        ("record_calls", " AND step_id = p_step.id FOR UPDATE", " FOR UPDATE"),
    ),
    guard(
        "resume: the same request",
        "engine/gate::test_a_step_that_asks_for_something_else_than_before_fails",
        ("resume", "\n     OR v_call.request_hash <> p_again ->> 'request_hash' THEN", " THEN"),
    ),
    guard(
        "resume: the same tool",
        "engine/gate::test_the_same_request_of_another_tool_or_kind_is_another_call",
        ("resume", "v_call.kind <> p_again ->> 'kind' OR v_call.name <> p_again ->> 'name'\n     OR ", ""),
    ),
    guard(
        "resume: what must not be repeated",
        "engine/gate::test_an_unsafe_call_that_is_prepared_twice_is_not_sent_twice",
        ("resume", "ELSIF v_call.status = 'prepared' AND v_call.effect_class = 'unsafe' THEN", "ELSIF false THEN"),
    ),
    guard(
        "resume: what is recorded answers",
        "engine/gate::test_of_a_turn_that_was_lost_what_is_on_record_answers_and_only_the_rest_is_sent",
        ("resume", "IF v_call.status IN ('done', 'failed', 'denied', 'expired') THEN", "IF false THEN"),
    ),
    guard(
        "resume: a lost call that the rules now deny",
        "engine/gate::test_what_the_rules_now_deny_is_not_sent_again",
        ("resume", "    IF v_denied IS NULL AND v_other THEN", "    v_denied := NULL;\n    IF v_other THEN"),
    ),
    guard(
        "resume: a lost call that does not fit any more",
        "engine/budget::test_a_second_send_that_does_not_fit_ends_the_call",
        (
            "resume",
            "ELSIF v_denied IS NOT NULL OR v_held ->> 'verdict' <> 'held' THEN",
            "ELSIF v_denied IS NOT NULL THEN",
        ),
    ),
    guard(
        "resume: a question that the rules now deny",
        "engine/consent::test_rules_that_allow_by_now_let_consent_count_and_rules_that_deny_do_not",
        ("resume", "    IF v_denied IS NOT NULL THEN\n", "    IF false THEN\n"),
    ),
    guard(
        "resume: a question that is open",
        "engine/gate::test_a_question_that_is_open_when_the_step_is_attempted_anew_is_asked_no_second_time",
        (
            "resume",
            "v_open := v_approval.status = 'pending' AND v_live;",
            "v_open := false;",
        ),
    ),
    guard(
        "resume: a yes",
        "engine/gate::test_a_refused_and_an_expired_question_become_tool_errors",
        ("lets_out", "p_approval.status = 'approved' AND p_approval.expires_at", "p_approval.expires_at"),
    ),
    guard(
        "resume: a yes in time",
        "engine/gate::test_a_refused_and_an_expired_question_become_tool_errors",
        ("lets_out", " AND p_approval.expires_at > clock_timestamp()\n", "\n"),
    ),
    guard(
        "resume: a yes to exactly this tool",
        "engine/gate::test_an_approval_is_for_exactly_one_request_and_tool",
        ("lets_out", "\n     AND p_approval.tool_hash IS NOT DISTINCT FROM p_again ->> 'tool_hash'", ""),
    ),
    guard(
        "resume: a yes is used once",
        "engine/gate::test_an_approved_call_is_sent_once_and_its_approval_is_used_up",
        (
            "resume",
            "UPDATE approvals SET status = 'consumed', consumed_at = clock_timestamp() WHERE id = v_approval.id;",
            "",
        ),
    ),
    guard(
        "resume: what was allowed must fit the budget",
        "engine/budgets::test_an_approved_call_waits_for_its_budget_and_goes_on_under_the_same_consent",
        ("resume", "IF v_held ->> 'verdict' = 'held' THEN\n        UPDATE", "IF true THEN\n        UPDATE"),
    ),
    guard(
        "resume: a lost call that waits for its budget is not sent",
        "engine/budgets::test_a_call_that_was_lost_waits_for_its_budget_before_it_is_sent_again",
        (
            "resume",
            "attempt = CASE WHEN v_verdict = 'budget' OR v_verdict = 'waiting' AND v_call.status = 'prepared'\n"
            "                                    THEN attempt ELSE p_step.attempt END",
            "attempt = p_step.attempt",
        ),
    ),
    guard(
        "resume: people are asked before a lost call is sent again beyond a budget that asks",
        "engine/budgets::test_a_lost_call_goes_out_again_with_consent_where_its_budget_asks",
        (
            "resume",
            "ELSIF v_held ->> 'verdict' = 'ask' THEN\n      v_verdict := 'waiting'",
            "ELSIF false THEN\n      v_verdict := 'waiting'",
        ),
    ),
    guard(
        "resume: a lost call that nobody let out again",
        "engine/budgets::test_a_lost_call_that_nobody_lets_out_again_fails",
        ("resume", "AND NOT engine.lets_out(v_approval, p_again) THEN", "AND false THEN"),
    ),
    guard(
        "resume: a yes to a second send is used up",
        "engine/budgets::test_a_lost_call_goes_out_again_with_consent_where_its_budget_asks",
        (
            "resume",
            "UPDATE approvals SET status = 'consumed', consumed_at = clock_timestamp()\n"
            "       WHERE id = v_approval.id AND status = 'approved';",
            "NULL;",
        ),
    ),
    guard(
        "resume: an answer that was lost does not let out what waits for people",
        "engine/budgets::test_a_lost_call_that_waits_for_people_is_not_sent_where_the_answer_was_lost",
        ("resume", " AND coalesce(v_approval.status, 'consumed') = 'consumed' THEN", " THEN"),
    ),
    guard(
        "resume: an answer that was lost does not let out what the rules ask about by now",
        "engine/sent_again::test_an_answer_that_was_lost_lets_nothing_out_that_the_rules_ask_about_by_now",
        ("resume", " AND NOT v_other AND coalesce(", " AND coalesce("),
    ),
    guard(
        "resume: nor what they deny",
        "engine/sent_again::test_an_answer_that_was_lost_lets_nothing_out_that_the_rules_deny_by_now",
        ("resume", "AND v_denied IS NULL AND NOT v_other AND coalesce(", "AND NOT v_other AND coalesce("),
    ),
    guard(
        "resume: people are asked about a lost call where the rules ask by now",
        "engine/sent_again::test_a_lost_call_that_the_rules_ask_about_by_now_goes_out_again_with_consent",
        ("resume", "    IF v_denied IS NULL AND v_other THEN", "    IF false THEN"),
    ),
    guard(
        "resume: an open question about a lost call that the rules do not put any more",
        "engine/sent_again::test_other_demands_about_a_lost_call_are_asked_anew",
        ("resume", "AND v_open AND NOT v_other THEN", "AND v_open THEN"),
        ("resume", "AND NOT (v_live AND v_other) AND NOT engine.lets_out(", "AND NOT engine.lets_out("),
    ),
    guard(
        "resume: what the rules say of a lost call that goes out again is on record",
        "engine/sent_again::test_what_the_rules_say_when_a_lost_call_goes_out_again_is_on_record",
        ("resume", "\n      v_said := p_again;\n    END IF;\n\n  ELSIF", "\n    END IF;\n\n  ELSIF"),
    ),
    guard(
        "resume: what the rules say of a call that people let go is on record",
        "engine/sent_again::test_what_the_rules_say_when_a_call_goes_out_that_people_let_go_is_on_record",
        ("resume", "        v_said := p_again;\n", ""),
    ),
    guard(
        "decisions: what says that consent was there held nothing",
        "engine/sent_again::test_what_says_that_consent_was_there_is_not_counted_as_held_once_more",
        ("domains/policies/decision_queries.py", "            _STOPPED,\n", ""),
    ),
    guard(
        "note_violations: once for a call",
        "engine/sent_again::test_a_call_breaks_the_same_version_of_a_rule_once_however_often_it_is_judged",
        ("note_violations", "AND NOT (d.subject_kind = 'call' AND EXISTS (", "AND NOT (false AND EXISTS ("),
    ),
    guard(
        "note_violations: of this call",
        "engine/sent_again::test_what_another_call_broke_is_another_violation",
        ("note_violations", " AND e.subject_id = d.subject_id\n", "\n"),
    ),
    guard(
        "resume: the yes that a lost call went out with was said of the same tool",
        "engine/sent_again::test_the_yes_that_a_lost_call_went_out_with_is_for_that_alone",
        (
            "resume",
            "OR v_approval.status = 'consumed' AND v_approval.tool_hash IS DISTINCT FROM p_again ->> 'tool_hash');",
            "OR false);",
        ),
    ),
    guard(
        "prepare: one that is refused refuses no other",
        "engine/together::test_one_that_is_refused_refuses_none_of_the_others",
        (
            "engine/context.py",
            "return [error] if len(documents) == 1 else [",
            "return [error] * len(documents) if documents else [",
        ),
    ),
    guard(
        "prepare: no project waits for another",
        "engine/together::test_what_waits_in_one_project_keeps_none_of_another_waiting",
        ("engine/effects.py", "        lane=project_id,\n", ""),
    ),
    guard(
        "prepare: each of several is paid for over its own budgets",
        "engine/together::test_together_no_more_is_held_than_fits",
        (
            "prepare",
            "IF v_open <> '{}' OR v_counted <> '[]' THEN\n    PERFORM engine.lock_budgets(v_open, ",
            "IF true THEN\n    v_counting := NULL;\n    PERFORM engine.lock_budgets(v_open, ",
        ),
    ),
    guard(
        "batch: who has given up is not in it",
        "unit/batching::test_who_gives_up_before_the_batch_begins_is_not_in_it",
        ("core/batching.py", " if not each[1].done()]", "]"),
    ),
    guard(
        "prepare: a stop is in force",
        "engine/halts::test_a_stop_refuses_every_call_until_it_is_released",
        ("prepare", "PERFORM engine.refuse_halted(v_project);", ""),
    ),
)
