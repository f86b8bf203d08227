"""`Idempotency-Key` on every route that creates something: the same request with the same key creates it once.

The key is taken before the route runs, in a transaction of its own, and the answer is kept in the transaction of the
work, just before that commits: either both are there or none. Where a route's work commits by itself, in a function of
the engine, the answer is kept right after; a process that dies in between leaves a key that is free again after a
minute. Starting runs has a mechanism of its own, which is exact there too (`engine/accept.py`).

Only digests of keys and requests are stored, and answers sealed with the key: some show a secret, once.
"""

import hmac
import re
import secrets
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession

from sparkops.api.deps import door_of, get_principal
from sparkops.api.errors import KeyInUse, KeyReused
from sparkops.core.db import LOST_CONNECTION
from sparkops.core.errors import Conflict, Invalid
from sparkops.core.principal import Principal
from sparkops.domains.idempotency import queries
from sparkops.domains.idempotency.queries import Key, Taken

log = structlog.get_logger(__name__)

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
MAX_CHARS: Final = 200
PURGE_EVERY: Final = 100
"""So many keys after one another the process deletes those that have run out."""
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_CREATED: Final = 201
_GUARDED: Final = "sparkops_heeds_keys"
"""Routers are made once and included by every application."""
_MAX_OK: Final = 299
_NONCE_BYTES: Final = 12
_JSON: Final = "application/json"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_taken = count(1)


def creates(route: APIRoute) -> bool:
    """Say whether a route creates something and leaves keys to this module."""
    own = any(field.alias.lower() == HEADER.lower() for field in route.dependant.header_params)
    return "POST" in (route.methods or ()) and route.status_code == _CREATED and not own


def guard(router: APIRouter) -> None:
    """Make the creating routes of a router, all of which ask who is there, heed keys; before it is included."""
    for route in router.routes:
        if isinstance(route, APIRoute) and creates(route) and not hasattr(route, _GUARDED):
            _guard(route)
            setattr(route, _GUARDED, True)


def _guard(route: APIRoute) -> None:
    make = route.get_route_handler

    def guarded() -> Handler:
        handler = make()

        async def handle(request: Request) -> Response:
            key = request.headers.get(HEADER)
            return await (handler(request) if key is None else _Once(route, request, key).run(handler))

        return handle

    route.get_route_handler = guarded  # type: ignore[method-assign]  # called once more when a router is included


class _Once:
    """One request with a key."""

    def __init__(self, route: APIRoute, request: Request, key: str) -> None:
        if len(key) > MAX_CHARS or not _PRINTABLE.fullmatch(key):
            raise Invalid(f"{HEADER} has 1 to {MAX_CHARS} printable ASCII characters.")
        self._route = route
        self._request = request
        self._door = door_of(request)
        self._secret = self._door.signer.derive(b"sparkops idempotency keys")
        self._given = key.encode()

    async def run(self, handler: Handler) -> Response:
        """Answer the request, or as it was answered before.

        Raises:
            KeyReused: the key came with another request before.
            KeyInUse: the request that came with it first is not done yet.
        """
        pool = self._door.database.pool
        key = await self._key(await get_principal(self._request))
        claim = await queries.take(pool, key)
        if isinstance(claim, Taken):
            return self._again(key, claim)
        try:
            response = await handler(self._request)
            sealed = self._seal(key, bytes(response.body)) if response.status_code <= _MAX_OK else None
            session: AsyncSession | None = getattr(self._request.state, "session", None)
            if sealed is None:
                await queries.give_back(pool, key, claim)
            elif session is None:
                await queries.answer(pool, key, claim, status=response.status_code, answer=sealed)
            elif not await queries.answer_with(session, key, claim, status=response.status_code, answer=sealed):
                raise KeyInUse("This took so long that another request has the key now.", retry_after_seconds=1)
        except Exception:
            await self._give_back(key, claim)
            raise
        if next(_taken) % PURGE_EVERY == 0:
            await queries.purge(pool)
        return response

    async def _key(self, principal: Principal) -> Key:
        request = self._request
        asked = (request.method, request.scope["path"], request.scope["query_string"].decode("latin-1"))
        digest = hmac.new(self._secret, repr(asked).encode(), "sha256")
        digest.update(await request.body())
        return Key(
            actor=principal.key_id or principal.user_id,
            route=self._route.name,
            key_hash=hmac.digest(self._secret, self._given, "sha256"),
            request_hash=digest.digest(),
        )

    def _again(self, key: Key, taken: Taken) -> Response:
        if not hmac.compare_digest(taken.request_hash, key.request_hash):
            raise KeyReused("Take a new key for a new request; this one came with another request before.")
        if taken.status is None or taken.answer is None:
            raise KeyInUse("The request that came with this key first is not done yet.", retry_after_seconds=1)
        return Response(self._open(key, taken.answer), taken.status, {REPLAYED: "true"}, _JSON)

    def _cipher(self) -> AESGCM:
        return AESGCM(hmac.digest(self._secret, b"answer to " + self._given, "sha256"))

    def _seal(self, key: Key, body: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher().encrypt(nonce, body, self._about(key))

    def _open(self, key: Key, sealed: bytes) -> bytes:
        try:
            return self._cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._about(key))
        except InvalidTag:
            raise Conflict("The answer to this key cannot be read any more; look whether it was done.") from None

    @staticmethod
    def _about(key: Key) -> bytes:
        return b"|".join((key.actor.bytes, key.route.encode(), key.request_hash))

    async def _give_back(self, key: Key, claim: Any) -> None:
        try:
            await queries.give_back(self._door.database.pool, key, claim)
        except LOST_CONNECTION as error:
            log.warning("idempotency.key_kept", error=type(error).__name__)
