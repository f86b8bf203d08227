"""The step protocol keeps its promises in every reachable state, and each of its guards is needed."""

import pytest

from tests.model.checker import explore
from tests.model.steps import ASYNC_MUTANTS, ENOUGH, MUTANTS, Steps


def test_the_step_protocol_keeps_every_promise() -> None:
    report = explore(Steps())
    assert report.broken == {}
    assert report.states > 1_000


def test_claims_need_not_be_flushed_because_tokens_are_random() -> None:
    assert explore(Steps(async_claim=True)).broken == {}


@pytest.mark.parametrize("without", ENOUGH, ids="; ".join)
def test_one_of_two_guards_is_enough(without: tuple[str, ...]) -> None:
    assert explore(Steps(*without)).broken == {}


@pytest.mark.parametrize(("without", "promise"), MUTANTS.items(), ids=map("; ".join, MUTANTS))
def test_without_its_guard_a_promise_is_broken(without: tuple[str, ...], promise: str) -> None:
    assert promise in explore(Steps(*without), until=promise).broken


@pytest.mark.parametrize(("without", "promise"), ASYNC_MUTANTS.items())
def test_claims_that_are_not_flushed_need_random_tokens(without: tuple[str, ...], promise: str) -> None:
    assert promise in explore(Steps(*without, async_claim=True), until=promise).broken
