"""What is encrypted opens at its place, under its key, unchanged, and nowhere else."""

import os
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from sparkops.core.envelope import (
    Keyring,
    Keys,
    Place,
    Sealed,
    SecretLost,
    keep_only_first,
    key_id,
    parse_keys,
    put_new_key,
)
from sparkops.core.errors import ConfigError

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
HERE = Place(UUID(int=7), "stripe-key", 3)
VALUE = "sk-live-of-it"


def test_a_value_opens_at_its_place() -> None:
    ring = Keyring([OLD])
    sealed = ring.seal(HERE, VALUE)
    assert ring.open(HERE, sealed) == VALUE
    assert VALUE.encode() not in sealed.ciphertext
    assert ring.seal(HERE, VALUE).ciphertext != sealed.ciphertext, "the same value twice must not look the same"


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(HERE, project_id=uuid4()),
        replace(HERE, project_id=None),
        replace(HERE, name="stripe-kez"),
        replace(HERE, version=2),
    ],
)
def test_a_row_that_was_moved_does_not_open(elsewhere: Place) -> None:
    ring = Keyring([OLD])
    with pytest.raises(SecretLost, match="belongs elsewhere"):
        ring.open(elsewhere, ring.seal(HERE, VALUE))


def _with(sealed: Sealed, field: str, data: bytes) -> Sealed:
    return replace(sealed, wrapped_key=data) if field == "wrapped_key" else replace(sealed, ciphertext=data)


def test_every_changed_bit_is_noticed() -> None:
    ring = Keyring([OLD])
    sealed = ring.seal(HERE, VALUE)
    for field in ("wrapped_key", "ciphertext"):
        data = getattr(sealed, field)
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(SecretLost):
                ring.open(HERE, _with(sealed, field, bytes(changed)))
        with pytest.raises(SecretLost):
            ring.open(HERE, _with(sealed, field, b""))


def test_the_data_key_of_another_version_does_not_open_this_one() -> None:
    ring = Keyring([OLD])
    one, other = ring.seal(HERE, VALUE), ring.seal(replace(HERE, version=4), VALUE)
    with pytest.raises(SecretLost):
        ring.open(HERE, replace(one, wrapped_key=other.wrapped_key))


def test_another_key_wraps_anew_and_leaves_the_value_as_it_is() -> None:
    sealed = Keyring([OLD]).seal(HERE, VALUE)
    both = Keyring([NEW, OLD])
    anew = both.rewrap(HERE, sealed)
    assert (anew.kek_id, anew.ciphertext) == (key_id(NEW), sealed.ciphertext)
    assert Keyring([NEW]).open(HERE, anew) == both.open(HERE, sealed) == VALUE


def test_a_key_that_is_not_there_is_named() -> None:
    with pytest.raises(SecretLost, match=key_id(OLD)):
        Keyring([NEW]).open(HERE, Keyring([OLD]).seal(HERE, VALUE))


@pytest.mark.parametrize("text", ["", "short", "g" * 64, f"{OLD.hex()} {NEW.hex()[:-1]}"])
def test_what_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_keys(text)
    assert "openssl rand -hex 32" in refused.value.detail
    assert not text or text not in refused.value.detail


def test_keys_are_read_in_the_order_in_which_they_stand() -> None:
    assert parse_keys(f"{NEW.hex()},\n {OLD.hex().upper()}\n") == [NEW, OLD]


def test_a_key_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "secrets.key"
    file.write_text(OLD.hex() + "\n")
    keys = Keys(file=file)
    first = keys.ring()
    sealed = first.seal(HERE, VALUE)
    assert keys.ring() is first
    put_new_key(file)
    assert keys.ring().active != key_id(OLD)
    assert keys.ring().open(HERE, sealed) == VALUE
    assert file.stat().st_mode & 0o777 == 0o600
    assert keep_only_first(file) == 1
    assert key_id(OLD) not in keys.ring()
    assert os.listdir(tmp_path) == ["secrets.key"]


def test_without_a_key_nothing_can_be_kept(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SPARKOPS_SECRETS_KEY is missing"):
        Keys().ring()
    with pytest.raises(ConfigError, match="cannot be read"):
        Keys(file=tmp_path / "nowhere").ring()
