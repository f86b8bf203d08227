"""Access tokens that nobody here made, or for something else: each is refused, and one of ours is not."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from httpx2 import AsyncClient

from sparkops.api.tokens import AUDIENCE, HEADER, ISSUER, MAX_TOKEN_CHARS, TYPE
from sparkops.core.clock import utc_now
from sparkops.core.ids import new_id
from tests.api.conftest import Person

KEY = "k" * 32
"""That of the test's settings."""
ATTACKER = "https://attacker.example/keys.json"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def pem(key: Any) -> str:
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


PUBLIC_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class Forger:
    """Makes tokens like ours, and changes what it is told to; a claim of None is left out."""

    def __init__(self, person: Person) -> None:
        self.person = person
        true = jwt.decode(person.token, options={"verify_signature": False})
        self.session = UUID(true["sid"])

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = utc_now()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(self.person.id),
            "sid": str(self.session),
            "jti": str(new_id()),
            "typ": TYPE,
            "iat": now,
            "nbf": now,
            "exp": now + timedelta(minutes=5),
        } | changes
        numbers = {k: int(v.timestamp()) if isinstance(v, datetime) else v for k, v in claims.items()}
        return {name: value for name, value in numbers.items() if value is not None}

    def __call__(self, *, key: Any = KEY, head: dict[str, Any] | None = None, **changes: Any) -> str:
        """Return a token that is signed like ours, or with another key, under another head."""
        head = HEADER if head is None else head
        signed = f"{part(head)}.{part(self.claims(**changes))}"
        mac = hmac.digest(key if isinstance(key, bytes) else key.encode(), signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    def by_library(self, key: Any, algorithm: str) -> str:
        headers = {"typ": TYPE}
        return jwt.encode(self.claims(), key, algorithm=algorithm, headers=headers)


def later() -> datetime:
    return utc_now() + timedelta(hours=1)


def ago() -> datetime:
    return utc_now() - timedelta(hours=1)


def changed_payload(make: Forger) -> str:
    head, _, signature = make().split(".")
    return f"{head}.{part(make.claims(sub=str(uuid4())))}.{signature}"


def doubled_claim(make: Forger) -> str:
    text = json.dumps(make.claims())[:-1] + f', "sid": "{uuid4()}"}}'
    signed = f"{part(HEADER)}.{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}"
    mac = hmac.digest(KEY.encode(), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def jwk_of(key: str) -> dict[str, str]:
    return {"kty": "oct", "k": base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")}


FORGED: dict[str, Callable[[Forger], str]] = {
    # no signature, or another one
    "no algorithm": lambda make: f"{part({'alg': 'none', 'typ': TYPE})}.{part(make.claims())}.",
    "no algorithm in capitals": lambda make: f"{part({'alg': 'NONE', 'typ': TYPE})}.{part(make.claims())}.",
    "no algorithm and a signature": lambda make: make(head={"alg": "none", "typ": TYPE}),
    "signature cut off": lambda make: make().rpartition(".")[0] + ".",
    "signature of two parts": lambda make: make().rpartition(".")[0],
    "signature cut short": lambda make: make()[:-5],
    "signature of another token": lambda make: make().rpartition(".")[0] + "." + make(jti="x" * 9).rpartition(".")[2],
    "changed payload": changed_payload,
    "another key": lambda make: make(key="x" * 32),
    "an empty key": lambda make: make(key=""),
    "the key's hash as key": lambda make: make(key=hashlib.sha256(KEY.encode()).hexdigest()),
    # another algorithm
    "HS384": lambda make: make.by_library(KEY * 2, "HS384"),
    "HS512 with our key": lambda make: make.by_library("k" * 64, "HS512"),
    "RS256": lambda make: make.by_library(pem(RSA), "RS256"),
    "PS256": lambda make: make.by_library(pem(RSA), "PS256"),
    "ES256": lambda make: make.by_library(pem(CURVE), "ES256"),
    "EdDSA": lambda make: make.by_library(pem(EDWARDS), "EdDSA"),
    "a public key as secret": lambda make: make(key=PUBLIC_PEM),
    "HS256 said, signed as RS256": lambda make: (
        f"{part(HEADER)}." + make.by_library(pem(RSA), "RS256").partition(".")[2]
    ),
    # a head that says where the key is
    "key in the head": lambda make: make(key="x" * 32, head=HEADER | {"jwk": jwk_of("x" * 32)}),
    "our key in the head": lambda make: make(head=HEADER | {"jwk": jwk_of(KEY)}),
    "address of a key set": lambda make: make(key="x" * 32, head=HEADER | {"jku": ATTACKER}),
    "address of a certificate": lambda make: make(key="x" * 32, head=HEADER | {"x5u": ATTACKER}),
    "certificate in the head": lambda make: make(head=HEADER | {"x5c": ["MIIB"]}),
    "name of a key": lambda make: make(head=HEADER | {"kid": "1"}),
    "a file as name of a key": lambda make: make(key="", head=HEADER | {"kid": "../../../../dev/null"}),
    "a query as name of a key": lambda make: make(head=HEADER | {"kid": "' UNION SELECT 'k' --"}),
    "an extension that is critical": lambda make: make(head=HEADER | {"crit": ["exp"], "exp": 1}),
    "payload that is not encoded": lambda make: make(head=HEADER | {"b64": False, "crit": ["b64"]}),
    "an unsafe compression": lambda make: make(head=HEADER | {"zip": "DEF"}),
    "head without a type": lambda make: make(head={"alg": "HS256"}),
    "head of an ID token": lambda make: make(head={"alg": "HS256", "typ": "JWT"}),
    # times
    "run out": lambda make: make(exp=ago()),
    "never runs out": lambda make: make(exp=None),
    "not yet": lambda make: make(nbf=later()),
    "made in the future": lambda make: make(iat=later()),
    "no start": lambda make: make(nbf=None),
    "no time of making": lambda make: make(iat=None),
    "end as a text": lambda make: make(exp=str(int(later().timestamp()))),
    "end as a fraction": lambda make: make(exp=later().timestamp() + 0.5),
    "end true": lambda make: make(exp=True),
    "end endless": lambda make: make(exp=10**40),
    # for whom and by whom
    "another audience": lambda make: make(aud="elsewhere"),
    "several audiences": lambda make: make(aud=[AUDIENCE, "elsewhere"]),
    "no audience": lambda make: make(aud=None),
    "another issuer": lambda make: make(iss="https://elsewhere.example"),
    "several issuers": lambda make: make(iss=[ISSUER]),
    "no issuer": lambda make: make(iss=None),
    "another use": lambda make: make(typ="refresh"),
    "no use": lambda make: make(typ=None),
    # about whom
    "no subject": lambda make: make(sub=None),
    "subject a number": lambda make: make(sub=1),
    "subject a list": lambda make: make(sub=[str(uuid4())]),
    "another subject": lambda make: make(sub=str(uuid4())),
    "no session": lambda make: make(sid=None),
    "unknown session": lambda make: make(sid=str(uuid4())),
    "session no id": lambda make: make(sid="1"),
    "session an object": lambda make: make(sid={"$ne": None}),
    "no id": lambda make: make(jti=None),
    "id a number": lambda make: make(jti=7),
    "two sessions": doubled_claim,
    # no tokens
    "one part": lambda _: "a",
    "garbage": lambda _: "a.b.c",
    "four parts": lambda make: make() + ".x",
    "payload a list": lambda _: f"{part(HEADER)}.{part([1])}.AAAA",
    "endless": lambda make: make(jti="x" * MAX_TOKEN_CHARS),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_refused(ann: Person, anonymous: AsyncClient, name: str) -> None:
    make = Forger(ann)
    answer = await anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {FORGED[name](make)}"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_one_that_is_made_like_ours_is_not(ann: Person, bob: Person, anonymous: AsyncClient) -> None:
    """Otherwise the others could be refused for a mistake of the forger."""
    make = Forger(ann)
    answer = await anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {make()}"})
    assert answer.json()["user"]["id"] == str(ann.id)
    theirs = make(sub=str(bob.id))
    assert (await anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {theirs}"})).status_code == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {} {}", "Bearer\t{}", "Token {}"]
)
async def test_a_token_counts_in_its_one_form_only(ann: Person, anonymous: AsyncClient, header: str) -> None:
    sent = header.replace("{}", ann.token)
    answer = await anonymous.get("/api/v1/me", headers={"Authorization": sent} if sent else {})
    assert answer.status_code == 401


@pytest.mark.parametrize("where", ["query", "cookie"])
async def test_a_token_counts_nowhere_but_in_its_header(ann: Person, anonymous: AsyncClient, where: str) -> None:
    query = {"access_token": ann.token, "token": ann.token} if where == "query" else {}
    cookies = {"Cookie": f"access_token={ann.token}; sparkops_refresh={ann.token}"} if where == "cookie" else {}
    assert (await anonymous.get("/api/v1/me", params=query, headers=cookies)).status_code == 401
    assert (await anonymous.post("/api/v1/auth/refresh", headers=cookies)).status_code == 401
