"""However voices are given away, a question can still be agreed to, and each of the guards is needed."""

import pytest

from tests.model.checker import explore
from tests.model.voices import MUTANTS, Voices


@pytest.mark.parametrize("quorum", [1, 2])
def test_whatever_people_do_with_their_voices_enough_of_them_can_agree(quorum: int) -> None:
    report = explore(Voices(quorum))
    assert report.broken == {}
    assert {"0 gives to the role", "0 gives to 2", "2 gives to 0", "2 finds nobody"} <= report.seen
    assert ("0 is refused" in report.seen) == (quorum == 2)


@pytest.mark.parametrize("without", MUTANTS)
def test_voices_without_this_guard_are_lost(without: str) -> None:
    assert MUTANTS[without] in explore(Voices(2, without)).broken | explore(Voices(1, without)).broken
