"""A small client of the public API: commands, the example and the demo use the platform as anybody would."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from sparkops.core.errors import SparkOpsError, Unauthenticated

TIMEOUT_SECONDS = 15.0
IDLE_SECONDS = 2.0
"""Less than the API keeps an idle connection, which is five: none is used in the moment in which it is closed."""
PAGE = "200"
"""The largest page that lists give."""


class ApiRefused(SparkOpsError):
    """The API did not do what was asked; `detail` says why, with every mistake it named. `status` is that of HTTP."""

    code, title = "api-refused", "The API refused"

    def __init__(self, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.status = status


class ApiClient:
    """One signed-in person."""

    def __init__(self, base_url: str, *, token: str | None = None, transport: Any = None) -> None:
        self.url = base_url
        self._http = httpx2.AsyncClient(
            base_url=f"{base_url}/api/v1",
            timeout=TIMEOUT_SECONDS,
            limits=httpx2.Limits(keepalive_expiry=IDLE_SECONDS),
            trust_env=False,
            transport=transport,
        )
        self.token: str | None = None
        if token is not None:
            self.use(token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def sign_in(self, email: str, password: str) -> Mapping[str, Any]:
        """Sign in; later requests carry the access token.

        Raises:
            ApiRefused: the address or the password is wrong.
            Unauthenticated: there is a second factor, which only pages ask for.
        """
        answer: Mapping[str, Any] = await self.post("/auth/sign-in", {"email": email, "password": password})
        if "access_token" not in answer:
            raise Unauthenticated("This account has a second factor; use an API key instead of its password.")
        self.use(answer["access_token"])
        return answer

    def use(self, token: str) -> None:
        """Let later requests carry this access token."""
        self.token = token
        self._http.headers["Authorization"] = f"Bearer {token}"

    async def get(self, path: str, **query: str) -> Any:
        """Return the answer's document."""
        return await self._ask("GET", path, params=query)

    async def every(self, path: str, **query: str) -> list[Any]:
        """Return the items of all pages of a list."""
        items: list[Any] = []
        page = await self.get(path, limit=PAGE, **query)
        while True:
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            page = await self.get(path, limit=PAGE, cursor=page["next_cursor"], **query)

    async def exists(self, path: str) -> bool:
        """Say whether there is something at this path."""
        return (await self._http.get(path)).status_code != httpx2.codes.NOT_FOUND

    async def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return await self._ask("POST", path, json=body, headers=dict(headers or {}))

    async def put(self, path: str, body: Any) -> Any:
        return await self._ask("PUT", path, json=body)

    async def patch(self, path: str, body: Any) -> Any:
        return await self._ask("PATCH", path, json=body)

    async def content(self, path: str) -> bytes:
        """Return the bytes of a file."""
        response = await self._http.get(path)
        response.raise_for_status()
        return response.content

    async def _ask(self, method: str, path: str, **request: Any) -> Any:
        """Return the document of an answer; every method but `exists` and `content` ends here.

        Raises:
            ApiRefused: it says no, or something else than the API answered.
            httpx2.TransportError: nobody answered.
        """
        response = await self._http.request(method, path, **request)
        if response.is_success:
            return response.json() if response.content else None
        try:
            problem = response.json()
            errors = "; ".join(f"{one.get('path', '')}: {one['message']}" for one in problem.get("errors", []))
            detail = f"{problem['title']}: {problem['detail']}{' ' + errors if errors else ''}"
        except (ValueError, KeyError, TypeError):
            detail = f"The API answered {response.status_code} to {response.request.url.path}."
        raise ApiRefused(detail, response.status_code)
