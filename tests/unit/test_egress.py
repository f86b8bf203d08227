"""The guard of outgoing connections."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from sparkops.runtime.egress import Egress, EgressRefused, guarded_client, host_port, is_public, parse_allowed


@asynccontextmanager
async def server() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def get(url: str, egress: Egress) -> httpx2.Response:
    async with guarded_client(egress) as client:
        return await client.get(url)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
async def test_loopback_is_refused_in_every_spelling(host: str) -> None:
    async with server() as port:
        with pytest.raises(httpx2.ConnectError, match="private or local address"):
            await get(f"http://{host}:{port}/", Egress())


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.168.0.1", "172.16.9.9", "169.254.169.254", "100.64.0.1", "fe80::1"]
)
async def test_private_addresses_are_refused_and_the_sentence_says_how_to_allow_them(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(EgressRefused, match=r"SPARKOPS_EGRESS_ALLOW"):
        await Egress().addresses(host, 80)


async def test_what_the_operator_listed_is_reached_on_that_port_only() -> None:
    async with server() as port, server() as other:
        allowed = Egress(parse_allowed([f"127.0.0.1:{port}"]))
        assert (await get(f"http://127.0.0.1:{port}/", allowed)).text == "ok"
        with pytest.raises(httpx2.ConnectError):
            await get(f"http://127.0.0.1:{other}/", allowed)


async def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second lookup would get another answer, as from a server that changes it between check and use."""
    answers = iter(["127.0.0.1", "10.0.0.1"])

    async def look_up(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    async with server() as port:
        monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", look_up)
        allowed = Egress(parse_allowed([f"model.example:{port}"]))
        assert (await get(f"http://model.example:{port}/", allowed)).text == "ok"
    assert list(answers) == ["10.0.0.1"]


async def test_one_private_answer_among_public_ones_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", look_up)
    with pytest.raises(EgressRefused, match=r"10\.0\.0\.1"):
        await Egress().addresses("mixed.example", 80)


async def test_a_name_that_nobody_knows_is_no_refusal() -> None:
    with pytest.raises(httpx2.ConnectError, match="is not known"):
        await get("http://no-such-name.invalid/", Egress())


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("224.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:0a00:0001::1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", False),
        ("255.255.255.255", False),
    ],
)
def test_addresses_are_judged_by_what_they_lead_to(text: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(text)) is public


def test_urls_name_host_and_port() -> None:
    assert host_port("https://API.example.com/v1") == ("api.example.com", 443)
    assert host_port("http://localhost:8080") == ("localhost", 8080)
    with pytest.raises(ValueError, match="not an http"):
        host_port("file:///etc/passwd")
