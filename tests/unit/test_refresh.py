"""Refresh tokens: one form each, known to their session only, and a successor that only the one before opens."""

import base64
import secrets
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.domains.identity.refresh import SECRET_BYTES, new_family_key, new_token, read_token

SESSION, KEY = uuid4(), new_family_key()


def test_a_token_is_read_as_it_was_written() -> None:
    token = new_token(SESSION, KEY)
    assert read_token(token.text) == token
    assert len(token.secret) * 8 == 256
    assert token.text not in token.hash


def test_no_two_are_alike() -> None:
    assert len({new_token(SESSION, KEY).text for _ in range(1_000)}) == 1_000


def test_a_session_knows_its_own_and_no_other() -> None:
    token = new_token(SESSION, KEY)
    assert token.is_of(KEY)
    assert not token.is_of(new_family_key())
    assert not replace(token, session_id=uuid4()).is_of(KEY)
    assert not replace(token, secret=secrets.token_bytes(SECRET_BYTES)).is_of(KEY)
    assert not replace(token, mark=bytes(len(token.mark))).is_of(KEY)


def test_only_the_token_before_opens_the_seal() -> None:
    first, second = new_token(SESSION, KEY), new_token(SESSION, KEY)
    sealed = first.seal(second)
    assert first.unseal(sealed, KEY) == second
    assert new_token(SESSION, KEY).unseal(sealed, KEY) != second
    assert second.secret not in sealed


@given(st.text(max_size=200))
def test_what_is_no_token_is_none(text: str) -> None:
    assert read_token(text) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1],
        lambda t: t + "A",
        lambda t: t + "=",
        lambda t: t[:40] + " " + t[40:],
        lambda t: t[:40] + "\n" + t[41:],
    ],
)
def test_a_token_of_another_length_or_with_other_signs_is_none(change: object) -> None:
    assert read_token(change(new_token(SESSION, KEY).text)) is None  # type: ignore[operator]


@given(st.integers(0, 62), st.integers(1, 255))
def test_no_changed_byte_is_taken_for_the_session_s_own(place: int, flip: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(new_token(SESSION, KEY).text))
    raw[place] ^= flip
    changed = read_token(base64.urlsafe_b64encode(bytes(raw)).decode())
    assert changed is not None
    assert changed.session_id != SESSION or not changed.is_of(KEY)
