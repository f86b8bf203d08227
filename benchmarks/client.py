"""A process that submits runs as fast as the API takes them: `python -m benchmarks.client`, one JSON argument.

The argument: {port, token, project, workflow, runs, connections}. It prints one JSON object: {begun, latencies_ms},
`begun` in seconds of the system's clock. Its own process, and the plainest client that the standard library has, so
that the driver's work is not counted as the platform's.
"""

import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator


class _Numbers:
    """Counts for all threads together."""

    def __init__(self, limit: int) -> None:
        self._left: Iterator[int] = iter(range(limit))
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            return next(self._left, None) is not None


def _submit(given: dict[str, str], numbers: _Numbers, latencies: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(given["port"]), timeout=60)
    body = json.dumps({"project": given["project"], "workflow": given["workflow"]})
    headers = {"Authorization": f"Bearer {given['token']}", "Content-Type": "application/json"}
    while numbers.take():
        begun = time.perf_counter()
        connection.request("POST", "/api/v1/runs", body, headers)
        answer = connection.getresponse()
        document = answer.read()
        if answer.status != 201:
            raise SystemExit(f"the API answered {answer.status}: {document.decode()}")
        latencies.append((time.perf_counter() - begun) * 1000)
    connection.close()


def main() -> None:
    given = json.loads(sys.argv[1])
    numbers, latencies = _Numbers(int(given["runs"])), list[float]()
    threads = [
        threading.Thread(target=_submit, args=(given, numbers, latencies)) for _ in range(int(given["connections"]))
    ]
    begun = time.time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps({"begun": begun, "latencies_ms": latencies}))


if __name__ == "__main__":
    main()
