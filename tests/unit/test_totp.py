"""Codes by the clock, and recovery codes."""

import base64
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from sparkops.domains.identity import totp

RFC_KEY = base64.b32encode(b"12345678901234567890").decode()
NOW = datetime(2026, 11, 23, 12, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    """The examples of RFC 6238 for SHA-1, of whose eight digits these are the last six."""
    assert totp.code_of(RFC_KEY, totp.step_at(datetime.fromtimestamp(seconds, UTC))) == code


@pytest.mark.parametrize(("steps", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_counts_one_step_before_and_after_its_own(steps: int, counts: bool) -> None:
    step = totp.step_at(NOW) + steps
    assert totp.matching_step(RFC_KEY, totp.code_of(RFC_KEY, step), now=NOW) == (step if counts else None)


def test_a_code_may_be_typed_as_apps_show_it() -> None:
    code = totp.code_of(RFC_KEY, totp.step_at(NOW))
    assert totp.matching_step(RFC_KEY, f" {code[:3]} {code[3:]} ", now=NOW) == totp.step_at(NOW)
    assert totp.looks_like_code(f"{code[:3]} {code[3:]}")


@pytest.mark.parametrize("text", ["", "12345", "1234567", "٠١٢٣٤٥", "12345a", "-12345", "None", "\0" * 6])
def test_what_no_app_shows_is_no_code(text: str) -> None:
    assert not totp.looks_like_code(text)
    assert totp.matching_step(RFC_KEY, text, now=NOW) is None


def test_keys_have_160_bits_and_no_two_are_alike() -> None:
    keys = {totp.new_key() for _ in range(200)}
    assert len(keys) == 200
    assert {len(base64.b32decode(key)) for key in keys} == {20}


def test_the_address_says_whose_key_it_is() -> None:
    address = urlsplit(totp.address_of(RFC_KEY, account="zoë+ops@example.com"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert address.path == "/Spark-Ops:zo%C3%AB%2Bops%40example.com"
    assert parse_qs(address.query) == {"secret": [RFC_KEY], "issuer": ["Spark-Ops"]}


def test_recovery_codes_have_130_bits_and_no_two_are_alike() -> None:
    codes = [code for _ in range(50) for code in totp.new_recovery_codes()]
    assert len(set(codes)) == 50 * totp.RECOVERY_CODES == 500
    assert all(len(code.replace("-", "")) == 26 for code in codes)
    letters = "".join(codes).replace("-", "")
    assert len(set(letters)) == 32, "five bits in each"


def test_a_recovery_code_is_known_however_it_is_typed() -> None:
    code = totp.new_recovery_codes()[0]
    assert totp.recovery_hash(code) == totp.recovery_hash(f" {code.lower().replace('-', ' ')} ") is not None
    assert totp.recovery_hash(code) != totp.recovery_hash(totp.new_recovery_codes()[0])


def test_a_recovery_code_of_before_is_one_still() -> None:
    assert totp.recovery_hash("-".join(["ABCD"] * 6)) is not None


@pytest.mark.parametrize("text", ["", "123456", "A" * 23, "A" * 25, "A" * 27, "O" * 26, "é" * 26])
def test_what_cannot_be_a_recovery_code_has_no_hash(text: str) -> None:
    assert totp.recovery_hash(text) is None
