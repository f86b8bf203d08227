"""Bodies of requests: read whole before anything looks at them, up to a size, within a time, and as plain JSON only."""

import asyncio
import re
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from sparkops.api.errors import TooDeep, TooSlow, UnsupportedMediaType
from sparkops.core.errors import Invalid, TooLarge

MAX_BODY_BYTES: Final = 1 << 20
MAX_RUN_BODY_BYTES: Final = 16 << 20
"""An input of 10 MiB, with room for the spaces and escapes that clients write."""
MAX_WORKFLOW_BODY_BYTES: Final = 3 << 20
"""A definition of 1 MiB, likewise."""
MAX_DEPTH: Final = 64
"""Of arrays and objects in each other."""

STALL_SECONDS: Final = 10.0
"""How long a body may stand still."""
PATIENCE_SECONDS: Final = 15.0
BYTES_PER_SECOND: Final = 128 * 1024
"""A body may take that long, and a second more for so many bytes of its limit."""

_INPUT_PATHS = re.compile(r"/api/v1/runs(/[^/]+/(fork|rerun))?")
_WORKFLOWS_PATH = "/api/v1/workflows"

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""Also one that does not end: what did not match would be tried again from each of its quotes."""
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_AS_ROUND = bytes.maketrans(b"{}", b"[]")


class NotUtf8(Invalid):
    code, title = "not-utf-8", "JSON is sent as UTF-8"


def limit_of(path: str) -> int:
    """Return how many bytes a body for this path may have."""
    if _INPUT_PATHS.fullmatch(path):
        return MAX_RUN_BODY_BYTES
    return MAX_WORKFLOW_BODY_BYTES if path.startswith(_WORKFLOWS_PATH) else MAX_BODY_BYTES


async def read(scope: Scope, receive: Receive) -> bytes:
    """Return the body.

    Raises:
        TooLarge: it has more bytes than it may, or says so.
        TooSlow: it stood still, or took too long in all.
    """
    limit = limit_of(scope["path"])
    declared = Headers(scope=scope).get("content-length", "0")
    if not declared.isdigit() or len(declared) > len(str(1 << 63)) or int(declared) > limit:
        raise TooLarge(f"The body may have {limit} bytes, not {declared[:20]}.", limit_bytes=limit)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS + limit / BYTES_PER_SECOND):
            return await _read_up_to(limit, receive)
    except TimeoutError:
        raise TooSlow("The body came too slowly; send the request again.") from None


async def _read_up_to(limit: int, receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        async with asyncio.timeout(STALL_SECONDS):
            message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The body may have {limit} bytes; this one has more.", limit_bytes=limit)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that gives the body once and then what the server has to say."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return pending.pop() if pending else await receive()

    return receive_again


def check(scope: Scope, body: bytes) -> None:
    """Do nothing for a body that is declared as JSON, is UTF-8, and is not nested too deep.

    Raises:
        UnsupportedMediaType: it is declared as something else, or packed.
        NotUtf8: it is in another encoding, which the checks behind this one would not read.
        TooDeep: its arrays and objects are nested deeper than `MAX_DEPTH`.
    """
    _check_declared(Headers(scope=scope))
    try:
        body.decode()
    except UnicodeDecodeError:
        raise NotUtf8("The body is not valid UTF-8.") from None
    if b"\0" in body or body.startswith(b"\xef\xbb\xbf"):
        raise NotUtf8("The body is not plain UTF-8: it has a byte order mark, or bytes of 0.")
    if is_deeper(body, MAX_DEPTH):
        raise TooDeep(f"Arrays and objects may be nested {MAX_DEPTH} deep.")


def _check_declared(headers: Headers) -> None:
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType()
    charset = parameters.strip().lower()
    if charset and charset.replace('"', "").replace(" ", "") != "charset=utf-8":
        raise UnsupportedMediaType("JSON is sent as UTF-8, without other parameters of its type.")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is: nothing is unpacked here.")


def is_deeper(body: bytes, depth: int) -> bool:
    """Say whether JSON text is nested deeper than this. Text that is no JSON may be said to be.

    Innermost pairs are taken out, one level a pass, by operations that go over the bytes at once.
    """
    if body.count(b"[") + body.count(b"{") <= depth:
        return False
    brackets = _STRING.sub(b"", body).translate(_AS_ROUND, _NO_BRACKET)
    too_many = b"[" * (depth + 1)
    for _ in range(depth):
        if too_many in brackets:
            return True
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return len(brackets) > 0
