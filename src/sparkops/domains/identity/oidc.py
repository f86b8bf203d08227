"""OpenID Connect, the part that only looks: what a provider says of itself, and whether an ID token is one for us.

Nothing here asks anybody. The rules are those of OpenID Connect Core 1.0 (3.1.3.7), Discovery 1.0 and RFC 9700.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from jwt import PyJWK

from sparkops.core.errors import SparkOpsError

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512")
"""All are signatures of a private key. A token that says `none`, or `HS256` over a key that everybody can read, is
refused whatever the provider announces."""
LEEWAY: Final = timedelta(seconds=60)
"""How far clocks may be apart."""
MAX_SUBJECT: Final = 255
MAX_GROUPS: Final = 1_000
MAX_GROUP: Final = 256
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_REQUIRED: Final = ["iss", "sub", "aud", "exp", "iat", "nonce"]


class ProviderFault(SparkOpsError):
    """The provider does not keep to the standard, or its ID token is not one for us. `detail` is for operators."""

    code, title = "oidc-provider", "The OpenID provider could not be used"


class UnknownKey(ProviderFault):
    """The token names a signing key that is not among those that are known; the provider may have changed them."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What a provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    token_auth: str
    """`client_secret_basic` or `client_secret_post`."""
    algorithms: tuple[str, ...]
    end_session_endpoint: str | None
    """Where people are sent to end their session there (RP-Initiated Logout 1.0)."""
    names_itself: bool
    """It sends its issuer along with each code (RFC 9207), so that one without it is not from there."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who signed in, by the word of the provider. `email` None: it did not say."""

    subject: str
    email: str | None
    email_verified: bool
    name: str
    groups: frozenset[str]


def read_provider(document: Any, *, issuer: str) -> Provider:
    """Read the document that a provider describes itself with.

    Raises:
        ProviderFault: it is that of another issuer, lacks an endpoint, or offers nothing that we would take.
    """
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise ProviderFault(f"The discovery document does not name the issuer {issuer}, exactly as it is configured.")
    plain = urlsplit(issuer).scheme == "http"
    methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    offered = document.get("id_token_signing_alg_values_supported") or ["RS256"]
    algorithms = tuple(one for one in ALGORITHMS if one in offered)
    if not algorithms:
        raise ProviderFault(f"The provider signs with {', '.join(map(str, offered))}; none of that is accepted here.")
    if "S256" not in document.get("code_challenge_methods_supported", ["S256"]):
        raise ProviderFault("The provider does not offer PKCE with S256.")
    return Provider(
        issuer=issuer,
        authorization_endpoint=_endpoint(document, "authorization_endpoint", plain=plain),
        token_endpoint=_endpoint(document, "token_endpoint", plain=plain),
        jwks_uri=_endpoint(document, "jwks_uri", plain=plain),
        userinfo_endpoint=(
            _endpoint(document, "userinfo_endpoint", plain=plain) if document.get("userinfo_endpoint") else None
        ),
        end_session_endpoint=(
            _endpoint(document, "end_session_endpoint", plain=plain) if document.get("end_session_endpoint") else None
        ),
        token_auth="client_secret_basic" if "client_secret_basic" in methods else "client_secret_post",
        algorithms=algorithms,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(document: Mapping[str, Any], name: str, *, plain: bool) -> str:
    """Return an address; without TLS only where the issuer's is, too, which is for trying things out."""
    url = document.get(name)
    scheme = urlsplit(url).scheme if isinstance(url, str) else ""
    if not isinstance(url, str) or scheme not in (("http", "https") if plain else ("https",)):
        raise ProviderFault(f"The discovery document has no {name} that may be used.")
    return url


def read_keys(document: Any) -> list[Mapping[str, Any]]:
    """Return the public keys of a key set; what is for another use, or of a kind we do not know, is left out.

    Raises:
        ProviderFault: it is no key set.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ProviderFault("The provider's keys are no JSON Web Key Set.")
    return [
        key
        for key in keys
        if isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"
    ]


def check_id_token(
    token: str, keys: Sequence[Mapping[str, Any]], provider: Provider, *, client_id: str, nonce: str
) -> Mapping[str, Any]:
    """Return the claims of an ID token that this provider made for us, in answer to this very request.

    Raises:
        UnknownKey: it names a key that is not among `keys`.
        ProviderFault: it is not such a token.
    """
    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in provider.algorithms:
            raise ProviderFault(f"The ID token is signed with {algorithm!r}, which is not accepted.")
        key = _key_for(keys, header.get("kid"), algorithm)
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=provider.issuer,
            audience=client_id,
            leeway=LEEWAY,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )
    except jwt.PyJWTError as error:
        raise ProviderFault(f"The ID token is not valid: {error}.") from None
    except (ValueError, TypeError, AttributeError, KeyError):
        raise ProviderFault("The ID token is malformed.") from None
    _check_for_us(claims, client_id=client_id, nonce=nonce)
    return claims


def _key_for(keys: Sequence[Mapping[str, Any]], kid: Any, algorithm: str) -> PyJWK:
    fitting = [
        key
        for key in keys
        if (kid is None or key.get("kid") == kid)
        and key.get("alg", algorithm) == algorithm
        and key["kty"] == _family(algorithm)
    ]
    if not fitting:
        raise UnknownKey(f"The ID token names the key {kid!r}, which is not among the provider's.")
    if len(fitting) > 1:
        raise ProviderFault("The ID token does not say which of the provider's keys signed it.")
    return PyJWK(dict(fitting[0]), algorithm)


def _family(algorithm: str) -> str:
    return {"R": "RSA", "P": "RSA", "E": "EC"}[algorithm[0]] if algorithm != "EdDSA" else "OKP"


def _check_for_us(claims: Mapping[str, Any], *, client_id: str, nonce: str) -> None:
    audience = claims["aud"]
    party = claims.get("azp")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise ProviderFault("The ID token is for several parties and does not say for whom it was made.")
    if party is not None and party != client_id:
        raise ProviderFault("The ID token was made for another party.")
    given = claims["nonce"]
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise ProviderFault("The ID token answers another request.")
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT:
        raise ProviderFault("The ID token names nobody.")


def merge_userinfo(claims: Mapping[str, Any], userinfo: Any) -> Mapping[str, Any]:
    """Return the claims with what the provider told besides; what the token says counts.

    Raises:
        ProviderFault: that is about somebody else.
    """
    if not isinstance(userinfo, dict) or userinfo.get("sub") != claims["sub"]:
        raise ProviderFault("What the provider tells about the user is about somebody else.")
    return {**userinfo, **claims}


def read_claims(claims: Mapping[str, Any], *, groups_claim: str) -> Claims:
    """Read who signed in. An address counts as verified only where the provider says so in so many words."""
    given = claims.get(groups_claim)
    groups = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    named = [claims.get(part) for part in ("name", "preferred_username")]
    name = next((one.strip() for one in named if isinstance(one, str) and one.strip()), "")
    return Claims(
        subject=claims["sub"],
        email=_address(claims.get("email")),
        email_verified=claims.get("email_verified") is True,
        name=name[:200],
        groups=frozenset(one for one in groups[:MAX_GROUPS] if isinstance(one, str) and 0 < len(one) <= MAX_GROUP),
    )


def _address(email: Any) -> str | None:
    """Return an address as ours are stored; letters beyond ASCII have look-alikes, and more than one small form."""
    fits = isinstance(email, str) and email.isascii() and _EMAIL.fullmatch(email.strip())
    return email.strip().lower() if fits else None
