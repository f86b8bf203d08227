"""A small client of the public API, for the example and the demo: they use the platform as anybody would."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from sparkops.local.errors import StartError

TIMEOUT_SECONDS = 15.0


class ApiClient:
    """One signed-in person."""

    def __init__(self, base_url: str) -> None:
        self.url = base_url
        self.token: str | None = None
        self._http = httpx2.AsyncClient(base_url=f"{base_url}/api/v1", timeout=TIMEOUT_SECONDS, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def sign_in(self, email: str, password: str) -> Mapping[str, Any]:
        """Sign in; later requests carry the access token.

        Raises:
            StartError: the address or the password is wrong.
        """
        answer: Mapping[str, Any] = await self.post("/auth/sign-in", {"email": email, "password": password})
        self.token = answer["access_token"]
        self._http.headers["Authorization"] = f"Bearer {self.token}"
        return answer

    async def get(self, path: str, **query: str) -> Any:
        """Return the answer's document."""
        return _document(await self._http.get(path, params=query))

    async def exists(self, path: str) -> bool:
        """Say whether there is something at this path."""
        return (await self._http.get(path)).status_code != httpx2.codes.NOT_FOUND

    async def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return _document(await self._http.post(path, json=body, headers=dict(headers or {})))

    async def put(self, path: str, body: Any) -> Any:
        return _document(await self._http.put(path, json=body))

    async def content(self, path: str) -> bytes:
        """Return the bytes of a file."""
        response = await self._http.get(path)
        response.raise_for_status()
        return response.content


def _document(response: httpx2.Response) -> Any:
    if response.is_success:
        return response.json() if response.content else None
    try:
        problem = response.json()
    except ValueError:
        raise StartError(f"The API answered {response.status_code} to {response.request.url.path}.") from None
    errors = "; ".join(f"{one.get('path', '')}: {one['message']}" for one in problem.get("errors", []))
    raise StartError(f"{problem['title']}: {problem['detail']}{' ' + errors if errors else ''}")
