"""What is stored of a password."""

import pytest

from sparkops.domains.identity import passwords
from sparkops.domains.identity.passwords import generate_password, hash_password, verify_password

CHEAP = 4


@pytest.mark.parametrize("password", ["short one", "x" * 1_000, "nul\0inside", "pässwörd 🔑"])
def test_a_password_matches_itself_only(password: str) -> None:
    stored = hash_password(password, rounds=CHEAP)
    assert verify_password(password, stored)
    assert not verify_password(password + "x", stored)
    assert not verify_password(password.upper() + "y", stored)


def test_all_of_a_long_password_counts() -> None:
    """bcrypt alone would stop at 72 bytes, and at a NUL."""
    assert not verify_password("x" * 99 + "b", hash_password("x" * 99 + "a", rounds=CHEAP))
    assert not verify_password("a\0c", hash_password("a\0b", rounds=CHEAP))


def test_nobody_has_a_password_and_it_costs_as_much_to_find_out() -> None:
    assert not verify_password("", None)
    assert passwords._NOBODY.split("$")[2] == hash_password("somebody").split("$")[2]


def test_generated_passwords_differ_and_are_long() -> None:
    made = {generate_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 20 for one in made)


def test_the_same_password_is_stored_differently_each_time() -> None:
    assert hash_password("same", rounds=CHEAP) != hash_password("same", rounds=CHEAP)
