"""What a connection may do to this process before a request is one: how long it may dawdle, how many there may be.

The server in front of the application waits for ever for a head that does not end, and for a reader that does not
read. Here each connection has clocks: for the head of a request, for the rest of a body after it was answered, and for
taking what was written. A WebSocket has its own limits (`subscriber.py`).
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sparkops.core.config import Settings

log = structlog.get_logger(__name__)

HEAD_SECONDS: Final = 10.0
"""For the whole head of a request, from the connection or from its first byte on."""
MAX_HEAD_BYTES: Final = 32 * 1024
FIELD_BYTES: Final = 32
"""What a field costs us besides its text, so that many empty ones are not for nothing."""
DISCARD_SECONDS: Final = 2.0
"""How long the rest of a body is taken, and thrown away, after the answer: who still sends can read the answer then."""
STALL_SECONDS: Final = 20.0
MIN_BYTES_PER_STALL: Final = 20 * 1024
"""Who takes less than this in `STALL_SECONDS` of what waits to be sent is cut off."""

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Crowd:
    """How many connections each address has."""

    def __init__(self, limit: int, proxies: Sequence[str]) -> None:
        self._limit = limit
        self._proxies = [ipaddress.ip_network(one) for one in proxies]
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count a connection, or return False: there are too many."""
        if self._open[address] >= self._limit and not self._is_proxy(address):
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)


class GuardedProtocol(HttpToolsProtocol):
    """The server's protocol with clocks. `protocol_for` makes the class that one server uses."""

    crowd: Crowd

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._counted: str | None = None
        self._in_head = True
        self._in_body = False
        self._head_bytes = self._field_bytes = 0
        self._clock: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else "unknown"
        if not self.crowd.enter(address):
            log.warning("connections.too_many", address=address)
            transport.abort()
            return
        self._counted = address
        self._wind(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        self._stop_clock()
        self._stop_writing()
        if self._counted is not None:
            self.crowd.leave(self._counted)
            self._counted = None

    def data_received(self, data: bytes) -> None:
        if not self._in_head and not self._in_body:
            self._begin_head()  # also of what is no head yet: line breaks alone would stop the server's own clock
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._field_bytes = 0
        if not self._in_head:
            self._begin_head()

    def _begin_head(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._wind(HEAD_SECONDS)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._field_bytes += len(name) + len(value) + FIELD_BYTES
        if self._field_bytes > MAX_HEAD_BYTES:
            raise ValueError("the head is too large")  # which the parser turns into a bad request
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        self._stop_clock()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body:
            self._wind(DISCARD_SECONDS)

    def handle_websocket_upgrade(self) -> None:
        self._leave()
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._stop_writing()
        super().resume_writing()

    def _watch_writing(self, size: int) -> None:
        self._writing = self.loop.call_later(STALL_SECONDS, self._look_at_writing, size)

    def _look_at_writing(self, before: int) -> None:
        size = self.transport.get_write_buffer_size()
        if before - size >= MIN_BYTES_PER_STALL:
            self._watch_writing(size)
        else:
            log.info("connections.slow_reader", waiting_bytes=size)
            self.transport.abort()

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _wind(self, seconds: float) -> None:
        self._stop_clock()
        self._clock = self.loop.call_later(seconds, self._cut)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _cut(self) -> None:
        self._clock = None
        self.transport.abort()


def protocol_for(settings: Settings) -> type[GuardedProtocol]:
    """Return the protocol of one server, with its count of connections."""
    crowd = Crowd(settings.max_connections_per_address, settings.trusted_proxies)

    class Guarded(GuardedProtocol):
        pass

    Guarded.crowd = crowd
    return Guarded
