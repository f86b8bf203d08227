"""Clients that dawdle, crowd, or say too much, over real connections to the server as it is run."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn

from sparkops.api import connections
from sparkops.core.config import Settings
from tests.api.serving import Wire, app_of, serving, wire

GET = "GET /health/live HTTP/1.1\r\nHost: testserver\r\n\r\n"
POST = "POST /api/v1/auth/sign-in HTTP/1.1\r\nHost: testserver\r\nContent-Type: application/json\r\n"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update=getattr(request, "param", {}))


@pytest.fixture
async def served(settings: Settings) -> AsyncIterator[tuple[str, uvicorn.Server]]:
    async with serving(settings) as served:
        yield served


@pytest.fixture
def address(served: tuple[str, uvicorn.Server]) -> str:
    return served[0]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "DISCARD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "STALL_SECONDS", 0.5)


async def answers(address: str) -> bool:
    async with wire(address) as other:
        await other.say(GET)
        return (await other.head()).startswith("HTTP/1.1 200")


async def test_who_says_nothing_is_hung_up_on(address: str) -> None:
    async with wire(address) as silent:
        assert await silent.closed() == b""
    assert await answers(address)


async def test_who_never_ends_the_head_is_hung_up_on(address: str) -> None:
    """Slowloris: a header now and then, for ever."""
    async with wire(address) as slow:
        await slow.say("GET / HTTP/1.1\r\nHost: testserver\r\n")
        dripping = asyncio.create_task(drip(slow, "X-A: b\r\n"))
        assert await slow.closed() == b""
        dripping.cancel()


async def drip(slow: Wire, text: str) -> None:
    while True:
        await asyncio.sleep(0.1)
        try:
            await slow.say(text)
        except ConnectionError:
            return


async def test_line_breaks_do_not_keep_an_idle_connection(address: str) -> None:
    async with wire(address) as slow:
        await slow.say(GET)
        await slow.head()
        dripping = asyncio.create_task(drip(slow, "\r\n"))
        await slow.closed()
        dripping.cancel()


async def test_the_second_request_of_a_connection_has_a_clock_too(address: str) -> None:
    async with wire(address) as slow:
        await slow.say(GET)
        await slow.head()
        await slow.say("GET / HT")
        await slow.closed()


async def test_a_slow_head_among_many_keeps_nobody_waiting(address: str) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(test_who_never_ends_the_head_is_hung_up_on(address))
        for _ in range(5):
            assert await answers(address)


async def test_a_head_has_an_end(address: str) -> None:
    async with wire(address) as large:
        await large.say("GET / HTTP/1.1\r\nHost: testserver\r\nX-A: ")
        await large.say("a" * (connections.MAX_HEAD_BYTES + 1))
        assert (await large.closed()).startswith(b"HTTP/1.1 431")
    async with wire(address) as many:
        await many.say("GET / HTTP/1.1\r\nHost: testserver\r\n" + "X-A: b\r\n" * 8_000 + "\r\n")
        assert (await many.closed())[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"")


async def test_a_body_of_a_gigabyte_is_refused_before_it_comes(address: str) -> None:
    async with wire(address) as large:
        await large.say(POST + f"Content-Length: {1 << 30}\r\n\r\n")
        head = await large.head()
        assert head.startswith("HTTP/1.1 413")
        await large.closed()
    async with wire(address) as absurd:
        await absurd.say(POST + f"Content-Length: {'9' * 60}\r\n\r\n")
        assert (await absurd.closed())[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 413")


async def test_what_is_still_sent_after_the_answer_is_thrown_away_and_not_for_long(address: str) -> None:
    async with wire(address) as large:
        await large.say(POST + f"Content-Length: {1 << 30}\r\n\r\n")
        await large.head()
        dripping = asyncio.create_task(drip(large, "x" * 1_000))
        await large.closed()
        dripping.cancel()


async def test_a_get_cannot_hold_a_connection_by_a_body_that_nobody_reads(address: str) -> None:
    async with wire(address) as slow:
        await slow.say("GET /health/live HTTP/1.1\r\nHost: testserver\r\nContent-Length: 1000000\r\n\r\n")
        assert (await slow.head()).startswith("HTTP/1.1 200")
        dripping = asyncio.create_task(drip(slow, "x"))
        await slow.closed()
        dripping.cancel()


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: testserver\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: testserver\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: testserver\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: testserver\r\nContent-Length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: testserver\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: testserver\r\nX-A : b\r\n\r\n",
        "GET / HTTP/1.1\nHost: testserver\nX-A\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: testserver\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_servers_in_a_row_may_read_differently_is_refused(address: str, head: str) -> None:
    """Request smuggling, and things that are no HTTP at all."""
    async with wire(address) as odd:
        await odd.say(head)
        said = await odd.closed()
        assert said[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 421", b""), said[:100]
        assert b"HTTP/1.1 200" not in said


@pytest.mark.parametrize("settings", [{"max_connections_per_address": 3}], indirect=True)
async def test_one_address_may_have_so_many_connections(address: str) -> None:
    async with wire(address) as one, wire(address) as two, wire(address) as three:
        for each in (one, two, three):
            await each.say(GET)
            assert (await each.head()).startswith("HTTP/1.1 200")
        async with wire(address) as fourth:
            assert await fourth.closed() == b""
    await asyncio.sleep(0.2)
    assert await answers(address), "who leaves makes room"


@pytest.mark.parametrize(
    "settings", [{"max_connections_per_address": 1, "trusted_proxies": ("127.0.0.0/8",)}], indirect=True
)
async def test_a_proxy_that_is_trusted_may_have_more(address: str) -> None:
    async with wire(address), wire(address), wire(address):
        assert await answers(address)


@pytest.mark.parametrize("settings", [{"max_connections": 10}], indirect=True)
async def test_beyond_all_connections_requests_are_put_off(address: str) -> None:
    opened = [await asyncio.open_connection(*address.split(":")) for _ in range(12)]
    try:
        async with wire(address) as late:
            await late.say(GET)
            assert (await late.head()).startswith("HTTP/1.1 503")
    finally:
        for _, writer in opened:
            writer.close()


async def test_who_does_not_read_the_answer_is_cut_off(
    address: str, served: tuple[str, uvicorn.Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _, port = address.partition(":")
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.connect((host, int(port)))
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        ask = b"GET /api/openapi.json HTTP/1.1\r\nHost: testserver\r\n\r\n"
        await loop.sock_sendall(deaf, ask * 100)
        async with asyncio.timeout(20):
            while not served[1].server_state.connections:
                await asyncio.sleep(0.05)
            while served[1].server_state.connections:
                await asyncio.sleep(0.05)
    assert await answers(address)


async def test_only_a_trusted_proxy_says_where_a_request_comes_from(settings: Settings) -> None:
    lie = GET.replace("/health/live", "/api/v1/me").replace("\r\n\r\n", "\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")
    for trusted, expected in (((), "127.0.0.1"), (("127.0.0.1",), "9.9.9.9")):
        changed = settings.model_copy(update={"trusted_proxies": trusted})
        async with serving(changed) as (address, server), wire(address) as one:
            await one.say(lie)
            await one.head()
            assert list(app_of(server).state.door.rates._counts) == [f"read:address:{expected}"]
