"""Consent of several people lets out what they agreed to, and each of its guards is needed."""

import pytest

from tests.model.checker import explore
from tests.model.consent import MUTANTS, Consent


def test_what_is_sent_is_what_enough_people_agreed_to() -> None:
    report = explore(Consent())
    assert report.broken == {}
    assert {"0 changes it", "1 agrees", "ask anew", "judge again", "send", "0 says no"} <= report.seen
    assert "its worker is lost" in report.seen


@pytest.mark.parametrize("without", MUTANTS)
def test_consent_without_this_guard_is_wrong(without: str) -> None:
    assert MUTANTS[without] in explore(Consent(without)).broken
