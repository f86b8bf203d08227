"""The form of API keys: what is taken for one, and what is refused without asking anybody."""

import random
import re
import string

import pytest

from sparkops.core.permissions import INSTALLATION, Permission
from sparkops.domains.identity.keys import GRANTABLE, make_key, matches, read_key

BASE62 = string.digits + string.ascii_letters
RANDOM = 1_000_000
AT_ONCE = 100_000


def test_a_key_is_read_back_and_proves_itself() -> None:
    fresh = make_key()
    presented = read_key(fresh.text)
    assert presented is not None
    assert (presented.public_id, presented.digest) == (fresh.public_id, fresh.digest)
    assert matches(presented, fresh.digest)
    assert not matches(presented, make_key().digest)
    assert not matches(presented, None)


def test_a_key_has_the_form_that_scanners_look_for() -> None:
    for _ in range(100):
        assert re.fullmatch(r"spk_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", make_key().text)


def test_no_two_keys_are_alike_and_the_digest_tells_nothing_of_the_secret() -> None:
    keys = [make_key() for _ in range(1_000)]
    assert len({key.public_id for key in keys}) == len({key.text for key in keys}) == 1_000
    assert all(key.text[17:] not in key.digest for key in keys)


def test_the_check_is_the_crc_of_all_before_it() -> None:
    """A fixed example: keys that were given out have to be read by every later version."""
    body = "spk_" + "A" * 12 + "_" + "b" * 43
    assert read_key(body + "0z98L0") is not None
    assert read_key(body + "0z98L1") is None


def test_every_single_typo_is_refused() -> None:
    text = make_key().text
    chance = random.Random(1)
    for place in range(len(text)):
        wrong = chance.choice([one for one in BASE62 + "_- " if one != text[place]])
        assert read_key(text[:place] + wrong + text[place + 1 :]) is None, place
        assert read_key(text[:place] + text[place + 1 :]) is None, place
        assert read_key(text[:place] + "x" + text[place:]) is None, place


def test_neighbours_that_were_swapped_are_refused() -> None:
    text = make_key().text
    for place in range(len(text) - 1):
        swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        assert swapped == text or read_key(swapped) is None, place


def test_random_strings_of_the_form_are_refused() -> None:
    chance, length = random.Random(2), 61
    letters_of_bytes = bytes(ord(BASE62[byte % len(BASE62)]) for byte in range(256))
    for _ in range(RANDOM // AT_ONCE):
        letters = chance.randbytes(AT_ONCE * length).translate(letters_of_bytes).decode()
        starts = range(0, len(letters), length)
        taken = [at for at in starts if read_key(f"spk_{letters[at : at + 12]}_{letters[at + 12 : at + length]}")]
        assert taken == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spk_",
        "spk_" + "A" * 12,
        "spk_" + "A" * 100_000,
        *(
            f"{start}_{middle * 12}_{'b' * 49}"
            for start, middle in [("SPK", "A"), ("spk", "\u00e4"), ("spk", "\u0663")]
        ),
    ],
)
def test_what_has_not_the_form_is_refused(text: str) -> None:
    assert read_key(text) is None
    key = make_key().text
    for around in (key + "\n", " " + key, key + "\0", key + key):
        assert read_key(around) is None


def test_no_key_can_be_given_what_is_for_people_or_for_the_installation() -> None:
    assert not GRANTABLE & INSTALLATION
    assert not {Permission.APPROVAL_ANSWER, Permission.MEMBER_MANAGE} & GRANTABLE
    assert Permission.RUN_CREATE in GRANTABLE
