"""Asking an OpenID provider: for what it says of itself, its keys, and tokens. Everything passes the egress guard.

What was begun with a browser is kept in that browser alone, in a cookie that only we can write: the state that the
provider gives back, the nonce that stands in the ID token, and the verifier without which the code is worth nothing.
So an answer counts only in the browser that asked, and only for ten minutes.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import httpx2
import jwt

from sparkops.core import json
from sparkops.core.config import Oidc, Settings
from sparkops.core.errors import ConfigError
from sparkops.domains.identity.oidc import (
    Claims,
    Provider,
    ProviderFault,
    UnknownKey,
    check_id_token,
    merge_userinfo,
    read_claims,
    read_keys,
    read_provider,
)
from sparkops.runtime.egress import Egress, guarded_client, parse_allowed

CALLBACK: Final = "/api/v1/auth/oidc/callback"
LEFT: Final = "/login"
"""Where the provider sends people back to who have signed out there; it wants to know the whole address beforehand."""
DISCOVERY: Final = "/.well-known/openid-configuration"
FLOW_LIFETIME: Final = timedelta(minutes=10)
KNOWN_SECONDS: Final = 3_600.0
"""How long what the provider says of itself is taken for true."""
TROUBLE_SECONDS: Final = 3.0
"""How long it is left alone after it did not answer: who comes meanwhile is not kept waiting for it."""
KEYS_AGAIN_SECONDS: Final = 10.0
"""How often its keys are asked for because of a token that names another one: anybody can make up such tokens."""
TIMEOUT_SECONDS: Final = 10.0
LEAVING_SECONDS: Final = 3.0
"""How long somebody who signs out, and is out here by then, is kept waiting for the provider."""
MAX_BYTES: Final = 1 << 20
_FLOW_KEY: Final = b"sparkops sign-in at an OpenID provider"
_FLOW_AUDIENCE: Final = "sparkops-oidc"
_RANDOM_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in that a browser has begun. `next`: the page it wants to come back to."""

    state: str
    nonce: str
    verifier: str
    next: str


def begin(next_page: str) -> Flow:
    """Return a new sign-in."""
    state, nonce, verifier = (secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3))
    return Flow(state, nonce, verifier, next_page)


