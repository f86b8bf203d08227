"""What is delivered to others."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

OUTBOX: Sequence[Guard] = (
    guard(
        "claim_outbox: what others hold",
        "engine/outbox::test_entries_are_handed_out_in_order_and_to_one_at_a_time",
        ("claim_outbox", "       AND (o.lease_expires_at IS NULL OR o.lease_expires_at < clock_timestamp())\n", ""),
    ),
    guard(
        "claim_outbox: epoch",
        "engine/outbox::test_a_worker_of_another_epoch_gets_no_entries",
        ("claim_outbox", "p_epoch IS DISTINCT FROM (SELECT epoch FROM system)", "false"),
    ),
    guard(
        "close_outbox: the token of a delivery",
        "engine/outbox::test_who_lost_its_lease_can_no_longer_say_what_became_of_it",
        (
            "close_outbox",
            "WHERE id = ANY (p_ids) AND claim_token = p_token AND status",
            "WHERE id = ANY (p_ids) AND status",
        ),
    ),
    guard(
        "close_outbox: the token of a failure",
        "engine/outbox::test_who_lost_its_lease_can_no_longer_say_what_became_of_it",
        ("close_outbox", "AND o.claim_token = p_token AND o.status", "AND o.status"),
    ),
    guard(
        "redrive: only what is dead",
        "engine/outbox::test_what_used_its_attempts_is_dead_and_a_person_may_send_it_again",
        ("redrive", "IF v_entry.status = 'dead' THEN", "IF true THEN"),
    ),
)
