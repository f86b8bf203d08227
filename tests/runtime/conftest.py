"""A model server that nobody here wrote, from its own environment, on a free port."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PEERS = Path(__file__).parents[2] / ".venv-peers" / "bin"
START_SECONDS = 30.0


@dataclass(frozen=True)
class Peer:
    """The server, and what it can be told to do to its clients."""

    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def break_next(self, **behavior: Any) -> None:
        """Queue a fault for the next request."""
        self.call("/_llmock/scenario", {"behaviors": [behavior]})

    def requests(self) -> list[dict[str, Any]]:
        return list(self.call("/_llmock/requests")["requests"])

    def findings(self) -> list[str]:
        """Return what the server holds against its client."""
        return [f"{found['severity']} {found['code']}" for found in self.call("/_llmock/verdict")["findings"]]

    def call(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=10) as answer:
            return json.loads(answer.read() or b"null")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(peer: Peer, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            peer.call("/health")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the model server did not start (exit code {process.poll()})")


@pytest.fixture(scope="session")
def peer_server() -> Iterator[Peer]:
    program = PEERS / "llmock"
    if not program.exists():
        why = "install tests/peers/requirements.lock into .venv-peers"
        if os.environ.get("CI"):
            pytest.fail(f"the model server is missing: {why}")
        pytest.skip(why)
    peer = Peer(_free_port())
    process = subprocess.Popen(
        [str(program), "serve", "-p", str(peer.port), "--log-level", "error"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_up(peer, process)
        yield peer
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def peer(peer_server: Peer) -> Peer:
    """The server with no faults queued and nothing remembered."""
    peer_server.call("/_llmock/reset", {})
    return peer_server
