"""5,000 requests that the document allows and that it does not: none breaks the server, every answer is as it says.

`python -m tests.api.campaign` sends more of them.
"""

import pytest
from fastapi import FastAPI

from tests.api.conftest import Person
from tests.api.fuzz import fuzz

CASES = 5_000
PARTS = 5
SEED = 1


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
async def test_every_answer_is_as_the_document_says_and_nothing_breaks(app: FastAPI, ann: Person, part: int) -> None:
    cases = CASES // PARTS
    sent = await fuzz(app, ann, cases, number=SEED, part=part, parts=PARTS)
    assert not sent.wrong, "\n\n".join(sent.wrong.values())
    assert sent.sent.total() >= cases * 0.8, "some operations have nothing that could be wrong"
    assert sent.well > cases / 20, "most of it never got anywhere"


@pytest.mark.parametrize("since", ["0767-05-15T09:22:46Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
@pytest.mark.parametrize("path", ["decisions", "audit", "audit/security-events"])
async def test_a_moment_that_no_clock_will_show_is_refused(ann: Person, path: str, since: str) -> None:
    for name in ("since", "until"):
        answer = await ann.client.get(f"/api/v1/{path}", params={"project": "weather", name: since})
        assert answer.status_code == 422, answer.text


async def test_a_version_that_no_column_holds_is_refused(ann: Person) -> None:
    asked: dict[str, str | int] = {"project": "weather", "workflow": "report", "version": 2**63}
    assert (await ann.client.post("/api/v1/runs", json=asked)).status_code == 422
    assert (await ann.client.get("/api/v1/budgets/forecast", params=asked)).status_code == 422
