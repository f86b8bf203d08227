"""What nobody knows until a person says it."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

DOUBT: Sequence[Guard] = (
    guard(
        "resolve: an uncertain step",
        "engine/resolve::test_a_second_answer_is_refused_and_says_how_the_step_stands",
        ("resolve", "IF v_step.status <> 'uncertain' THEN\n    RETURN", "IF false THEN\n    RETURN"),
    ),
    guard(
        "resolve: a call in doubt",
        "engine/resolve::test_only_members_resolve_and_only_steps_and_calls_that_are_there",
        ("resolve", "IF NOT v_meant <@ v_open THEN", "IF false THEN"),
    ),
    guard(
        "resolve: only the call that is meant",
        "engine/resolve::test_of_several_calls_the_answer_names_one_and_the_step_goes_on_after_the_last",
        ("resolve", "v_meant := ARRAY[(p ->> 'call_id')::uuid];", "v_meant := v_open;"),
    ),
    guard(
        "resolve: other calls in doubt",
        "engine/resolve::test_of_several_calls_the_answer_names_one_and_the_step_goes_on_after_the_last",
        ("resolve", "CASE WHEN NOT v_meant @> v_open THEN 'uncertain'\n                   WHEN", "CASE WHEN"),
    ),
)
