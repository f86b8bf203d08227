"""ID tokens: only one that this provider made for us, in answer to this very request, is believed."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from sparkops.domains.identity.oidc import (
    Provider,
    ProviderFault,
    UnknownKey,
    check_id_token,
    merge_userinfo,
    read_claims,
    read_keys,
    read_provider,
)

ISSUER = "https://id.example.com"
CLIENT = "spark-ops"
NONCE = "n-0S6_WzA2Mj"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()

DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
    "userinfo_endpoint": f"{ISSUER}/me",
    "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "HS256", "none"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    "code_challenge_methods_supported": ["S256"],
}
PROVIDER = read_provider(DOCUMENT, issuer=ISSUER)


def public(key: Any, **more: str) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), **more}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), **more}
    return {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), **more}


KEYS = [public(RSA, kid="r"), public(EC, kid="e"), public(ED, kid="d")]
PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def now() -> int:
    return int(time.time())


def claims(**changes: Any) -> dict[str, Any]:
    true = {"iss": ISSUER, "aud": CLIENT, "sub": "ann", "iat": now(), "exp": now() + 300, "nonce": NONCE}
    return {name: value for name, value in {**true, **changes}.items() if value is not None}


def token(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "r", /, **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def raw(header: dict[str, Any], body: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(body).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def with_body(text: str, body: dict[str, Any]) -> str:
    head, _, signature = text.split(".")
    return ".".join([head, raw({}, body).split(".")[1], signature])


def hs256_over_the_public_key() -> str:
    """What a verifier takes that asks the token how to check it."""
    body = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "r"}).encode())
    payload = jwt.utils.base64url_encode(json.dumps(claims()).encode())
    signed = body + b"." + payload
    return (signed + b"." + jwt.utils.base64url_encode(hmac.digest(PEM, signed, "sha256"))).decode()


def check(text: str, keys: Sequence[Mapping[str, Any]] = KEYS, provider: Provider = PROVIDER) -> str:
    return str(check_id_token(text, keys, provider, client_id=CLIENT, nonce=NONCE)["sub"])


BELIEVED: dict[str, Callable[[], str]] = {
    "RSA": lambda: token(),
    "EC": lambda: token(EC, "ES256", "e"),
    "Ed25519": lambda: token(ED, "EdDSA", "d"),
    "list of one": lambda: token(aud=[CLIENT]),
    "several, and for whom": lambda: token(aud=[CLIENT, "other"], azp=CLIENT),
    "just run out, as clocks differ": lambda: token(exp=now() - 30),
}


@pytest.mark.parametrize("name", BELIEVED)
def test_a_token_for_us_is_believed(name: str) -> None:
    assert check(BELIEVED[name]()) == "ann"


FORGED: dict[str, Callable[[], str]] = {
    "no signature": lambda: raw({"alg": "none", "kid": "r"}, claims()),
    "no signature, other letters": lambda: raw({"alg": "nOnE", "kid": "r"}, claims()),
    "no algorithm": lambda: raw({"kid": "r"}, claims(), b"x" * 256),
    "an algorithm that is a number": lambda: raw({"alg": 256, "kid": "r"}, claims(), b"x" * 256),
    "an algorithm that is a list": lambda: raw({"alg": ["RS256"], "kid": "r"}, claims(), b"x" * 256),
    "HS256 over the public key": hs256_over_the_public_key,
    "HS256 over the client's secret": lambda: token("s" * 32, "HS256", "r"),
    "an algorithm the provider does not use": lambda: token(RSA, "RS384", "r"),
    "another key under a known name": lambda: token(OTHER, "RS256", "r"),
    "the key of another algorithm": lambda: token(EC, "ES256", "r"),
    "a weak key": lambda: token(WEAK, "RS256", "w"),
    "cut signature": lambda: token()[:-10],
    "empty signature": lambda: token().rpartition(".")[0] + ".",
    "another body": lambda: with_body(token(), claims(sub="bob")),
    "an extension that must be understood": lambda: jwt.encode(
        claims(), RSA, algorithm="RS256", headers={"kid": "r", "crit": ["exp"]}
    ),
    "issuer of another": lambda: token(iss="https://evil.example.com"),
    "issuer with a slash": lambda: token(iss=ISSUER + "/"),
    "no issuer": lambda: token(iss=None),
    "for another": lambda: token(aud="other"),
    "for others": lambda: token(aud=["other", "third"]),
    "for nobody": lambda: token(aud=[]),
    "no audience": lambda: token(aud=None),
    "for several, not saying whom": lambda: token(aud=[CLIENT, "other"]),
    "for several, made for another": lambda: token(aud=[CLIENT, "other"], azp="other"),
    "made for another": lambda: token(azp="other"),
    "run out": lambda: token(exp=now() - 300),
    "no end": lambda: token(exp=None),
    "an end that is text": lambda: token(exp="soon"),
    "not yet": lambda: token(nbf=now() + 300),
    "from the future": lambda: token(iat=now() + 300),
    "no time": lambda: token(iat=None),
    "another nonce": lambda: token(nonce="other"),
    "no nonce": lambda: token(nonce=None),
    "empty nonce": lambda: token(nonce=""),
    "a nonce that is a list": lambda: token(nonce=[NONCE]),
    "a nonce that is true": lambda: token(nonce=True),
    "nobody": lambda: token(sub=None),
    "an empty subject": lambda: token(sub=""),
    "a subject that is a number": lambda: token(sub=7),
    "a long subject": lambda: token(sub="a" * 256),
    "a key of its own in the head": lambda: jwt.encode(
        claims(), OTHER, algorithm="RS256", headers={"kid": "x", "jwk": public(OTHER)}
    ),
    "the address of a key in the head": lambda: jwt.encode(
        claims(), OTHER, algorithm="RS256", headers={"kid": "x", "jku": "https://evil.example.com/jwks"}
    ),
    "a path for a key": lambda: token(OTHER, "RS256", "../../dev/null"),
    "garbage": lambda: "a.b.c",
    "nothing": lambda: "",
    "one part": lambda: "abc",
    "five parts": lambda: "a.b.c.d.e",
    "letters beyond ASCII": lambda: "ä.ö.ü",
}


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_is_refused(name: str) -> None:
    keys = [*KEYS, public(WEAK, kid="w")]
    with pytest.raises(ProviderFault):
        check(FORGED[name](), keys)


def test_there_are_enough_of_them() -> None:
    assert len(FORGED) >= 40


def test_a_key_that_is_not_known_is_told_apart_because_keys_change() -> None:
    with pytest.raises(UnknownKey):
        check(token(OTHER, "RS256", "new"))


def test_without_a_name_the_only_fitting_key_counts_and_several_do_not() -> None:
    assert check(token(RSA, "RS256", None)) == "ann"
    with pytest.raises(ProviderFault, match="does not say which"):
        check(token(RSA, "RS256", None), [*KEYS, public(OTHER, kid="o")])


def test_a_key_is_for_its_own_use_and_algorithm() -> None:
    keys = read_keys({"keys": [public(RSA, kid="r", use="enc"), public(RSA, kid="r2", alg="PS256"), {"kty": "oct"}, 7]})
    assert [key["kid"] for key in keys] == ["r2"]
    for kid in ("r", "r2"):
        with pytest.raises(UnknownKey):
            check(token(RSA, "RS256", kid), keys)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example.com"},
        {"issuer": ISSUER + "/"},
        {"token_endpoint": "http://id.example.com/token"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": ["https://id.example.com/jwks"]},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"userinfo_endpoint": "http://169.254.169.254/"},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"code_challenge_methods_supported": ["plain"]},
    ],
)
def test_a_provider_that_says_something_strange_of_itself_is_not_used(change: dict[str, Any]) -> None:
    with pytest.raises(ProviderFault):
        read_provider(DOCUMENT | change, issuer=ISSUER)


def test_what_the_token_says_of_somebody_counts_more_than_what_is_told_besides() -> None:
    merged = merge_userinfo({"sub": "ann", "email": "ann@example.com"}, {"sub": "ann", "email": "x@y.z", "name": "Ann"})
    assert (merged["email"], merged["name"]) == ("ann@example.com", "Ann")
    for foreign in ({"sub": "bob"}, {}, None, [1]):
        with pytest.raises(ProviderFault):
            merge_userinfo({"sub": "ann"}, foreign)


@pytest.mark.parametrize("verified", ["true", 1, None, "yes", [True], False])
def test_an_address_is_verified_only_where_the_provider_says_so_in_so_many_words(verified: Any) -> None:
    read = read_claims({"sub": "a", "email": "Ann@Example.com", "email_verified": verified}, groups_claim="groups")
    assert (read.email, read.email_verified) == ("ann@example.com", False)


@pytest.mark.parametrize("email", [None, 7, "", "ann", "a b@c", "ann@@x", "\u0130nn@example.com", "a@" + "x" * 400])
def test_what_is_no_address_is_none(email: Any) -> None:
    assert read_claims({"sub": "a", "email": email, "email_verified": True}, groups_claim="groups").email is None


@pytest.mark.parametrize(
    ("given", "groups"),
    [(["a", "b"], {"a", "b"}), ("a", {"a"}), (["a", 7, None, "", ["b"]], {"a"}), ({"a": 1}, set()), (None, set())],
)
def test_groups_are_read_whatever_stands_there(given: Any, groups: set[str]) -> None:
    read = read_claims({"sub": "a", "roles": given}, groups_claim="roles")
    assert read.groups == groups
