"""Requests that the document allows and requests that it does not, and what is wrong with the answers."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from random import Random
from typing import Any, Final, cast

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

UNSAFE: Final = {"signOut", "ready"}
"""What ends the session that everything else is asked with; and what answers 503 where there are no workers."""
OURS: Final = ("authorization", "host", "content-length")
"""Headers that the client writes."""
ANSWER_SECONDS: Final = 60
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

load_all_checks()


class Fuzz:
    """Sends what is made up in a thread, from the loop in which the application lives."""

    def __init__(
        self, app: FastAPI, client: AsyncClient, token: Callable[[], str], values: dict[str, str], *, number: int
    ) -> None:
        self._client = client
        self._token = token
        self._values = values
        self._number = number
        self._loop = asyncio.get_running_loop()
        self._schema = schemathesis.openapi.from_dict(document(app))
        self.sent: Counter[str] = Counter()
        """How many requests, by operation."""
        self.statuses: Counter[int] = Counter()
        self.wrong: dict[str, str] = {}
        """The first of each kind of what is wrong."""

    @property
    def well(self) -> int:
        """How many requests were carried out."""
        return sum(times for status, times in self.statuses.items() if status < 300)

    def operations(self) -> Iterator[Any]:
        for result in self._schema.get_all_operations():
            operation: Any = result.ok()  # type: ignore[union-attr]  # a wrong document is an error anyway
            if _name(operation) not in UNSAFE:
                yield operation

    def play(self, cases: int, part: int = 0, parts: int = 1) -> None:
        """Spread the cases over the operations of a part: a third has ids that exist, a third is not valid."""
        operations = sorted(self.operations(), key=_name)[part::parts]
        Random(self._number).shuffle(operations)
        rounds = max(1, round(cases / len(operations) / 3))
        for operation in operations:
            self._client.headers["Authorization"] = f"Bearer {self._token()}"
            names = {one.name for one in operation.path_parameters}
            known = {name: self._values[name] for name in names if name in self._values}
            query = {"project": "weather"} if "project" in {one.name for one in operation.query} else {}
            real = {"path_parameters": known} if known else {}
            self._try(operation.as_strategy(GenerationMode.POSITIVE, query=query or None, **real), rounds)
            self._try(operation.as_strategy(GenerationMode.POSITIVE), rounds)
            self._try(operation.as_strategy(GenerationMode.NEGATIVE), rounds)

    def _try(self, strategy: Any, times: int) -> None:
        @seed(self._number)
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
        if isinstance(case.body, dict) and "project" in case.body and self.sent.total() % 2:
            case.body["project"] = "weather"
        prepared = requests.Request(**_known(case.as_transport_kwargs(base_url=ORIGIN))).prepare()
        given = [(name.lower(), value) for name, value in prepared.headers.items()]
        headers = [one for one in given if one[0] not in OURS]
        asked = self._client.request(
            str(prepared.method), str(prepared.url), content=cast(Any, prepared.body), headers=cast(Any, headers)
        )
        answer: Response = asyncio.run_coroutine_threadsafe(asked, self._loop).result(ANSWER_SECONDS)
        self.sent[_name(case.operation)] += 1
        self.statuses[answer.status_code] += 1
        self._check(case, answer)

    def _check(self, case: Case[Any], answer: Response) -> None:
        """Note what is wrong, the first of a kind, and go on."""
        try:
            case.validate_response(answer, checks=CHECKS)
        except BaseExceptionGroup as group:
            for error in group.exceptions:
                about = f"{_name(case.operation)}: {type(error).__name__}"
                self.wrong.setdefault(about, f"{about}\n{error}\n{case.as_curl_command()}\n{answer.text[:500]}")


async def fuzz(app: FastAPI, ann: Person, cases: int, *, number: int, part: int = 0, parts: int = 1) -> Fuzz:
    """Send so many requests in the name of ann, who owns a project with one of everything.

    `number` says which ones they are; `part` of `parts`: to which operations.
    """
    door: Door = app.state.door
    things = await make_things(ann, door)
    values = {name: str(value) for name, value in asdict(things).items()} | {"slug": "weather", "version": "1"}
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with door.database.sessions.begin() as session:
        user = await session.get(User, ann.id)
        assert user is not None
        signed_in = await service.open_session(session, user=user, now=utc_now())

    def token() -> str:
        return door.signer.issue(user_id=ann.id, session_id=signed_in.session_id, now=utc_now())

    async with AsyncClient(transport=transport, base_url=ORIGIN) as client:
        sender = Fuzz(app, client, token, values, number=number)
        await asyncio.to_thread(sender.play, cases, part, parts)
        assert (await client.get("/api/v1/me")).status_code == 200, "asked with a session until the end"
    return sender


def _name(operation: Any) -> str:
    return str(operation.definition.raw["operationId"])


def _known(arguments: dict[str, Any]) -> dict[str, Any]:
    allowed = ("method", "url", "headers", "params", "data", "json", "cookies", "files")
    return {name: value for name, value in arguments.items() if name in allowed}