class FlowBox:
    """Writes what a browser has begun into a cookie and reads it back. The key is made of the one for access tokens."""

    def __init__(self, secret_key: str) -> None:
        self._key = hmac.digest(secret_key.encode(), _FLOW_KEY, "sha256")

    def close(self, flow: Flow, *, now: datetime) -> str:
        """Return the cookie's value."""
        claims = {
            "aud": _FLOW_AUDIENCE,
            "exp": now + FLOW_LIFETIME,
            "state": flow.state,
            "nonce": flow.nonce,
            "verifier": flow.verifier,
            "next": flow.next,
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def open(self, cookie: str | None, state: str) -> Flow | None:
        """Return what this browser has begun; None: nothing, too long ago, or not what the answer belongs to."""
        try:
            claims = jwt.decode(
                cookie or "", self._key, algorithms=["HS256"], audience=_FLOW_AUDIENCE, options={"require": ["exp"]}
            )
            flow = Flow(*(str(claims[name]) for name in ("state", "nonce", "verifier", "next")))
        except (jwt.PyJWTError, KeyError, ValueError):
            return None
        return flow if hmac.compare_digest(flow.state.encode(), state.encode()) else None


class OidcDoor:
    """The way to one provider. It is asked for the first time when somebody wants to sign in there."""

    def __init__(self, settings: Oidc, *, public_url: str, secret_key: str, client: httpx2.AsyncClient) -> None:
        self.settings = settings
        self.flows = FlowBox(secret_key)
        self.redirect_uri = public_url.rstrip("/") + CALLBACK
        self.left_uri = public_url.rstrip("/") + LEFT
        self._client = client
        self._asking = asyncio.Lock()
        self._provider: tuple[Provider | ProviderFault, float] | None = None
        self._keys: tuple[Sequence[Mapping[str, Any]], float] | None = None

    async def close(self) -> None:
        await self._client.aclose()

    async def address_of(self, flow: Flow) -> str:
        """Return where to send the browser.

        Raises:
            ProviderFault: the provider does not answer, or not as it should.
        """
        provider = await self.provider()
        challenge = hashlib.sha256(flow.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(self.settings.scopes),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in provider.authorization_endpoint else "?"
        return provider.authorization_endpoint + joint + urlencode(query)

    async def leaving_address(self) -> str | None:
        """Return where to send a browser that has signed out here, to end its session at the provider too, which asks
        whether it should and sends it back to the sign-in page. None: the provider has no such place, does not answer
        in time, or the settings do not want it.

        No ID token is sent along as a hint: it would have to be kept, and would stand in the browser's history.
        """
        if not self.settings.end_session:
            return None
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                provider = await self.provider()
        except (ProviderFault, TimeoutError):
            return None
        if provider.end_session_endpoint is None:
            return None
        query = {"client_id": self.settings.client_id, "post_logout_redirect_uri": self.left_uri}
        joint = "&" if "?" in provider.end_session_endpoint else "?"
        return provider.end_session_endpoint + joint + urlencode(query)

    async def claims_of(self, flow: Flow, *, code: str, issuer: str | None) -> Claims:
        """Exchange a code for who signed in. `issuer`: who, by the answer's own word, has given the code.

        Raises:
            ProviderFault: the code is of another provider, not good, or the ID token is not one for us.
        """
        provider = await self.provider()
        if issuer is None and provider.names_itself:
            raise ProviderFault("The answer does not say which provider it comes from, though this one always does.")
        if issuer is not None and issuer != provider.issuer:
            raise ProviderFault("The answer comes from another provider.")
        tokens = await self._exchange(provider, code, flow.verifier)
        claims = await self._check(provider, tokens.get("id_token"), flow.nonce)
        claims = await self._complete(provider, claims, tokens.get("access_token"))
        return read_claims(claims, groups_claim=self.settings.groups_claim)

    async def provider(self) -> Provider:
        """Return what the provider says of itself, no older than an hour.

        Raises:
            ProviderFault: it does not answer, or not as it should.
        """
        async with self._asking:
            if self._provider is None or self._provider[1] < time.monotonic():
                try:
                    self._provider = await self._discover(), time.monotonic() + KNOWN_SECONDS
                except ProviderFault as fault:
                    self._provider = fault, time.monotonic() + TROUBLE_SECONDS
            known, _ = self._provider
        if isinstance(known, ProviderFault):
            raise ProviderFault(known.detail)
        return known

    async def _discover(self) -> Provider:
        issuer = self.settings.issuer
        return read_provider(await self._ask("GET", issuer.rstrip("/") + DISCOVERY), issuer=issuer)

    async def _keys_of(self, provider: Provider, *, older_than: float) -> Sequence[Mapping[str, Any]]:
        """Return the provider's keys, asked for no longer ago than so many seconds."""
        async with self._asking:
            if self._keys is None or self._keys[1] < time.monotonic() - older_than:
                self._keys = read_keys(await self._ask("GET", provider.jwks_uri)), time.monotonic()
            return self._keys[0]

    async def _exchange(self, provider: Provider, code: str, verifier: str) -> Mapping[str, Any]:
        client_id, secret = self.settings.client_id, self.settings.client_secret.get_secret_value()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        if secret and provider.token_auth == "client_secret_basic":  # noqa: S105 -- the name of a method
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
        answer = await self._ask("POST", provider.token_endpoint, data=form, headers=headers)
        if not isinstance(answer, dict):
            raise ProviderFault("The token endpoint answered with something else than tokens.")
        return answer

    async def _check(self, provider: Provider, token: Any, nonce: str) -> Mapping[str, Any]:
        """Check an ID token; where it names a key that is not known, ask for the keys once more."""
        if not isinstance(token, str):
            raise ProviderFault("The token endpoint gave no ID token.")
        client_id = self.settings.client_id
        try:
            keys = await self._keys_of(provider, older_than=KNOWN_SECONDS)
            return check_id_token(token, keys, provider, client_id=client_id, nonce=nonce)
        except UnknownKey:
            keys = await self._keys_of(provider, older_than=KEYS_AGAIN_SECONDS)
            return check_id_token(token, keys, provider, client_id=client_id, nonce=nonce)

    async def _complete(self, provider: Provider, claims: Mapping[str, Any], access_token: Any) -> Mapping[str, Any]:
        """Ask for what the ID token leaves out, which the standard lets providers do."""
        wanted = {"email", "email_verified", self.settings.groups_claim}
        if wanted <= claims.keys() or provider.userinfo_endpoint is None or not isinstance(access_token, str):
            return claims
        bearer = {"Authorization": f"Bearer {access_token}"}
        return merge_userinfo(claims, await self._ask("GET", provider.userinfo_endpoint, headers=bearer))

    async def _ask(self, method: str, url: str, **request: Any) -> Any:
        """Return the JSON that is answered; what is larger than it can rightly be, or leads elsewhere, is refused."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._client.stream(method, url, **request) as response:
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise ProviderFault(f"{url} answers with more than {MAX_BYTES} bytes.")
                status = response.status_code
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            raise ProviderFault(f"{url} cannot be reached: {error or type(error).__name__}.") from None
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if status != httpx2.codes.OK:
            raise ProviderFault(f"{url} answered {status}{_reason(document)}.")
        if document is None:
            raise ProviderFault(f"{url} answered with something else than JSON.")
        return document


def _reason(document: Any) -> str:
    """Return what an OAuth error says of itself, and nothing else: an answer may repeat what was sent."""
    error = document.get("error") if isinstance(document, dict) else None
    return f" ({error[:100]})" if isinstance(error, str) and error.isprintable() else ""


def check_oidc(settings: Settings) -> None:
    """Do nothing if people can be sent to the provider and come back.

    Raises:
        ConfigError: the address of the pages is not known, or what may be reached is malformed.
    """
    if settings.oidc is None:
        return
    if settings.public_url is None:
        raise ConfigError(
            "SPARKOPS_PUBLIC_URL is missing: the OpenID provider sends people back to it, so write there where they "
            "open the pages."
        )
    if "openid" not in settings.oidc.scopes:
        raise ConfigError("The setting oidc.scopes must contain openid.")
    try:
        parse_allowed(settings.egress_allow)
    except ValueError as error:
        raise ConfigError(f"SPARKOPS_EGRESS_ALLOW: {error}.") from None


def open_oidc(settings: Settings, secret_key: str) -> OidcDoor | None:
    """Return the way to the provider of the settings; None if there is none. Nothing is asked yet.

    Raises:
        ConfigError: as `check_oidc`.
    """
    check_oidc(settings)
    if settings.oidc is None or settings.public_url is None:
        return None
    client = guarded_client(Egress(parse_allowed(settings.egress_allow)))
    return OidcDoor(settings.oidc, public_url=settings.public_url, secret_key=secret_key, client=client)
