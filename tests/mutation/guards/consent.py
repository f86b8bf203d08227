"""Questions to people, and their answers."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

CONSENT: Sequence[Guard] = (
    guard(
        "answer: a member, where they may answer",
        "engine/wait::test_who_asked_may_not_answer_and_a_stranger_finds_nothing",
        (
            "answer",
            "    JOIN memberships m ON m.project_id = a.project_id AND m.user_id = v_user\n"
            "   WHERE a.id = (p ->> 'approval_id')::uuid AND p -> 'reach' ? a.project_id::text;",
            "   WHERE a.id = (p ->> 'approval_id')::uuid;",
        ),
    ),
    guard(
        "answer: an open question",
        "engine/wait::test_the_first_answer_counts_and_is_audited",
        ("answer", "v_approval.status <> 'pending' OR ", ""),
    ),
    guard(
        "answer: in time",
        "engine/wait::test_a_question_that_nobody_answers_expires_and_the_step_goes_on",
        ("answer", " OR v_approval.expires_at <= clock_timestamp()", ""),
    ),
    guard(
        "answer: not who asked",
        "engine/wait::test_who_asked_may_not_answer_and_a_stranger_finds_nothing",
        ("answer", "ELSIF engine.own_request(v_approval, v_user) THEN", "ELSIF false THEN"),
    ),
    guard(
        "own_request: nor who made the key",
        "api/approvals::test_whoever_made_the_key_of_a_run_does_not_agree_to_it",
        ("own_request", " OR EXISTS (SELECT 1 FROM makers WHERE id = p_user)", ""),
    ),
    guard(
        "own_request: nor who made the key that made it",
        "api/approvals::test_whoever_made_the_key_that_made_the_key_of_a_run_does_not_agree_to_it",
        (
            "own_request",
            "UNION\n    SELECT k.created_by FROM makers m",
            "UNION\n    SELECT k.created_by FROM (SELECT NULL::uuid AS id) m",
        ),
    ),
    guard(
        "answer: an approver",
        "engine/consent::test_the_start_of_a_step_takes_as_many_and_is_asked_anew_too",
        ("answer", "ELSIF engine.speaks_for(v_approval, v_user) IS NULL THEN", "ELSIF false THEN"),
    ),
    guard(
        "answer: what they were shown",
        "engine/consent::test_where_the_change_demands_more_people_are_asked_about_the_change",
        (
            "answer",
            "ELSIF v_approves AND coalesce(p ->> 'request_hash', v_approval.request_hash) <> v_asked THEN",
            "ELSIF false THEN",
        ),
    ),
    guard(
        "answer: the rules allow a change",
        "engine/consent::test_what_may_not_be_changed_is_not",
        ("answer", "(v_approval.demands -> 'may_edit')::boolean AND ", ""),
    ),
    guard(
        "answer: a tool is changed",
        "engine/consent::test_what_may_not_be_changed_is_not",
        ("answer", " AND v_approval.tool_hash IS NOT NULL)", ")"),
    ),
    guard(
        "answer: what has left is not changed",
        "engine/sent_again::test_what_has_left_and_was_lost_is_not_changed_by_who_lets_it_out_again",
        ("answer", "OR EXISTS (SELECT 1 FROM calls", "OR false AND EXISTS (SELECT 1 FROM calls"),
    ),
    guard(
        "answer: the tool that was asked about",
        "engine/consent::test_what_may_not_be_changed_is_not",
        ("answer", "ELSIF v_edit ->> 'tool_hash' <> v_approval.tool_hash THEN", "ELSIF false THEN"),
    ),
    guard(
        "answer: said before",
        "engine/consent::test_as_many_have_to_agree_as_the_rules_say_and_nobody_counts_twice",
        ("answer", "IF v_said_before AND", "IF false AND"),
    ),
    guard(
        "answer: the same yes may be enough by now",
        "engine/reassign::test_who_has_agreed_and_comes_to_speak_for_the_others_too_says_yes_once_more",
        (
            "answer",
            "IF v_said_before AND NOT (v_approves AND (v_consent -> 'enough')::boolean) THEN",
            "IF v_said_before THEN",
        ),
    ),
    guard(
        "reassign: only the giver's own gift is given back",
        "engine/reassign::test_what_somebody_gave_away_is_given_back_by_nobody_else",
        ("reassign", "OR r ->> 'to' <> ALL (engine.answerer(v_approval, v_user))", ""),
    ),
    guard(
        "answer: one no is enough",
        "engine/consent::test_one_no_is_enough",
        ("answer", "CASE WHEN NOT v_approves THEN 'rejected' WHEN", "CASE WHEN"),
    ),
    guard(
        "answer: enough",
        "engine/consent::test_as_many_have_to_agree_as_the_rules_say_and_nobody_counts_twice",
        ("answer", "WHEN (v_consent -> 'enough')::boolean THEN", "WHEN true THEN"),
    ),
    guard(
        "answer: nothing goes on before it is settled",
        "engine/consent::test_as_many_have_to_agree_as_the_rules_say_and_nobody_counts_twice",
        ("answer", "  ELSIF v_status <> 'pending' OR v_changed AND", "  ELSIF true OR v_changed AND"),
    ),
    guard(
        "answer: the run is locked",
        "engine/direct::test_an_answer_waits_for_whoever_holds_the_run",
        ("answer", "PERFORM 1 FROM runs WHERE id = v_approval.run_id FOR UPDATE;", ""),
    ),
    guard(
        "answer: looked at again under the lock",
        "engine/wait::test_two_answers_at_once_leave_one",
        ("answer", "  SELECT * INTO v_approval FROM approvals WHERE id = v_approval.id FOR UPDATE;\n", ""),
    ),
    guard(
        "consent: the quorum",
        "engine/consent::test_as_many_have_to_agree_as_the_rules_say_and_nobody_counts_twice",
        ("standing", "people >= (p_approval.demands ->> 'quorum')::int AND ", ""),
    ),
    guard(
        "consent: each group",
        "engine/consent::test_somebody_of_each_group_has_to_agree",
        ("standing", " AND cardinality(missing) = 0", ""),
    ),
    guard(
        "consent: to what is asked about now",
        "engine/consent::test_an_approver_may_go_back_to_what_was_proposed",
        ("consent", "\n       AND v.request_hash = coalesce(p_approval.edited_hash, p_approval.request_hash)", ""),
    ),
    guard(
        "consent: those who may still answer",
        "engine/consent::test_whoever_may_not_answer_any_more_does_not_count",
        (
            "standing",
            "CROSS JOIN LATERAL engine.voice(p_approval, u.id) w",
            "CROSS JOIN LATERAL (SELECT u.id, ARRAY[1]) w (voice, groups)",
        ),
    ),
    guard(
        "answer: an edit that others have to agree to is looked at",
        "engine/outlook::test_an_edit_is_looked_at_before_others_agree_to_it_and_nothing_is_done",
        ("answer", "OR v_changed AND v_step.waiting_for -> 'looked' ? v_approval.id::text THEN", "THEN"),
    ),
    guard(
        "wait: an edit that came while the worker looked",
        "engine/outlook::test_an_edit_that_comes_while_the_worker_looks_is_looked_at_afterwards",
        (
            "wait",
            "(status <> 'pending' OR v_for -> 'looked' ->> id::text <> coalesce(edited_hash, request_hash))",
            "status <> 'pending'",
        ),
    ),
    guard(
        "note_outlook: of what is asked about now",
        "engine/outlook::test_an_outlook_on_what_is_not_asked_about_any_more_takes_no_place",
        ("note_outlook", "coalesce(a.edited_hash, a.request_hash) = p ->> 'request_hash'\n", "true\n"),
    ),
    guard(
        "consent: one voice counts once",
        "engine/reassign::test_a_voice_that_a_role_was_given_counts_once",
        ("standing", "count(DISTINCT voice)", "count(*)"),
    ),
    guard(
        "voice: who gave it away has none",
        "engine/reassign::test_who_has_given_their_voice_away_does_not_count_any_more",
        ("voice", "WHERE (r ->> 'by')::uuid = p_user)", "WHERE false)"),
    ),
    guard(
        "reassign: looked at under the lock",
        "engine/reassign::test_a_question_that_is_answered_and_reassigned_at_once_is_one_after_the_other",
        ("reassign", " FOR UPDATE OF a;", ";"),
    ),
    guard(
        "reassign: who may answer",
        "engine/reassign::test_nobody_gives_away_what_is_not_theirs",
        ("reassign", "IF v_voice IS NULL THEN", "IF false THEN"),
    ),
    guard(
        "reassign: somebody who could answer",
        "engine/reassign::test_a_voice_is_given_to_nobody_who_could_not_answer",
        (
            "reassign",
            "IF NOT EXISTS (SELECT 1 FROM memberships m",
            "IF false AND NOT EXISTS (SELECT 1 FROM memberships m",
        ),
    ),
    guard(
        "reassign: as many voices as have to agree",
        "engine/reassign::test_a_voice_is_not_given_away_where_too_few_could_agree_then",
        ("reassign", "IF v_left < least(v_before, v_quorum) THEN", "IF false THEN"),
    ),
    guard(
        "reassign: no fewer than there were",
        "engine/reassign::test_a_voice_that_is_handed_on_from_a_role_is_still_one",
        ("reassign", "least(v_before, v_quorum)", "v_quorum"),
    ),
    guard(
        "voices_left: those whom an escalation will call",
        "engine/reassign::test_whoever_is_called_later_counts_among_those_who_could_agree",
        ("voices_left", "IF p_approval.escalate_at < p_approval.expires_at THEN", "IF false THEN"),
    ),
    guard(
        "voice: what was given goes on",
        "engine/reassign::test_who_hands_on_gives_every_voice_that_they_have",
        ("voice", "ARRAY(SELECT heard.voice FROM heard ORDER BY heard.voice)", "ARRAY[h.voice]"),
    ),
    guard(
        "answerer: not disabled",
        "engine/consent::test_whoever_may_not_answer_any_more_does_not_count",
        ("answerer", " AND u.disabled_at IS NULL", ""),
    ),
    guard(
        "named_in: of a group",
        "engine/consent::test_the_start_of_a_step_takes_as_many_and_is_asked_anew_too",
        (
            "named_in",
            "CASE WHEN cardinality(named.groups) > 0 OR p_approval.demands -> 'approvers' = '[]' THEN named.groups END",
            "named.groups",
        ),
    ),
    guard(
        "named_in: others after an escalation only",
        "engine/consent::test_after_a_while_others_may_answer_for_every_group",
        ("named_in", "p_approval.escalated_at IS NOT NULL AND ", ""),
    ),
    guard(
        "escalate: due",
        "engine/consent::test_after_a_while_others_may_answer_for_every_group",
        ("escalate_approvals", " AND escalate_at <= clock_timestamp()", ""),
    ),
    guard(
        "escalate: once",
        "engine/consent::test_after_a_while_others_may_answer_for_every_group",
        ("escalate_approvals", " AND escalated_at IS NULL", ""),
    ),
    guard(
        "escalate: nobody is waited for",
        "engine/consent::test_an_answer_and_an_escalation_at_once_are_one_after_the_other",
        ("escalate_approvals", " FOR UPDATE SKIP LOCKED", ""),
    ),
    guard(
        "discuss: a member, where they may answer",
        "engine/consent::test_people_talk_about_an_open_question_and_about_no_other",
        (
            "discuss",
            "\n    JOIN memberships m ON m.project_id = a.project_id AND m.user_id = (p ->> 'user_id')::uuid",
            "",
        ),
        ("discuss", " AND p -> 'reach' ? a.project_id::text FOR UPDATE OF a;", " FOR UPDATE OF a;"),
    ),
    guard(
        "discuss: an open question",
        "engine/consent::test_people_talk_about_an_open_question_and_about_no_other",
        (
            "discuss",
            "ELSIF v_approval.status <> 'pending' OR v_approval.expires_at <= clock_timestamp() THEN",
            "ELSIF false THEN",
        ),
    ),
    guard(
        "expire: somebody holds the run",
        "engine/wait::test_a_question_of_a_run_that_somebody_holds_expires_later",
        ("expire_approvals", "FOR UPDATE SKIP LOCKED;\n    CONTINUE WHEN NOT FOUND;", "FOR UPDATE;"),
    ),
    guard(
        "expire: answered meanwhile",
        "engine/direct::test_a_question_that_was_withdrawn_while_another_expired_does_not_expire",
        ("expire_approvals", "\n    CONTINUE WHEN NOT FOUND;\n    INSERT", "\n    INSERT"),
    ),
    guard(
        "expire: due",
        "engine/wait::test_a_question_that_nobody_answers_expires_and_the_step_goes_on",
        (
            "expire_approvals",
            "IN ('pending', 'approved') AND expires_at <= clock_timestamp()\n                ORDER",
            "IN ('pending', 'approved')\n                ORDER",
        ),
        ("expire_approvals", " AND expires_at <= clock_timestamp();", ";"),
    ),
    guard(
        "ask: asked to stop",
        "engine/direct::test_a_step_that_was_asked_to_stop_asks_nobody",
        ("ask", "IF v_step.cancel_requested THEN", "IF false THEN"),
    ),
    guard(
        "ask: the same question",
        "engine/direct::test_a_step_does_not_ask_something_else_than_before",
        ("ask", "ELSIF v_approval.request_hash <> p ->> 'request_hash' THEN", "ELSIF false THEN"),
    ),
    guard(
        "ask: a yes that has expired is not used",
        "engine/wait::test_a_yes_that_has_expired_is_none",
        (
            "ask",
            "ELSIF v_approval.status = 'approved' AND v_approval.expires_at > clock_timestamp() THEN",
            "ELSIF v_approval.status = 'approved' THEN",
        ),
    ),
    guard(
        "ask: a yes that has expired is none",
        "engine/wait::test_a_yes_that_has_expired_is_none",
        (
            "ask",
            "WHEN v_approval.status = 'approved' AND v_approval.expires_at <= clock_timestamp() THEN 'expired'\n",
            "",
        ),
    ),
)
