"""The step protocol keeps its promises in every reachable state, and each of its guards is needed."""

import pytest

from tests.model.checker import explore
from tests.model.steps import ASYNC_MUTANTS, MUTANTS, Steps


def test_the_step_protocol_keeps_every_promise() -> None:
    report = explore(Steps())
    assert report.broken == {}
    assert report.states > 1_000


def test_claims_need_not_be_flushed_because_tokens_are_random() -> None:
    assert explore(Steps(async_claim=True)).broken == {}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_this_guard_the_promise_is_broken(mutant: str) -> None:
    assert MUTANTS[mutant] in explore(Steps(mutant), until=MUTANTS[mutant]).broken


@pytest.mark.parametrize("mutant", ASYNC_MUTANTS)
def test_unflushed_claims_without_this_guard_break_the_promise(mutant: str) -> None:
    report = explore(Steps(mutant, async_claim=True), until=ASYNC_MUTANTS[mutant])
    assert ASYNC_MUTANTS[mutant] in report.broken
