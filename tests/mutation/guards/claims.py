"""Who may take which step, and how many."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

CLAIMS: Sequence[Guard] = (
    guard(
        "claim: epoch",
        "engine/direct::test_no_kind_of_claim_counts_in_another_epoch",
        ("claim", "p_epoch IS DISTINCT FROM (SELECT epoch FROM system)", "false"),
    ),
    guard(
        "claim: not before its time",
        "engine/claim::test_a_step_is_not_claimed_before_its_time",
        ("claim", "           AND s.not_before <= clock_timestamp() AND NOT s.isolate", "           AND NOT s.isolate"),
        ("take", "\n       AND s.not_before <= clock_timestamp()", ""),
    ),
    guard(
        "claim: what is to run alone is left",
        "engine/claim::test_isolated_steps_are_taken_only_by_who_was_started_for_them",
        ("claim", " AND NOT s.isolate", ""),
    ),
    guard(
        "claim_isolated: what must be alone one at a time",
        "engine/claim::test_what_must_be_alone_is_taken_alone_and_only_by_a_process_that_holds_nothing",
        ("claim_isolated", "CASE WHEN v_alone THEN 1 ELSE p_limit END", "p_limit"),
    ),
    guard(
        "claim_isolated: what must be alone only by an empty process",
        "engine/claim::test_what_must_be_alone_is_taken_alone_and_only_by_a_process_that_holds_nothing",
        ("claim_isolated", " OR v_alone AND NOT p_empty", ""),
    ),
    guard(
        "claim_isolated: a process that holds what it does not know of is not empty",
        "engine/claim::test_a_process_that_learned_nothing_of_its_claim_gets_nothing_beside_it",
        ("claim_isolated", "OR p_empty AND EXISTS (SELECT 1", "OR false AND EXISTS (SELECT 1"),
    ),
    guard(
        "claim_isolated: one kind at a time",
        "engine/claim::test_of_isolated_steps_the_first_in_line_decides_and_neither_kind_overtakes_the_other",
        ("claim_isolated", "FROM line l, turn t WHERE t.place IS NULL OR l.place < t.place", "FROM line l"),
    ),
    guard(
        "claim_isolated: only what is isolated",
        "engine/claim::test_one_projects_flood_does_not_delay_anothers_first_step",
        ("claim_isolated", " AND s.isolate", ""),
    ),
    guard(
        "claim_isolated: epoch",
        "engine/direct::test_no_kind_of_claim_counts_in_another_epoch",
        ("claim_isolated", "p_epoch IS DISTINCT FROM (SELECT epoch FROM system)", "false"),
    ),
    guard(
        "claim: projects in turn",
        "engine/fairness::test_a_claim_reads_the_heads_of_the_projects_not_what_queues_behind_them",
        ("claim", "(ORDER BY turn, priority, not_before, id)", "(ORDER BY priority, not_before, id)"),
    ),
    guard(
        "claim: priorities",
        "engine/fairness::test_a_claim_reads_the_heads_of_the_projects_not_what_queues_behind_them",
        ("claim", "(ORDER BY turn, priority, not_before, id)", "(ORDER BY turn, not_before, id)"),
        ("claim", "ORDER BY h.priority, h.not_before, h.id", "ORDER BY h.not_before, h.id"),
        ("claim", "ORDER BY s.priority, s.not_before, s.id LIMIT", "ORDER BY s.not_before, s.id LIMIT"),
    ),
    guard(
        "claim: projects that hold their share",
        "engine/fairness::test_a_claim_takes_nothing_of_the_projects_that_hold_their_share",
        ("claim", "engine.halted() || p_full", "engine.halted()"),
    ),
    guard(
        "claim and take: what is halted",
        "engine/halts::test_claims_give_nothing_of_what_is_halted_until_it_is_released",
        ("claim", "engine.halted() || p_full", "p_full"),
        ("take", "v_halted uuid[] := engine.halted();", "v_halted uuid[] := '{}';"),
    ),
    guard(
        "take: only what is ready",
        "engine/direct::test_a_step_that_somebody_holds_is_not_taken",
        ("take", " AND s.status = 'ready'", ""),
    ),
    guard(
        "take: what is held back",
        "engine/direct::test_a_step_that_is_held_back_is_not_taken",
        ("take", " AND NOT s.held", ""),
    ),
    guard(
        "take: never waits",
        "engine/claim::test_two_claimers_never_wait_for_each_other_nor_share_a_step",
        ("take", "\n     FOR UPDATE SKIP LOCKED", "\n     FOR UPDATE"),
    ),
    guard(
        "take: a fresh token",
        "engine/claim::test_a_lapsed_step_goes_to_another_attempt_with_what_was_recorded",
        ("take", "claim_token = gen_random_uuid()", "claim_token = coalesce(s.run_id)"),
    ),
    guard(
        "take: no more than asked for",
        "engine/claim::test_two_claimers_never_wait_for_each_other_nor_share_a_step",
        ("take", " LIMIT p_limit", ""),
    ),
)
