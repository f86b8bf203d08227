"""The plainest client that there is, over one connection: what a client does is not the platform's time."""

import http.client
from typing import Any
from urllib.parse import urlsplit

from sparkops.core.json import dumps, loads


class PlainClient:
    """Asks the API and waits for the answer, blocking: for a driver that does nothing else meanwhile."""

    def __init__(self, url: str, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port or 0, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def get(self, path: str) -> bytes:
        """Return the body of the answer.

        Raises:
            RuntimeError: it is no success.
        """
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """Send JSON and return the JSON of the answer.

        Raises:
            RuntimeError: it is no success.
        """
        return loads(self._ask("POST", path, dumps(body)))

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        self._connection.request(method, f"/api/v1{path}", body, self._headers)
        answer = self._connection.getresponse()
        document = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"the API answered {answer.status} to {method} {path}: {document.decode()}")
        return document

    def close(self) -> None:
        """Hang up; the next request connects again."""
        self._connection.close()
