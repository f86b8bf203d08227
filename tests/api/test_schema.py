"""Requests that the document allows and requests that it does not, by the hundred: none breaks the server, and every
answer is as the document says. 500 in `make test`, 5,000 in the whole tier.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final, cast

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import content_type_conformance, load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sparkops.api.deps import Door
from sparkops.api.schema import document
from sparkops.core.clock import utc_now
from sparkops.domains.identity import service
from sparkops.domains.identity.models import User
from tests.api.conftest import ORIGIN, Person
from tests.api.things import make_things
from tests.tiers import WHOLE

CASES: Final = 5_000 if WHOLE else 500
SEED: Final = 1
UNSAFE: Final = {"signOut", "ready"}
"""What ends the session that everything else is asked with; and what answers 503 where there are no workers."""
OURS: Final = ("authorization", "host", "content-length")
"""Headers that the client writes."""
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


class Campaign:
    """Sends what is made up in a thread, from the loop in which the application lives."""

    def __init__(self, app: FastAPI, client: AsyncClient, values: dict[str, str]) -> None:
        self._client = client
        self._values = values
        self._loop = asyncio.get_running_loop()
        self._schema = schemathesis.openapi.from_dict(document(app))
        self.sent = 0
        self.well = 0
        self.wrong: dict[str, str] = {}

    def operations(self) -> Iterator[Any]:
        for result in self._schema.get_all_operations():
            operation: Any = result.ok()  # type: ignore[union-attr]  # a wrong document is an error anyway
            if operation.definition.raw["operationId"] not in UNSAFE:
                yield operation

    def play(self, cases: int) -> None:
        """Spread the cases over all operations, half of them with ids that exist, a third of them not valid."""
        operations = list(self.operations())
        each = max(1, round(cases / len(operations) / 3))
        for operation in operations:
            names = {one.name for one in operation.path_parameters}
            known = {name: self._values[name] for name in names if name in self._values}
            query = {"project": "weather"} if "project" in {one.name for one in operation.query} else {}
            real = {"path_parameters": known} if known else {}
            self._try(operation.as_strategy(GenerationMode.POSITIVE, query=query or None, **real), each)
            self._try(operation.as_strategy(GenerationMode.POSITIVE), each)
            self._try(operation.as_strategy(GenerationMode.NEGATIVE), each)

    def _try(self, strategy: Any, times: int) -> None:
        @seed(SEED)
        @settings(
            max_examples=times,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def one(case: Case[Any]) -> None:
            self._send(case)

        with suppress(Unsatisfiable):  # there is nothing in this operation that could be wrong
            one()

    def _send(self, case: Case[Any]) -> None:
        if isinstance(case.body, dict) and "project" in case.body and self.sent % 2:
            case.body["project"] = "weather"
        prepared = requests.Request(**_known(case.as_transport_kwargs(base_url=ORIGIN))).prepare()
        given = [(name.lower(), value) for name, value in prepared.headers.items()]
        headers = [one for one in given if one[0] not in OURS]
        asked = self._client.request(
            str(prepared.method), str(prepared.url), content=cast(Any, prepared.body), headers=cast(Any, headers)
        )
        answer: Response = asyncio.run_coroutine_threadsafe(asked, self._loop).result(30)
        self.sent += 1
        self.well += answer.status_code < 300
        self._check(case, answer)

    def _check(self, case: Case[Any], answer: Response) -> None:
        """Note what is wrong, the first of a kind, and go on."""
        try:
            case.validate_response(answer, checks=CHECKS)
        except BaseExceptionGroup as group:
            for error in group.exceptions:
                about = f"{case.operation.definition.raw['operationId']}: {type(error).__name__}"
                self.wrong.setdefault(about, f"{about}\n{error}\n{case.as_curl_command()}\n{answer.text[:500]}")


def _known(arguments: dict[str, Any]) -> dict[str, Any]:
    allowed = ("method", "url", "headers", "params", "data", "json", "cookies", "files")
    return {name: value for name, value in arguments.items() if name in allowed}


@pytest.mark.timeout(1_200)
async def test_every_answer_is_as_the_document_says_and_nothing_breaks(app: FastAPI, door: Door, ann: Person) -> None:
    load_all_checks()
    things = await make_things(ann, door)
    values = {name: str(value) for name, value in asdict(things).items()} | {"slug": "weather", "version": "1"}
    async with door.database.sessions.begin() as session:
        user = await session.get(User, ann.id)
        assert user is not None
        signed_in = await service.open_session(session, user=user, now=utc_now())
    token = door.signer.issue(user_id=ann.id, session_id=signed_in.session_id, now=utc_now())
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(
        transport=transport, base_url=ORIGIN, headers={"Authorization": f"Bearer {token}"}
    ) as client:
        campaign = Campaign(app, client, values)
        await asyncio.to_thread(campaign.play, CASES)
        assert (await client.get("/api/v1/me")).status_code == 200, "asked with a session until the end"
    assert not campaign.wrong, "\n\n".join(campaign.wrong.values())
    assert campaign.sent >= CASES * 0.8, "some operations have nothing that could be wrong"
    assert campaign.well > campaign.sent / 20, "most of it never got anywhere"
